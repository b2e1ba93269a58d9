// What waits: four figures.

import { byId, el, refill, say } from "./dom.js";
import { age, count, counted, shortTime, upTo, utc } from "./format.js";

const REFRESH_MS = 5000;

let last = null;

/** Show what waits. */
export function showWaiting(overview) {
  last = overview;
  draw();
}

setInterval(() => last && !document.hidden && draw(), REFRESH_MS); // "5 min ago" grows older by itself

function draw() {
  const { executions, pending, inError, deliveries, batches, unresolved, mostCounted: most } = last.waiting;
  tile("executions", executions, most, ready(executions));
  tile("pending", pending, most, portfolios(pending, inError), inError.count ? "bad" : null);
  tile("deliveries", deliveries, most, underWay(deliveries, batches), deliveries.count ? "busy" : null);
  tile("unresolved", unresolved, most, unsettled(unresolved), unresolved.count ? "warn" : null);
}

function tile(name, waiting, most, about, kind = null) {
  const node = byId(`tile-${name}`);
  say(node.querySelector("[data-figure]"), upTo(waiting.count, most));
  const words = node.querySelector("[data-about]");
  if (words.textContent !== about.map((part) => part.textContent ?? part).join("")) refill(words, ...about);
  node.dataset.kind = kind ?? "";
}

function ready(executions) {
  return executions.count ? since("The oldest for", executions.oldest) : ["Nothing is ready."];
}

function portfolios(pending, inError) {
  const given = inError.count ? [el("strong", { text: `${count(inError.count)} given up` })] : [];
  if (!pending.count && !inError.count) return ["None is being looked up."];
  return [...given, ...(given.length && pending.count ? ["; "] : []), ...(pending.count ? since("the oldest for", pending.oldest) : [])];
}

function underWay(deliveries, batches) {
  if (deliveries.count) return [`${counted(deliveries.recordCount, "record")}, `, ...since("the oldest for", deliveries.oldest)];
  return batches.count ? [`${counted(batches.count, "batch", "batches")} being written.`] : ["Nothing is under way."];
}

function unsettled(unresolved) {
  if (!unresolved.count) return ["Nothing failed, nothing refused."];
  const what = counted(unresolved.count, "delivery", "deliveries");
  return [`${what} failed or partial, ${counted(unresolved.recordCount, "record")} to look at.`];
}

function since(words, instant) {
  return [`${words} `, el("time", { datetime: instant, title: `${shortTime(instant)}; ${utc(instant)}`, text: age(instant) })];
}
