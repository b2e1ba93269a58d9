// The list of batches. A row stays the same node as long as its batch is shown: focus and what is open stay.

import { get } from "./api.js";
import { badge, showDetail } from "./batch-detail.js";
import { announce, arrange, byId, el, refill, say, svg } from "./dom.js";
import { count, timeElement } from "./format.js";
import { mayBeResent, statusOf } from "./words.js";

const OLDER_AT_ONCE = 25;
const MOST_LISTED = 1000; // the service's own limit

const rows = new Map();
const toOpen = new Set();
let newest = []; // with those that a person must look at
let listed = []; // so many of the newest as were asked for, once older ones were
let wanted = 0;
let total = 0;
let question = 0;
let onResend = () => {};
let isFirst = true;

/** Have resends asked for by calling this with a batch. */
export function whenResent(listener) {
  onResend = listener;
}

/** Show the batches of an overview, and the older ones that were asked for. */
export function showBatches(overview) {
  const changed = overview.batches.filter((one) => !isFirst && rows.get(one.id)?.batch.status !== one.status);
  newest = overview.batches;
  total = overview.batchCount;
  if (changed.length) announce(changed.map((one) => `Batch ${one.id}: ${statusOf(one.status).word}.`).join(" "));
  isFirst = false;
  draw();
  if (wanted) list().catch(() => {}); // the next overview has it asked for again
}

/** Open a batch's details, as soon as it is shown. */
export function openBatch(batchId) {
  if (rows.has(batchId)) rows.get(batchId).open(true);
  else toOpen.add(batchId);
}

byId("older").addEventListener("click", async (event) => {
  const button = event.currentTarget;
  button.setAttribute("aria-busy", "true");
  wanted = Math.min(MOST_LISTED, rows.size + OLDER_AT_ONCE);
  say(byId("older-error"), "");
  try {
    await list();
  } catch (error) {
    say(byId("older-error"), error.message);
  }
  button.removeAttribute("aria-busy");
});

/** Ask for the list from its beginning: it has no gap then, and no status that is no more. */
async function list() {
  const asked = (question += 1);
  const { body } = await get(`batches?limit=${wanted}`);
  if (asked !== question) return;
  listed = body.batches.map(summary);
  draw();
}

/** A batch of the list, which tells less than the overview; what is missing is seen in its details. */
function summary(one) {
  return { ...one, acceptedCount: null, rejectedCount: null, unknownCount: null, attempts: null, nextAttempt: null, errors: [] };
}

function draw() {
  const known = new Set(newest.map((one) => one.id));
  const shown = [...newest, ...listed.filter((one) => !known.has(one.id) && known.add(one.id))].sort((one, other) => other.id - one.id);
  for (const id of [...rows.keys()]) if (!known.has(id)) rows.delete(id);
  for (const batch of shown) {
    if (rows.has(batch.id)) rows.get(batch.id).update(batch);
    else rows.set(batch.id, new Row(batch));
    if (toOpen.delete(batch.id)) rows.get(batch.id).open(true);
  }
  arrange(byId("batches"), shown.map((batch) => rows.get(batch.id).node));
  const none = byId("no-batches");
  none.hidden = shown.length > 0;
  none.textContent = "No batch was sent yet. The first one is made when executions are ready and somebody sends them.";
  byId("older").hidden = shown.length >= Math.min(total, MOST_LISTED);
}

class Row {
  constructor(batch) {
    const detailId = `batch-${batch.id}-detail`;
    this.toggle = el("button", {
      type: "button", class: "toggle", "aria-expanded": "false", "aria-controls": detailId, click: () => this.open(!this.isOpen),
    }, svg("svg", { class: "chevron", viewBox: "0 0 16 16", width: 14, height: 14, "aria-hidden": "true" }, svg("path", { d: "M6 3.5 10.5 8 6 12.5" })),
    `Batch ${batch.id}`);
    this.facts = el("dl", { class: "facts" });
    this.error = el("p", { class: "error", hidden: "" });
    this.action = el("div", { class: "action" });
    this.detail = el("div", { class: "detail", id: detailId, hidden: "" });
    this.node = el("li", { class: "batch" },
      el("div", { class: "row" }, el("h3", {}, this.toggle), this.facts, this.action), this.error, this.detail);
    this.isOpen = false;
    this.told = "";
    this.update(batch);
  }

  update(batch) {
    const told = JSON.stringify(batch);
    if (told === this.told) return;
    this.told = told;
    this.batch = batch;
    this.node.dataset.kind = statusOf(batch.status).kind;
    refill(this.facts, ...this.#facts());
    this.error.hidden = !batch.errors.length;
    say(this.error, batch.errors.join("; "));
    refill(this.action, mayBeResent(batch.status) ? el("button", {
      type: "button", "data-focus": `resend ${batch.id}`, text: "Send again…", "aria-label": `Send batch ${batch.id} again…`, click: () => onResend(this.batch),
    }) : null);
    if (this.isOpen) this.#load();
  }

  open(open) {
    this.isOpen = open;
    this.toggle.setAttribute("aria-expanded", String(open));
    this.detail.hidden = !open;
    if (open) this.#load();
  }

  #load() {
    const asked = this.told;
    showDetail(this.detail, this.batch.id, () => this.isOpen && this.told === asked);
  }

  #facts() {
    const { startTime, status, recordCount, acceptedCount, rejectedCount, unknownCount, attempts, nextAttempt } = this.batch;
    const notBooked = rejectedCount === null ? null : rejectedCount + (unknownCount ?? 0);
    const pair = (name, kind, ...value) => el("div", { class: kind }, el("dt", { text: name }), el("dd", {}, ...value));
    return [
      pair("Claimed", "claimed", timeElement(startTime)),
      pair("Status", "status", badge(status)),
      pair("Records", "num", count(recordCount)),
      pair("Booked", "num", count(acceptedCount)),
      pair("Not booked", notBooked ? "num alarming" : "num", count(notBooked)),
      pair("Attempts", "num", count(attempts), nextAttempt ? el("small", {}, "next ", timeElement(nextAttempt)) : null),
    ];
  }
}
