// The merchants: found by their ids and by how it stands with them, a page at a time; and one of them, with what can be done.

import { again, ask, may_operate, order, path } from "./api.js";
import { confirm } from "./dialog.js";
import { amount, el, facts, merchant, show, table } from "./dom.js";
import { panel as live_panel } from "./live.js";
import { ROWS, pages } from "./pages.js";
import { results } from "./search.js";
import { ago, count, length, of } from "./words.js";

/** How often what is seen is asked for anew. */
const OFTEN = 5000;
/** So long after the last key the list is looked for. */
const TYPING = 200;
const KINDS = [["", "All"], ["down", "Cannot be reached"], ["paused", "Paused"], ["slow", "Slow lane"]];

function health(row) {
  const word = row.endpoint === "down" ? "down" : row.paused ? "paused" : row.lane === "slow" ? "slow" : "well";
  return el("span", { class: `word ${word === "down" ? "bad" : word === "well" ? "calm" : ""}` }, word);
}

const COLUMNS = [
  ["Merchant", (row) => merchant(row.merchant_id), "lead"],
  ["Health", health, "state"],
  ["Plugin", (row) => [row.plugin.name, el("span", { class: "soft" }, ` ${row.plugin.version}`)], "roomy"],
  ["Address", (row) => row.url, "soft text roomy"],
  ["In flight", (row) => amount(row.in_flight), "number roomy"],
  ["Waiting", (row) => amount(row.waiting), "number"],
  ["Held", (row) => amount(row.held), "number"],
];

/** Shows the list. Returns what ends it. */
export function list(main, parameters) {
  let like = parameters.get("like") ?? "", is = parameters.get("is") ?? "", timer;
  const field = el("input", { id: "like", type: "search", value: like, autocomplete: "off", spellcheck: "false", placeholder: "a part of its id" });
  const kinds = KINDS.map(([value, name]) => el("label", { class: "choice" },
    el("input", { type: "radio", name: "is", value, checked: value === is, change: () => { is = value; anew(); } }), el("span", {}, name)));
  const found = pages({
    load: async (cursor, signal) => {
      const { merchants, total, next } = await ask(path("/v1/merchants", { like, is, limit: ROWS, cursor }), { signal });
      return { rows: merchants, next, total: `${of(total, "merchant")}${like || is ? " found" : ""}` };
    },
    draw: (rows) => table("Merchants", COLUMNS, rows),
    empty: "No merchant is so.",
    every: OFTEN,
  });
  const anew = () => {
    history.replaceState(null, "", path("#/merchants", { like, is }));
    void found.anew();
  };
  field.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => { like = field.value.trim(); anew(); }, TYPING);
  });
  main.append(el("h1", { tabindex: -1 }, "Merchants"),
    el("form", { class: "filter", role: "search", submit: (event) => event.preventDefault() },
      el("label", { for: "like" }, "Find"), field, el("fieldset", { class: "choices" }, el("legend", { class: "unseen" }, "How it stands with them"), kinds)),
    el("section", { class: "panel", "aria-label": "Merchants" }, found.element));
  return () => { clearTimeout(timer); found.end(); };
}

function change(row, anew) {
  const id = row.merchant_id, verb = row.paused ? "resume" : "pause";
  return confirm({
    title: `${row.paused ? "Resume" : "Pause"} ${id}`,
    says: el("p", {}, row.paused
      ? `${of(row.waiting + row.held, "notification")} waiting or held for ${id} go on.`
      : `${id} is told nothing until somebody resumes it. What comes in for it meanwhile is kept, and spends no attempt.`),
    verb: row.paused ? "Resume" : "Pause",
    danger: !row.paused,
    act: async (reason) => {
      await order(`/v1/merchants/${encodeURIComponent(id)}/${verb}`, { reason });
      anew();
      return `${id} is ${row.paused ? "resumed" : "paused"}.`;
    },
  });
}

/** Shows one. Returns what ends it. */
export function one(main, id) {
  const about = el("div", {}), live = live_panel(id);
  const latest = pages({
    load: async (cursor, signal) => {
      const { notifications, next } = await ask(path("/v1/notifications", { merchant: id, limit: 20, cursor }), { signal });
      return { rows: notifications, next };
    },
    draw: (rows) => results(rows, false),
    empty: "Nothing is known of any notification for it.",
    every: OFTEN,
  });
  main.append(el("h1", { tabindex: -1 }, id), about, live.section,
    el("section", { class: "panel", "aria-labelledby": "latest-head" },
      el("div", { class: "head" }, el("h2", { id: "latest-head" }, "Notifications"), el("p", { class: "soft" }, "the newest first")), latest.element));
  const looked = again(OFTEN, async (signal) => {
    const row = await ask(`/v1/merchants/${encodeURIComponent(id)}`, { signal }).catch((error) => {
      if (error.status !== 404) throw error;
      show(about, el("p", { class: "empty" }, "No such merchant is configured. What came in for it is held until it is."));
    });
    if (!row) return;
    const paused = row.paused && `${ago(row.paused.since)} by ${row.paused.by}: ${row.paused.reason}`;
    show(about, el("section", { class: "panel about", "aria-label": `About ${id}` }, facts(
      ["Health", health(row)], ["Paused", paused], ["Address", row.url],
      ["Plugin", [row.plugin.name, " ", row.plugin.version, " ", el("code", {}, row.plugin.hash.slice(0, 8))]],
      ["Ladder", row.ladder_ms.map(length).join(" · ")], ["In flight", count(row.in_flight)], ["Waiting", count(row.waiting)], ["Held", count(row.held)],
    ), may_operate() ? el("div", { class: "buttons" }, el("button", { type: "button", class: row.paused ? "main" : "", id: "pause", "data-key": "pause", "data-of": `${row.waiting} ${row.held}`, click: () => change(row, looked.at_once) }, row.paused ? "Resume…" : "Pause…")) : null));
  });
  return () => { looked.end(); latest.end(); live.end(); };
}
