// The ladder as a picture: what comes in stands at its foot, climbs from rung to rung, and leaves at the top if nobody ever confirms.
// The bar on a rung is how much waits there, on a scale of powers of ten; the dot is the first of them, on its way to the right rail.

import { el, show, svg } from "./dom.js";
import { count, due, is_late, length, now } from "./words.js";

/** The height of a row, and where the rails are, from the left and from the right edge, in pixels. */
const ROW = 38, LEFT = 76, RIGHT = 132;

const total = (ladder) => ladder.held.reduce((sum, row) => sum + row.count, 0);

function rows(ladder) {
  const ended = ladder.ended_24h.exhausted;
  return [
    { name: "given up", waiting: ended, says: ended ? "in 24 h" : "", is_end: true },
    ...[...ladder.rungs].reverse().map((rung) => ({
      name: length(rung.delay_ms), waiting: rung.waiting, due: rung.next_due, delay: rung.delay_ms,
      says: rung.waiting ? `next ${due(rung.next_due)}` : "", late: rung.waiting > 0 && is_late(rung.next_due),
    })),
    { name: "new", waiting: ladder.work_queue.waiting, says: ladder.work_queue.waiting ? "first attempt" : "", is_end: true },
  ];
}

/** How long the bar is, from 0 to 1. */
const share = (waiting, most) => (waiting ? Math.log10(waiting + 1) / Math.log10(Math.max(most, 9) + 1) : 0);

function row({ name, waiting, says, due: at, delay, late, is_end }, index, width, most) {
  const y = ROW * index + ROW / 2, from = LEFT, to = width - RIGHT, room = to - from;
  const kind = `${waiting ? "" : "idle"} ${late || (is_end && index === 0 && waiting) ? "bad" : ""}`;
  const way = at && delay ? 1 - Math.min(1, Math.max(0, (Date.parse(at) - now()) / delay)) : null;
  return svg("g", { class: `rung ${kind}` },
    svg("text", { x: from - 14, y: y + 4, "text-anchor": "end", class: "delay" }, name),
    is_end ? null : svg("line", { x1: from, x2: to, y1: y, y2: y, class: "line" }),
    waiting ? svg("rect", { x: from, y: y - 5, width: Math.max(4, room * share(waiting, most)), height: 10, rx: 2, class: "bar" }) : null,
    way === null ? null : svg("circle", { cx: from + room * way, cy: y, r: 5, class: "first" }),
    svg("text", { x: to + 14, y: waiting && says ? y - 1 : y + 4, class: "count" }, count(waiting)),
    waiting && says ? svg("text", { x: to + 14, y: y + 12, class: "says" }, says) : null);
}

function picture(ladder, width) {
  const shown = rows(ladder), height = ROW * shown.length;
  const most = Math.max(...shown.map((one) => one.waiting));
  const rail = (x) => svg("line", { x1: x, x2: x, y1: ROW / 2, y2: height - ROW / 2, class: "rail" });
  return svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true", class: "ladder" },
    rail(LEFT), rail(width - RIGHT), shown.map((one, index) => row(one, index, width, most)));
}

/** The same in words, for those who do not see it. */
function spoken(ladder) {
  const line = ({ name, waiting, says }) => el("tr", {}, el("th", { scope: "row" }, name), el("td", {}, count(waiting)), el("td", {}, says));
  return el("table", { class: "unseen" }, el("caption", {}, "What waits on each rung"),
    el("thead", {}, el("tr", {}, ["Rung", "Waiting", "Next"].map((head) => el("th", { scope: "col" }, head)))),
    el("tbody", {}, rows(ladder).map(line)));
}

/** What is to be seen of the ladder; `draw` shows it as it is now. */
export function panel() {
  const place = el("div", { class: "drawing" }), words = el("div", { class: "unseen-box" }), beneath = el("p", { class: "soft" });
  let last = null, said = "";
  const draw = (ladder = last) => {
    last = ladder;
    if (!ladder) return;
    const width = Math.max(280, Math.floor(place.clientWidth) || 560);
    show(place, picture(ladder, width));
    // Whoever listens is not told anew each second.
    const key = JSON.stringify(ladder.rungs);
    if (key !== said) show(words, spoken(ladder));
    said = key;
    const held = total(ladder);
    show(beneath, held ? `Beside the ladder ${count(held)} ${held === 1 ? "is" : "are"} held, and spend${held === 1 ? "s" : ""} no attempt.` : "Beside the ladder nothing is held.");
  };
  const observer = new ResizeObserver(() => draw());
  observer.observe(place);
  const section = el("section", { class: "panel", "aria-labelledby": "ladder-head" },
    el("div", { class: "head" }, el("h2", { id: "ladder-head" }, "Ladder"), el("p", { class: "soft" }, "what waits for another attempt")),
    place, words, beneath);
  return { section, draw, end: () => observer.disconnect() };
}
