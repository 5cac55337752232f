// The ladder as a picture: what comes in stands at its foot, climbs from rung to rung, and leaves at the top if nobody ever confirms.
// On each rung the dot is the next to go on, on its way from the left rail, where its wait began, to the right one, where it is due. The
// bar beside the rung is how much waits there, on a scale of powers of ten.

import { el, show, svg } from "./dom.js";
import { cause, count, due, is_late, length, now } from "./words.js";

/** Heights in pixels: of a row, and of the line that says what stands below it. */
const ROW = 36, HEAD = 26;
/** How many rungs are drawn. The ladders of many merchants have more between them; those with most upon them are drawn then. */
const DRAWN = 14;

const sum = (rows, number) => rows.reduce((total, row) => total + number(row), 0);

/** Where things stand in a picture of that width, from its left edge. Without room there are no bars. */
function columns(width) {
  const left = width < 480 ? 70 : 76;
  const bars = width < 480 ? 0 : Math.round(width * 0.24);
  const right = width - bars - (width < 480 ? 150 : 186);
  return { left, right, due: right + 18, count: width - bars - (bars ? 14 : 0), bar: width - bars, bars };
}

/** The rungs that are drawn, the longest first, and what is left out. */
function chosen({ rungs }) {
  if (rungs.length <= DRAWN) return [[...rungs].reverse(), []];
  const most = new Set([...rungs].sort((one, other) => other.waiting - one.waiting).slice(0, DRAWN));
  return [rungs.filter((rung) => most.has(rung)).reverse(), rungs.filter((rung) => !most.has(rung))];
}

/** The rung whose next is the next of all. */
const soonest = ({ rungs }) => rungs.filter((rung) => rung.waiting > 0)
  .reduce((first, rung) => (first && first.next_due <= rung.next_due ? first : rung), null);

function rows(ladder) {
  const ended = ladder.ended_24h.exhausted, fresh = ladder.work_queue, first = soonest(ladder);
  return [
    { name: "given up", waiting: ended, says: ended ? "last 24 h" : "", is_bad: ended > 0 },
    ...chosen(ladder)[0].map((rung) => {
      const waits = rung.waiting > 0;
      return {
        name: length(rung.delay_ms), is_rung: true, waiting: rung.waiting, says: waits ? due(rung.next_due) : "", is_first: rung === first,
        is_bad: waits && is_late(rung.next_due), way: waits ? 1 - Math.min(1, Math.max(0, (Date.parse(rung.next_due) - now()) / rung.delay_ms)) : null,
      };
    }),
    { name: "new", waiting: fresh.waiting, says: fresh.next_due ? due(fresh.next_due) : "", is_bad: is_late(fresh.next_due) },
  ];
}

/** How long the bar is, from 0 to 1. */
const share = (waiting, most) => Math.log10(waiting + 1) / Math.log10(Math.max(most, 9) + 1);

function row({ name, is_rung, waiting, says, way, is_bad, is_first }, index, at, most) {
  const y = HEAD + ROW * index + ROW / 2, room = at.right - at.left;
  const kind = ["rung", waiting ? "" : "idle", is_bad ? "bad" : "", is_first ? "soonest" : ""].join(" ").trim();
  const track = (width, name) => svg("rect", { x: at.left + 2.5, y: y - 4, width: Math.max(0, width - 5), height: 8, class: name });
  return svg("g", { class: kind },
    svg("text", { x: at.left - 14, y: y + 4.5, "text-anchor": "end", class: "delay" }, name),
    is_rung ? track(room, "track") : null,
    way ? track(room * way, "way") : null,
    way === null || way === undefined ? null : svg("circle", { cx: at.left + room * way, cy: y, r: 6.5, class: "next-one" }),
    svg("text", { x: at.due, y: y + 4.5, class: "says" }, says),
    svg("text", { x: at.count, y: y + 4.5, "text-anchor": "end", class: "count" }, count(waiting)),
    waiting && at.bars ? svg("rect", { x: at.bar, y: y - 6, width: Math.max(3, at.bars * share(waiting, most)), height: 12, rx: 2, class: "bar" }) : null);
}

function picture(ladder, width) {
  const shown = rows(ladder), at = columns(width), height = HEAD + ROW * shown.length;
  const most = Math.max(...shown.map((one) => one.waiting));
  const rail = (x) => svg("line", { x1: x, x2: x, y1: HEAD + 10, y2: height - 8, class: "rail" });
  const head = (x, text, end) => svg("text", { x, y: 12, class: "says", "text-anchor": end ? "end" : "start" }, text);
  return svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true", class: "ladder" },
    head(at.left - 14, "wait", true), at.bars ? head(at.left, "the next one, on its way") : null, head(at.due, "due"), head(at.count, "waiting", true),
    rail(at.left), rail(at.right), shown.map((one, index) => row(one, index, at, most)));
}

/** The same in words, for those who do not see it. */
function spoken(ladder) {
  const line = ({ name, waiting, says }) => el("tr", {}, el("th", { scope: "row" }, name), el("td", {}, count(waiting)), el("td", {}, says));
  return el("table", { class: "unseen" }, el("caption", {}, "What waits on each rung"),
    el("thead", {}, el("tr", {}, ["Rung", "Waiting", "Next due"].map((head) => el("th", { scope: "col" }, head)))),
    el("tbody", {}, rows(ladder).map(line)));
}

/** In a line: how much waits, and when the next attempt is due. */
function summary(ladder) {
  const waiting = sum(ladder.rungs, (rung) => rung.waiting), first = soonest(ladder);
  if (!first) return "nothing waits for another attempt";
  return `${count(waiting)} ${waiting === 1 ? "waits" : "wait"} for another attempt, the next ${due(first.next_due)}`;
}

/** What stands beside the ladder, and spends no attempt. */
function held(ladder) {
  const [, left_out] = chosen(ladder);
  const more = left_out.length ? el("p", { class: "soft" }, `${count(left_out.length)} rungs with less upon them are not drawn: ${count(sum(left_out, (rung) => rung.waiting))} waiting there.`) : null;
  if (ladder.held.length === 0) return [more, el("p", { class: "soft" }, "Nothing is held beside the ladder.")];
  const of_cause = ({ cause: name, count: number }) => el("div", {}, el("dt", {}, cause(name)), el("dd", {}, count(number)));
  return [more, el("h3", {}, "Held beside it, spending no attempt"),
    el("dl", { class: "held" }, [...ladder.held].sort((one, other) => other.count - one.count).map(of_cause))];
}

/** What is to be seen of the ladder; `draw` shows it as it is now. */
export function panel() {
  const place = el("div", { class: "drawing" }), words = el("div", { class: "unseen-box" }), beneath = el("div", { class: "beneath" });
  const line = el("p", { class: "soft", id: "ladder-line" });
  let last = null, said = "";
  const draw = (ladder = last) => {
    last = ladder;
    if (!ladder) return;
    const width = Math.max(280, Math.floor(place.clientWidth) || 560);
    show(place, picture(ladder, width));
    show(line, summary(ladder));
    // Whoever listens is not told anew each second.
    const key = JSON.stringify(ladder.rungs);
    if (key !== said) show(words, spoken(ladder));
    said = key;
    show(beneath, ...held(ladder).filter(Boolean));
  };
  const observer = new ResizeObserver(() => draw());
  observer.observe(place);
  const section = el("section", { class: "panel", "aria-labelledby": "ladder-head" },
    el("div", { class: "head" }, el("h2", { id: "ladder-head" }, "Ladder"), line), place, words, beneath);
  return { section, draw, end: () => observer.disconnect() };
}
