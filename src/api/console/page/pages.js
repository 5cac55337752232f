// A listing, a page at a time: as many rows as one answer has, never more, however many there are.

import { Problem, again } from "./api.js";
import { el, show, tell } from "./dom.js";

/** How many rows a page has. */
export const ROWS = 50;

/**
 * `load(cursor, signal)` answers `{rows, next, total}`; `draw(rows)` makes elements of them. With `every` the page that is seen is asked for anew
 * that often. Returns the element, what shows the first page anew, and what ends it.
 */
export function pages({ load, draw, empty, every = 0 }) {
  const place = el("div", { class: "page-rows" }), line = el("p", { class: "soft", role: "status" });
  const back = el("button", { type: "button", class: "quiet", click: () => { before.pop(); turn("previous page"); } }, "Previous");
  const on = el("button", { type: "button", class: "quiet", click: () => { before.push(next); turn("next page"); } }, "Next");
  let before = [], next = null;
  const ended = new AbortController();
  const turn = (words) => look().then(() => tell(words));
  const look = async () => {
    const cursor = before.at(-1);
    try {
      const answer = await load(cursor, ended.signal);
      if (cursor !== before.at(-1)) return;
      next = answer.next;
      show(place, answer.rows.length ? draw(answer.rows) : el("p", { class: "empty" }, empty));
      show(line, answer.total ?? "");
      back.hidden = before.length === 0;
      on.hidden = next === null;
    } catch (error) {
      if (ended.signal.aborted) return;
      if (!(error instanceof Problem)) throw error;
      show(line, el("span", { class: "wrong" }, `${error.message}.`));
    }
  };
  const repeated = every ? again(every, look) : null;
  if (!every) void look();
  return {
    element: el("div", {}, line, place, el("div", { class: "buttons pager" }, back, on)),
    anew: () => {
      before = [];
      return look().then(() => tell(`${place.querySelectorAll("tbody tr").length} shown. ${line.textContent}`));
    },
    end: () => { repeated?.end(); ended.abort(); },
  };
}
