// The plugins: which version runs, since when, for how many, and how often it failed; and the way back to the version before.

import { may_operate, order } from "./api.js";
import { confirm } from "./dialog.js";
import { amount, el, prose, show, table } from "./dom.js";
import { changed, facts, see_plugins } from "./facts.js";
import { count, moment, of, plain } from "./words.js";

const failures = (kinds) => [...(kinds ?? new Map()).values()].reduce((sum, number) => sum + number, 0);

function faults(row, known) {
  const kinds = known.faults?.get(row.name);
  const number = failures(kinds);
  if (number === 0) return amount(0);
  const says = [...kinds].map(([kind, times]) => `${plain(kind)} ${count(times)}`).join(", ");
  return el("span", { class: "word bad", title: says }, count(number), el("span", { class: "unseen" }, `: ${says}`));
}

/** A file by its name; where it lies is told when asked for. */
const file = (path) => el("span", { title: path }, path.split("/").at(-1));

/** A table of them; with `whole` all that is known of each, and what can be done. */
export function rows(known, whole, roll_back) {
  const columns = [
    ["Plugin", (row) => el("span", { class: "name" }, row.name), "lead"],
    ["Version", (row) => row.version],
    ["Content", (row) => el("code", { title: row.hash }, row.hash.slice(0, whole ? 16 : 8)), whole ? "" : "roomy"],
    ...(whole ? [["Runs since", (row) => moment(row.since), "soft"], ["File", (row) => (row.file ? file(row.file) : "kept; no file has it now"), "soft text"]] : []),
    ["Merchants", (row) => count(row.merchants.length), "number"],
    ["Faults", (row) => faults(row, known), "number"],
    ...(whole && may_operate() ? [["", (row) => row.before ? el("button", { type: "button", class: "quiet", "data-key": `back-${row.name}`, "data-to": `${row.hash} ${row.before}`, click: () => roll_back(row) }, "Roll back") : ""]] : []),
  ];
  return known.plugins.plugins.length ? table("Plugins", columns, known.plugins.plugins) : el("p", { class: "empty" }, "No plugin runs: drop a .wasm file into the plugins' folder.");
}

function refused(list) {
  const columns = [
    ["File", (row) => file(row.file), "lead"], ["Why it is not in effect", (row) => prose(row.reason), "text"], ["Since", (row) => moment(row.at), "soft"],
  ];
  return el("section", { class: "panel", "aria-labelledby": "refused-head" },
    el("div", { class: "head" }, el("h2", { id: "refused-head" }, "Refused files"), el("p", { class: "soft" }, "of plugins and merchants; what ran before goes on running")),
    table("Refused files", columns, list));
}

const roll_back = (row) => confirm({
  title: `Roll ${row.name} back`,
  says: el("p", {}, "Version ", el("code", {}, row.before), " takes the place of ", el("code", {}, row.hash), ` for ${of(row.merchants.length, "merchant")}, from the next attempt on.`),
  verb: "Roll back",
  danger: true,
  act: async (reason) => {
    const now = await order(`/v1/plugins/${encodeURIComponent(row.name)}/rollback`, { to: row.before, reason });
    facts.plugins.plugins = facts.plugins.plugins.map((one) => (one.name === now.name ? now : one));
    changed.dispatchEvent(new Event("facts"));
    return `${row.name} runs with ${now.hash}.`;
  },
});

/** Shows it. Returns what ends it. */
export function view(main) {
  const place = el("div", {});
  main.append(el("h1", { tabindex: -1 }, "Plugins"), place);
  const draw = () => {
    if (!facts.plugins) return;
    show(place, el("section", { class: "panel", "aria-label": "Plugins that run" }, rows(facts, true, roll_back)),
      facts.plugins.refused.length ? refused(facts.plugins.refused) : null);
  };
  const ended = new AbortController();
  changed.addEventListener("facts", draw, { signal: ended.signal });
  see_plugins(true);
  draw();
  return () => { see_plugins(false); ended.abort(); };
}
