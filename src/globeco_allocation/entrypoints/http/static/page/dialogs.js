// Questions and answers in front of the page. <dialog> keeps the focus in, gives it back, and Esc cancels.

import { byId, el, refill, say } from "./dom.js";
import { timeElement } from "./format.js";

const UNREAD_MS = 600; // the second click of a double click answers no question that nobody has read

/** Open a dialog; resolves to whether it was answered with yes. */
function ask(dialog) {
  if (dialog.open) return Promise.resolve(false);
  dialog.returnValue = "no";
  dialog.showModal();
  const yes = dialog.querySelector("[data-answer=yes]");
  yes?.setAttribute("aria-disabled", "true");
  setTimeout(() => yes?.removeAttribute("aria-disabled"), UNREAD_MS);
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

for (const dialog of document.querySelectorAll("dialog")) {
  for (const button of dialog.querySelectorAll("[data-answer]")) {
    button.addEventListener("click", (click) => {
      const byPointer = click.detail > 0;
      if (!(byPointer && button.ariaDisabled === "true")) dialog.close(button.dataset.answer);
    });
  }
  dialog.addEventListener("cancel", () => (dialog.returnValue = "no"));
}

/** Say what will happen, and ask whether it shall; the focus is on the answer that changes nothing. */
export function confirm({ title, paragraphs, action }) {
  const dialog = byId("confirm");
  say(byId("confirm-title"), title);
  refill(byId("confirm-text"), ...paragraphs.map((text) => el("p", { text })));
  say(dialog.querySelector("[data-answer=yes]"), action);
  return ask(dialog);
}

/** Ask for a token; resolves to it, or to null when none was given, or when it is asked for already. */
export async function askForToken(text) {
  const input = byId("token-input");
  if (byId("token").open) return null; // what is typed there stays
  say(byId("token-text"), text);
  input.value = "";
  const given = await ask(byId("token"));
  const token = input.value.trim();
  input.value = "";
  return given && token ? token : null;
}

/** Show one execution; its amounts are the digits that the service sent. */
export function showExecution(sourceId, execution) {
  const fields = [
    ["Ticker", execution.ticker],
    ["Trade", `${execution.tradeType} ${execution.quantity}`],
    ["Filled", execution.quantityFilled],
    ["Average price", execution.averagePrice],
    ["Total amount", execution.totalAmount],
    ["Limit price", execution.limitPrice],
    ["Status", execution.executionStatus],
    ["Destination", execution.destination],
    ["Security", execution.securityId],
    ["Portfolio", execution.portfolioId],
    ["Sent out", timeElement(execution.sentTimestamp)],
    ["Execution service id", execution.executionServiceId],
  ];
  say(byId("execution-title"), `${sourceId}: ${execution.ticker}`);
  refill(byId("execution-body"), el("dl", { class: "pairs" }, ...fields.map(([name, value]) =>
    el("div", {}, el("dt", { text: name }), el("dd", {}, value ?? "–")))));
  return ask(byId("execution"));
}
