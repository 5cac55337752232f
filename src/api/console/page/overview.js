// The first view: the ladder, the merchants that something is the matter with, what happens, and the plugins.

import { amount, el, merchant, show, table } from "./dom.js";
import { changed, facts } from "./facts.js";
import { panel as ladder_panel } from "./ladder.js";
import { panel as live_panel } from "./live.js";
import { rows as plugin_rows } from "./plugins.js";
import { ago, cause, count, moment, now, seconds } from "./words.js";

/** How many merchants are named here. */
const NAMED = 8;

/** Merchants with what is the matter with them; each once, the gravest first. */
function troubled() {
  const found = new Map();
  const add = (id, entry) => { if (!found.has(id)) found.set(id, { id, ...entry }); };
  for (const row of facts.down.merchants) add(row.merchant_id, { word: "down", bad: true, says: "cannot be reached", waits: row.waiting + row.held });
  for (const row of facts.holds.filter((row) => !["paused", "endpoint_down"].includes(row.cause))) {
    const bad = ["plugin_fault", "breaker_open", "unknown_merchant", "address_refused"].includes(row.cause);
    add(row.merchant_id, { word: "held", bad, unknown: row.cause === "unknown_merchant", says: `${cause(row.cause)}, for ${seconds(now() - Date.parse(row.since))}`, waits: row.count });
  }
  for (const row of facts.paused.merchants) {
    const by = row.paused ? ` by ${row.paused.by}, ${ago(row.paused.since)}: ${row.paused.reason}` : "";
    add(row.merchant_id, { word: "paused", says: `paused${by}`, waits: row.waiting + row.held });
  }
  for (const row of facts.slow.merchants) add(row.merchant_id, { word: "slow", says: "answers slowly", waits: row.waiting + row.held });
  return [...found.values()].sort((one, other) => Number(other.bad ?? false) - Number(one.bad ?? false));
}

const COLUMNS = [
  ["Merchant", (row) => [row.unknown ? el("a", { class: "name", title: row.id, href: `#/notifications?what=${encodeURIComponent(row.id)}` }, row.id) : merchant(row.id),
    el("p", { class: "soft note" }, row.says)], "lead text"],
  ["State", (row) => el("span", { class: `word ${row.bad ? "bad" : ""}` }, row.word), "state"],
  ["Waiting", (row) => amount(row.waits), "number"],
];

function merchants_panel() {
  const place = el("div", {}), all = el("a", { href: "#/merchants", class: "more" }, "All merchants");
  const draw = () => {
    const found = troubled(), shown = found.slice(0, NAMED);
    const named = facts.down.total + facts.paused.total + facts.slow.total > found.length || facts.more_holds;
    show(place, shown.length ? table("Merchants that something is the matter with", COLUMNS, shown)
      : el("p", { class: "empty" }, "Nothing is the matter with any merchant."),
    found.length > shown.length || named ? el("p", { class: "soft" }, `${count(shown.length)} of them are shown here.`) : null);
  };
  const section = el("section", { class: "panel", "aria-labelledby": "merchants-head" },
    el("div", { class: "head" }, el("h2", { id: "merchants-head" }, "Merchants"), el("p", { class: "soft" }, "with something the matter"), all), place);
  return { section, draw };
}

function plugins_panel() {
  const place = el("div", {});
  const draw = () => show(place, facts.plugins ? plugin_rows(facts, false) : el("p", { class: "empty" }, "…"));
  const section = el("section", { class: "panel", "aria-labelledby": "plugins-head" },
    el("div", { class: "head" }, el("h2", { id: "plugins-head" }, "Plugins"), el("p", { class: "soft" }, "with faults since this gateway started"),
      el("a", { href: "#/plugins", class: "more" }, "All about them")), place);
  return { section, draw };
}

/** Shows it. Returns what ends it. */
export function view(main) {
  const ladder = ladder_panel(), merchants = merchants_panel(), live = live_panel(), plugins = plugins_panel();
  const counted = el("p", { class: "soft foot" });
  live.section.classList.add("whole");
  main.append(el("h1", { class: "unseen", tabindex: -1 }, "Overview"),
    el("div", { class: "overview" }, ladder.section, el("div", { class: "column" }, merchants.section, plugins.section), live.section), counted);
  const draw = () => {
    if (!facts.ladder) return;
    ladder.draw(facts.ladder);
    merchants.draw();
    plugins.draw();
    show(counted, `Counted at ${moment(facts.ladder.counted_at)}. What is counted is of all gateways on this journal; what is live, of this one.`);
    if (performance.getEntriesByName("content").length === 0) performance.mark("content");
  };
  const ended = new AbortController();
  changed.addEventListener("facts", draw, { signal: ended.signal });
  const clock = setInterval(() => ladder.draw(), 1000);
  draw();
  return () => { ended.abort(); clearInterval(clock); live.end(); ladder.end(); };
}
