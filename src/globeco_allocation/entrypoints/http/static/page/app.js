// The operator's page: puts its parts together.

import { ApiError, canBeToken, hasToken, post, useToken } from "./api.js";
import { openBatch, showBatches, whenResent } from "./batches.js";
import { showDay } from "./chart.js";
import { askForToken, confirm } from "./dialogs.js";
import { announce, byId, el, say } from "./dom.js";
import { age, counted, localTime, upTo, utc, zone } from "./format.js";
import { Live } from "./live.js";
import { showWaiting } from "./waiting.js";

const VERSION = document.querySelector("meta[name=version]").content;
const NO_CLI = "No accounting CLI is set (CLI_COMMAND): the file is written and stays where it is.";
const WORDS = { loading: "Connecting", live: "Live", shaky: "Reconnecting", lost: "Connection lost", paused: "Paused", denied: "No access" };

let overview = null;
let connection = "loading";
let sending = false;

const live = new Live(show, connected);

function show(news) {
  overview = news;
  showWaiting(news);
  showDay(news);
  showBatches(news);
  notice("stopped", news.stopped && "bad", `All delivery is stopped until an operator decides (globeco-allocation batches resolve): ${news.stopped}`);
  notice("no-cli", news.executionMode === "none" && "warn", NO_CLI);
  notice("version", news.version !== VERSION && "quiet", `The service is of version ${news.version} now, this page of ${VERSION}.`,
    { text: "Reload", act: () => location.reload() });
  offerSend();
}

function connected({ state, error, at, retry }) {
  if (state !== connection && (state === "lost" || connection === "lost")) announce(state === "live" ? "Connected again." : WORDS[state]);
  connection = state;
  byId("connection").dataset.state = state;
  say(byId("connection-word"), WORDS[state]);
  const since = byId("connection-since");
  say(since, at ? `as of ${localTime(at)}` : "");
  since.title = at ? utc(at) : "";
  document.body.classList.toggle("stale", state === "lost" || state === "denied");
  const asOf = at ? ` What is shown was so at ${localTime(at)}.` : " Nothing is known yet.";
  notice("lost", state === "lost" && "bad", `${lostWords(error)}${asOf} It is asked again every ${retry} s.`, { text: "Ask now", act: () => live.askNow() });
  if (state === "denied") denied(error);
  else if (state === "live") notice("denied", false);
  offerSend();
}

const lostWords = (error) => (error?.status ? `The service answers that it cannot tell: ${error.message}` : "The connection to the service is lost.");

async function denied(error) {
  const again = { text: "Give a token", act: () => giveToken(error) };
  notice("denied", "bad", error.status === 403 ? "Your token has no right to read." : "The service tells nothing without a token.", again);
  await giveToken(error);
}

const NOT_ACCEPTED = "The token that was given is not accepted.";
const ASK_FOR_ONE = "Ask whoever runs it; one with the right to read shows this page, one with the right to send may send.";

async function giveToken(error) {
  const refused = error.status === 401 && hasToken();
  if (error.status === 401) useToken("");
  let token = await askForToken(error.status === 403 ? error.message : refused ? NOT_ACCEPTED : ASK_FOR_ONE);
  while (token !== null && !canBeToken(token)) token = await askForToken(NOT_ACCEPTED);
  if (token === null) return false;
  useToken(token);
  notice("denied", false);
  live.askNow();
  return true;
}

/** Show a line above everything else, or with no kind take it away. */
function notice(name, kind, text = "", action = null) {
  const before = byId(`notice-${name}`);
  if (!kind) {
    before?.remove();
    return;
  }
  if (before?.dataset.text === text) return;
  const node = el("div", { class: "notice", id: `notice-${name}`, "data-kind": kind, "data-text": text }, el("p", { text }),
    action ? el("button", { type: "button", text: action.text, click: action.act }) : null);
  const hadFocus = before?.contains(document.activeElement);
  if (before) before.replaceWith(node);
  else byId("notices").append(node);
  if (hadFocus) node.querySelector("button")?.focus();
}

function offerSend() {
  const button = byId("send");
  const why = whyNotSend();
  button.setAttribute("aria-disabled", String(why !== ""));
  button.setAttribute("aria-busy", String(sending));
  say(button, sending ? "Sending…" : "Send batch…");
  say(byId("send-hint"), why);
  button.title = why;
}

function whyNotSend() {
  if (sending) return "A batch is being sent.";
  if (overview === null) return "Nothing is known yet.";
  if (connection === "lost" || connection === "denied") return "The service cannot be asked now.";
  return overview.waiting.executions.count ? "" : "Nothing is ready to be sent.";
}

byId("send").addEventListener("click", async () => {
  if (whyNotSend()) {
    announce(whyNotSend());
    return;
  }
  const { executions, mostCounted } = overview.waiting;
  const many = executions.count >= mostCounted ? `${upTo(executions.count, mostCounted)} executions` : counted(executions.count, "execution");
  const agreed = await confirm({
    title: `Send ${many}?`,
    paragraphs: [
      `Everything that is ready goes out as one batch: ${many} now, the oldest ready for ${age(executions.oldest)}.`,
      overview.executionMode === "none" ? NO_CLI : "Portfolio Accounting books it. This cannot be taken back.",
      ...(overview.stopped ? ["All delivery is stopped: the batch is written, and waits."] : []),
    ],
    action: "Send batch",
  });
  if (agreed) await send("executions/send", "The batch");
});

whenResent(async (batch) => {
  const open = (batch.rejectedCount ?? 0) + (batch.unknownCount ?? 0);
  const agreed = await confirm({
    title: `Send batch ${batch.id} again?`,
    paragraphs: [
      `Its failed and partial files are delivered again as they are, last in the queue${open ? `: ${counted(open, "record")} not booked so far` : ""}.`,
      "Portfolio Accounting refuses what it has, so nothing is booked twice.",
    ],
    action: "Send again",
  });
  if (agreed) await send(`batches/${batch.id}/resend`, `Batch ${batch.id}`);
});

async function send(path, what) {
  sending = true;
  notice("outcome", false);
  offerSend();
  live.askNow();
  try {
    const { batchId, status, message } = await post(path);
    outcome(status === "success" ? "good" : status === "partial" ? "warn" : "quiet", `Batch ${batchId}: ${message}`, batchId);
  } catch (error) {
    refused(error, what);
  }
  sending = false;
  offerSend();
  live.askNow();
}

function refused(error, what) {
  if (!(error instanceof ApiError)) throw error;
  if (error.status === 401) {
    denied(error);
  } else if (error.status === 403) {
    outcome("bad", `Nothing was sent. ${error.message}`, null, { text: "Give another token", act: () => giveToken(error) });
  } else if (error.status === 0) {
    outcome("bad", `${error.message} ${what} may have been sent all the same: see the list below before you try again.`);
  } else {
    const { batchId = null } = error.details ?? {};
    outcome("bad", batchId ? `Batch ${batchId}: ${error.message}` : error.message, batchId);
  }
}

function outcome(kind, text, batchId = null, action = null) {
  notice("outcome", false);
  notice("outcome", kind, text, action ?? { text: "Close", act: () => closeOutcome() });
  announce(text);
  if (batchId !== null && kind !== "good") openBatch(batchId);
}

function closeOutcome() {
  notice("outcome", false);
  byId("send").focus();
}

say(byId("zone"), `Times in ${zone() === "UTC" ? "UTC" : `${zone()}; UTC where you point at one`}. Version ${VERSION}.`);
say(byId("connection-word"), WORDS[connection]);
offerSend();
live.start();
