// Asks again and again, gently: not while nobody looks, seldom while nothing happens, ever later while
// nobody answers.

import { get } from "./api.js";
import { setClock } from "./format.js";

const HURRIED = 1.1; // a service's answer may be a second old
const HURRY_FOR = 4; // seconds, after it was asked for
const BUSY = 2; // seconds, while something is under way
const USUAL = 5;
const QUIET = 15; // after QUIET_AFTER seconds without news
const QUIET_AFTER = 300;
const FIRST_RETRY = 1;
const LAST_RETRY = 30;

export class Live {
  #tag = null;
  #timer = 0;
  #asking = null;
  #failures = 0;
  #news = Date.now();
  #busy = false;
  #wantedAgain = false;
  #hurryUntil = 0;

  /**
   * @param onData called with each new overview
   * @param onState called with { state, error, at, retry }: "live", "paused", "lost" or "denied"
   */
  constructor(onData, onState) {
    this.onData = onData;
    this.onState = onState;
    this.at = null;
  }

  start() {
    document.addEventListener("visibilitychange", () => (document.hidden ? this.#pause() : this.askNow()));
    window.addEventListener("online", () => this.askNow());
    window.addEventListener("pageshow", (event) => event.persisted && this.askNow());
    this.askNow();
  }

  /** Ask at once, or as soon as the question that is open is answered, and again soon: news are expected. */
  askNow() {
    if (document.hidden) return;
    this.#hurryUntil = Date.now() + HURRY_FOR * 1000;
    if (this.#asking) this.#wantedAgain = true;
    else this.#ask();
  }

  async #ask() {
    clearTimeout(this.#timer);
    this.#wantedAgain = false;
    const asking = (this.#asking = new AbortController());
    try {
      const { body, tag, date } = await get("overview", { tag: this.#tag, signal: asking.signal });
      if (asking.signal.aborted) return;
      setClock(date);
      this.#answered(body, tag);
    } catch (error) {
      if (asking.signal.aborted) return;
      this.#failed(error);
    } finally {
      if (this.#asking === asking) this.#asking = null;
    }
    if (this.#wantedAgain) this.#ask();
  }

  #answered(body, tag) {
    this.#failures = 0;
    this.at = new Date();
    if (body !== null) {
      this.#tag = tag;
      this.#news = Date.now();
      this.#busy = body.waiting.deliveries.count > 0 || body.waiting.batches.count > 0;
      this.onData(body);
    }
    this.onState({ state: "live", at: this.at });
    const quiet = Date.now() - this.#news > QUIET_AFTER * 1000;
    const hurried = Date.now() < this.#hurryUntil;
    this.#askIn(hurried ? HURRIED : this.#busy ? BUSY : quiet ? QUIET : USUAL);
  }

  #failed(error) {
    if (error.status === 401 || error.status === 403) {
      this.onState({ state: "denied", error, at: this.at });
      return; // until a token is given
    }
    this.#failures += 1;
    const retry = Math.min(LAST_RETRY, FIRST_RETRY * 2 ** (this.#failures - 1));
    this.onState({ state: this.#failures > 1 ? "lost" : "shaky", error, at: this.at, retry });
    this.#askIn(retry);
  }

  #askIn(seconds) {
    // Pages that were opened together do not ask together for ever.
    this.#timer = setTimeout(() => this.#ask(), seconds * 1000 * (0.9 + Math.random() * 0.2));
  }

  #pause() {
    clearTimeout(this.#timer);
    this.#asking?.abort();
    this.#asking = null;
    this.onState({ state: "paused", at: this.at });
  }
}
