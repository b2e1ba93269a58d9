// Numbers and times as people read them: in their own language and zone, with UTC beside it.

import { el } from "./dom.js";

const NUMBER = new Intl.NumberFormat();
const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const SHORT_CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const DATE = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric" });
const DATE_OF_ANOTHER_YEAR = new Intl.DateTimeFormat(undefined, { year: "numeric", month: "short", day: "numeric" });

export const UNKNOWN = "–";

/** A whole number, grouped; "–" for null. */
export const count = (number) => (number === null ? UNKNOWN : NUMBER.format(number));

/** "1 record", "2 records". */
export const counted = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;

/** A number that stands for itself or more, once it has reached what is counted at most. */
export const upTo = (number, most) => (number >= most ? `${count(most)}+` : count(number));

/** An instant on the reader's clock, with the date where it is not today's. */
export function localTime(instant, now = new Date()) {
  const moment = new Date(instant);
  return `${datePart(moment, now)}${CLOCK.format(moment)}`;
}

/** The same without seconds. */
export function shortTime(instant, now = new Date()) {
  const moment = new Date(instant);
  return `${datePart(moment, now)}${SHORT_CLOCK.format(moment)}`;
}

/** Hours and minutes alone. */
export const hourOf = (instant) => SHORT_CLOCK.format(new Date(instant));

function datePart(moment, now) {
  if (moment.toDateString() === now.toDateString()) return "";
  return `${(moment.getFullYear() === now.getFullYear() ? DATE : DATE_OF_ANOTHER_YEAR).format(moment)}, `;
}

/** "2026-03-02 15:00:01 UTC". */
export const utc = (instant) => `${new Date(instant).toISOString().slice(0, 19).replace("T", " ")} UTC`;

/** A <time> with the local time as its text and UTC as its title; "–" for null. */
export function timeElement(instant) {
  if (instant === null) return el("span", { text: UNKNOWN });
  return el("time", { datetime: instant, title: utc(instant), text: localTime(instant) });
}

const CLOCKS_DIFFER = 5000; // less is the way here, and whole seconds
let behind = 0;

/** Take the service's time: ages are told by its clock, where the reader's is set to another time. */
export function setClock(service) {
  const difference = service - Date.now();
  behind = Math.abs(difference) > CLOCKS_DIFFER ? difference : 0;
}

/** How long ago something was, in one unit: "40 s", "5 min", "3 h", "2 days". */
export function age(instant, now = Date.now() + behind) {
  const seconds = Math.max(0, Math.round((now - Date.parse(instant)) / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86400)} days`;
}

/** The reader's time zone, such as "Europe/Berlin". */
export const zone = () => Intl.DateTimeFormat().resolvedOptions().timeZone;
