// One batch in full: its files, what was refused of them in the CLI's words, and what a person settled.

import { get, getExact } from "./api.js";
import { showExecution } from "./dialogs.js";
import { el, refill, say } from "./dom.js";
import { UNKNOWN, count, counted, timeElement } from "./format.js";
import { statusOf, verdictOf } from "./words.js";

const SOURCE_ID = /^AC(\d+)$/;

/** Fetch a batch and show it in a node. */
export async function showDetail(node, batchId, isWanted) {
  if (!node.childElementCount) refill(node, el("p", { class: "about", text: "Loading…" }));
  try {
    const { body } = await get(`batches/${batchId}`);
    if (isWanted()) refill(node, ...content(body));
  } catch (error) {
    if (isWanted()) refill(node, el("p", { class: "error", text: `The batch cannot be shown: ${error.message}` }));
  }
}

export const badge = (name) => {
  const { word, kind, about } = statusOf(name);
  return el("span", { class: "badge", "data-kind": kind, title: about, text: word });
};

function content(batch) {
  const window = el("p", { class: "about" }, "It holds what became ready from ", timeElement(batch.previousStartTime), " until ",
    timeElement(batch.startTime), ". Asked for under correlation id ", el("code", { text: batch.requestedBy || UNKNOWN }), ".");
  const stopped = batch.stopped ? el("p", { class: "error", text: `All delivery is stopped: ${batch.stopped}` }) : null;
  if (!batch.deliveries.length) return [window, el("p", { class: "about", text: statusOf(batch.status).about })];
  return [window, stopped, ...batch.deliveries.map((one, _, { length }) => delivery(one, batch.id, length > 1))];
}

function delivery(one, batchId, isOneOfSeveral) {
  const facts = [
    ["Status", badge(one.status)],
    ["Records", count(one.recordCount)],
    ["Booked", count(one.acceptedCount)],
    ["Rejected", count(one.rejectedCount)],
    ["Unknown", count(one.unknownCount)],
    ["Attempts", count(one.attempts)],
    ["Next attempt", one.nextAttempt ? timeElement(one.nextAttempt) : null],
    ["Written", timeElement(one.written)],
    ["Last begun", timeElement(one.started)],
    ["Last ended", timeElement(one.ended)],
    ["Exit code", one.exitCode === null ? UNKNOWN : String(one.exitCode)],
  ].filter(([, value]) => value !== null);
  return el("section", { class: "delivery" },
    el("h4", {}, el("code", { text: one.fileName }), place(one)),
    el("dl", { class: "pairs" }, ...facts.map(([name, value]) => el("div", {}, el("dt", { text: name }), el("dd", {}, value)))),
    isOneOfSeveral && one.error ? el("p", { class: "error", text: one.error }) : null,
    one.rejects.length ? rejects(one, batchId) : null,
    one.resolutions.length ? resolutions(one.resolutions) : null);
}

const place = (one) => (one.lane || one.part ? el("span", { class: "about", text: ` lane ${one.lane}, part ${one.part}` }) : null);

function rejects(one, batchId) {
  const all = (one.rejectedCount ?? 0) + (one.unknownCount ?? 0);
  const more = all > one.rejects.length;
  const caption = more ? `${count(one.rejects.length)} of ${counted(all, "record")} that were not booked` : "Records that were not booked";
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `${caption}: ${one.fileName}`, "data-focus": one.fileName },
    el("table", { class: "rejects" },
      el("caption", { text: caption }),
      el("thead", {}, el("tr", {}, ...["Record", "Verdict", "Portfolio Accounting's words"].map((text) => el("th", { scope: "col", text })))),
      el("tbody", {}, ...one.rejects.map((reject) =>
        el("tr", {}, el("th", { scope: "row" }, record(reject.sourceId, batchId)), el("td", { text: verdictOf(reject.verdict) }), el("td", { class: "words", text: reject.reason }))))));
}

/** The record's name; where it is one of ours, a button that shows the execution. */
function record(sourceId, batchId) {
  const ours = SOURCE_ID.exec(sourceId);
  if (!ours) return el("span", { text: sourceId || UNKNOWN });
  const error = el("span", { class: "error", role: "status" });
  const show = async () => {
    say(error, "");
    try {
      await showExecution(sourceId, await getExact(`executions/${ours[1]}`));
    } catch ({ message }) {
      say(error, ` ${message}`);
    }
  };
  return el("span", {}, el("button", {
    type: "button", class: "link", text: sourceId, "data-focus": `${batchId} ${sourceId}`, "aria-label": `${sourceId}: show the execution`, click: show,
  }), error);
}

function resolutions(those) {
  return el("ul", { class: "resolutions" }, ...those.map((one) =>
    el("li", {}, `${one.sourceId ?? "The whole file"} was settled by ${one.resolvedBy}, `, timeElement(one.resolved), `: ${one.reason}`)));
}
