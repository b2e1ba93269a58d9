// Calls to this service, wherever a gateway has put it.

const BASE = new URL("../api/v1/", import.meta.url);
const TOKEN = "globeco-allocation-token";
const READ_SECONDS = 15;
const SEND_WAIT = 60; // the longest that a send may be asked to wait for its end
const SEND_SECONDS = SEND_WAIT + READ_SECONDS;
const TOKEN_CHARACTERS = /^[\w.~+/=-]+$/; // RFC 6750, 2.1: others cannot be sent
const NUMBERS = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

/** The service answered that it will not or cannot; status 0: it did not answer. */
export class ApiError extends Error {
  constructor(status, message, details = null) {
    super(message);
    this.status = status;
    this.details = details;
  }
}

/** Tell whether this could be a token. */
export function canBeToken(text) {
  return TOKEN_CHARACTERS.test(text);
}

let token = remembered();

function remembered() {
  try {
    const kept = sessionStorage.getItem(TOKEN) ?? "";
    return canBeToken(kept) ? kept : "";
  } catch {
    return ""; // storage is switched off: the token lives as long as the page
  }
}

/** Send this token from now on; "" for none. */
export function useToken(text) {
  token = text;
  try {
    if (text) sessionStorage.setItem(TOKEN, text);
    else sessionStorage.removeItem(TOKEN);
  } catch {
    // as above
  }
}

export const hasToken = () => token !== "";

/** GET; returns { body, tag, date }, with body null when it is still what *tag* stands for. */
export async function get(path, { tag = null, signal = null } = {}) {
  const answer = await call("GET", path, READ_SECONDS, tag ? { "If-None-Match": tag } : {}, signal);
  const date = Date.parse(answer.headers.get("Date"));
  if (answer.status === 304) return { body: null, tag, date };
  return { body: await json(answer), tag: answer.headers.get("ETag"), date };
}

/** GET, with every number as the digits that were sent: money is never a binary float. */
export async function getExact(path) {
  const text = await (await call("GET", path, READ_SECONDS)).text();
  return JSON.parse(text.replace(NUMBERS, (found) => (found.startsWith('"') ? found : `"${found}"`)));
}

/** POST an empty object: it is said to be JSON, so that no other site's page can have it sent. */
export async function post(path) {
  const headers = { "Content-Type": "application/json", Prefer: `wait=${SEND_WAIT}` };
  return json(await call("POST", path, SEND_SECONDS, headers));
}

async function call(method, path, seconds, headers = {}, signal = null) {
  const asked = { ...headers, Accept: "application/json" };
  const sent = token;
  if (sent) asked.Authorization = `Bearer ${sent}`;
  const limit = AbortSignal.timeout(seconds * 1000);
  let answer;
  try {
    answer = await fetch(new URL(path, BASE), {
      method,
      headers: asked,
      body: method === "POST" ? "{}" : null,
      cache: "no-store",
      credentials: "same-origin",
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
    });
  } catch {
    throw new ApiError(0, "The service did not answer.");
  }
  if (answer.ok || answer.status === 304) return answer;
  if (answer.status === 401 && sent !== token) return call(method, path, seconds, headers, signal); // given meanwhile
  const told = await answer.json().catch(() => ({}));
  const message = typeof told.message === "string" ? told.message : `The service answered ${answer.status}.`;
  throw new ApiError(answer.status, message, told.details ?? null);
}

async function json(answer) {
  try {
    return await answer.json();
  } catch {
    throw new ApiError(0, "The service's answer broke off.");
  }
}
