// The last day: above the middle what became ready, below it what was booked, between them the batches.

import { byId, el, refill, say, svg } from "./dom.js";
import { count, counted, hourOf, shortTime, utc } from "./format.js";

const HALF_HOUR = 30 * 60 * 1000;
const HEIGHT = 208;
const BOTTOM = 20; // for the hours
const LANE = 18; // for the batches
const LABELS = 48; // for the numbers
const TOP = 8;

let halfHours = [];

/** Show the half hours of an overview. */
export function showDay(overview) {
  halfHours = overview.halfHours;
  draw();
  table();
  say(byId("readout"), summary());
}

new ResizeObserver(() => halfHours.length && draw()).observe(byId("chart"));

function draw() {
  const width = Math.max(240, byId("chart").clientWidth);
  const highest = niceAbove(Math.max(1, ...halfHours.map((one) => Math.max(one.readyCount ?? 0, out(one)))));
  const half = (HEIGHT - TOP - BOTTOM - LANE) / 2;
  const step = (width - LABELS) / halfHours.length;
  const place = { half, step, scale: (number) => (number / highest) * half };
  const chart = svg("svg", {
    width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-label": summary(),
  });
  chart.append(...grid(width, half, highest), ...halfHours.map((one, number) => stretch(one, number, place)));
  chart.append(...hours(step, width));
  byId("chart").replaceChildren(chart);
}

function grid(width, half, highest) {
  const up = TOP + half;
  const down = up + LANE;
  const line = (y, kind = "line") => svg("line", { class: kind, x1: LABELS - 6, x2: width, y1: y, y2: y });
  const label = (y, text) => svg("text", { class: "label", x: LABELS - 10, y: y + 4, "text-anchor": "end", text });
  return [
    line(TOP), line(up, "axis"), line(down, "axis"), line(down + half),
    label(TOP, short(highest)), label(up + LANE / 2, "0"), label(down + half - 2, short(highest)),
  ];
}

function stretch(one, number, { half, step, scale }) {
  const x = LABELS + number * step;
  const gap = step > 6 ? 1.5 : 0.5;
  const up = TOP + half;
  const down = up + LANE;
  const bar = (kind, y, height) =>
    height > 0 ? svg("rect", { class: kind, x: x + gap, width: step - 2 * gap, y, height, rx: Math.min(1.5, step / 4) }) : null;
  const tall = (amount) => (amount ? Math.max(1.5, scale(amount)) : 0);
  const ready = tall(one.readyCount);
  const booked = tall(one.bookedCount);
  return svg(
    "g", { pointerenter: () => say(byId("readout"), told(one)), pointerleave: () => say(byId("readout"), summary()) },
    svg("rect", { class: "hover", x, width: step, y: 0, height: HEIGHT - BOTTOM }),
    one.readyCount === null ? bar("unknown", TOP, half) : bar("ready", up - ready, ready),
    one.batchCount ? svg("circle", { class: "mark", cx: x + step / 2, cy: up + LANE / 2, r: Math.min(6, Math.max(2.5, step / 3)) }) : null,
    bar("booked", down, booked),
    bar("rejected", down + booked, tall(notBooked(one))),
  );
}

/** Label every third hour of the reader's clock, or every sixth where there is little room. */
function hours(step, width) {
  const every = step * 6 > 64 ? 3 : 6;
  return halfHours.flatMap((one, number) => {
    const start = new Date(one.start);
    const x = LABELS + number * step;
    if (start.getMinutes() >= 30 || start.getHours() % every || x > width - 20) return [];
    return [svg("text", { class: "label", x, y: HEIGHT - 4, "text-anchor": number ? "middle" : "start", text: hourOf(one.start) })];
  });
}

const notBooked = (one) => one.rejectedCount + one.unknownCount;
const out = (one) => one.bookedCount + notBooked(one);
const sum = (read) => halfHours.reduce((total, one) => total + (read(one) ?? 0), 0);

function summary() {
  if (halfHours.every((one) => !one.readyCount && one.readyCount !== null && !one.batchCount && !out(one))) {
    return "Nothing came in or went out in the last 24 hours.";
  }
  const partly = halfHours.some((one) => one.readyCount === null) ? " (still counting)" : "";
  return `Last 24 hours: ${words(sum((one) => one.readyCount), sum((one) => one.batchCount), sum((one) => one.bookedCount), sum(notBooked))}${partly}.`;
}

function told(one) {
  const end = new Date(Date.parse(one.start) + HALF_HOUR);
  return `${shortTime(one.start)} to ${hourOf(end)}: ${words(one.readyCount, one.batchCount, one.bookedCount, notBooked(one))}.`;
}

const words = (ready, batches, booked, rejected) =>
  `${ready === null ? "executions not counted yet" : `${counted(ready, "execution")} ready`}, ` +
  `${counted(batches, "batch", "batches")}, ${count(booked)} booked, ${count(rejected)} not booked`;

function table() {
  const happened = halfHours.filter((one) => one.readyCount || one.batchCount || out(one)).reverse();
  const head = ["Half hour from", "Ready", "Batches", "Booked", "Not booked"];
  refill(
    byId("day-table"),
    el("caption", { text: happened.length ? "Half hours in which anything happened, newest first" : "Nothing happened in the last day." }),
    el("thead", {}, el("tr", {}, ...head.map((text, place) => el("th", { scope: "col", class: place ? "num" : null, text })))),
    el("tbody", {}, ...happened.map((one) =>
      el("tr", {},
        el("th", { scope: "row" }, el("time", { datetime: one.start, title: utc(one.start), text: shortTime(one.start) })),
        ...[one.readyCount, one.batchCount, one.bookedCount, notBooked(one)].map((number) => el("td", { class: "num", text: count(number) })),
      ))),
  );
}

/** A round number at or above a number. */
function niceAbove(number) {
  const power = 10 ** Math.floor(Math.log10(number));
  return [1, 2, 3, 4, 5, 6, 8, 10].map((factor) => factor * power).find((nice) => nice >= number);
}

function short(number) {
  if (number >= 1e6) return `${number / 1e6}M`;
  return number >= 1e4 ? `${number / 1e3}k` : count(number);
}
