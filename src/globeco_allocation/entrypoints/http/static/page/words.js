// One word for each status, and what it means.

const STATUSES = {
  empty: ["Empty", "quiet", "Nothing was ready."],
  claimed: ["Claimed", "busy", "Its files are being written."],
  written: ["Written", "busy", "Its file waits for its accounting run."],
  delivering: ["Delivering", "busy", "Its accounting run is under way, or waits for its next attempt."],
  delivered: ["Delivered", "good", "Portfolio Accounting booked every record."],
  partial: ["Partial", "warn", "Some records were not booked: a person must look."],
  failed: ["Failed", "bad", "It was not delivered, and is not tried again by itself."],
  resolved: ["Resolved", "good", "An operator settled it by hand."],
};

const VERDICTS = {
  refused: "refused",
  not_booked: "stored, not booked",
  unconfirmed: "stored, perhaps not booked",
  duplicate: "foreign row under its id",
  not_sent: "not sent",
  unknown: "unknown",
};

/** A status as { word, kind, about }; one that this page does not know stands for itself. */
export function statusOf(name) {
  const [word, kind, about] = STATUSES[name] ?? [name, "quiet", ""];
  return { word, kind, about };
}

/** What became of a record that was not accepted. */
export const verdictOf = (name) => VERDICTS[name] ?? name;

export const mayBeResent = (status) => status === "failed" || status === "partial";
