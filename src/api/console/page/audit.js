// Who did what to whom, when and why.

import { ask, path } from "./api.js";
import { el, table } from "./dom.js";
import { ROWS, pages } from "./pages.js";
import { moment, plain } from "./words.js";

const COLUMNS = [
  ["When", (row) => moment(row.at), "time"], ["Who", (row) => row.by, "lead"], ["Did what", (row) => el("span", { class: "word" }, plain(row.action)), "state"],
  ["To whom", (row) => row.whom, "text"], ["Why", (row) => row.reason, "text soft"],
];

/** Shows it. Returns what ends it. */
export function view(main) {
  const found = pages({
    load: async (cursor, signal) => {
      const { entries, next } = await ask(path("/v1/audit", { limit: ROWS, cursor }), { signal });
      return { rows: entries, next };
    },
    draw: (rows) => table("What operators did, the latest first", COLUMNS, rows),
    empty: "Nobody has done anything yet.",
  });
  main.append(el("h1", { tabindex: -1 }, "Audit"), el("section", { class: "panel", "aria-label": "Audit" }, found.element));
  return found.end;
}
