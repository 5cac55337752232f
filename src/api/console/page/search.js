// Looking for notifications: by id, by the number of an order, by merchant, and by what became of them.

import { ask, path } from "./api.js";
import { el, merchant, notification, prose, table } from "./dom.js";
import { ROWS, pages } from "./pages.js";
import { count, moment, outlook, state, tone } from "./words.js";

/** How often what is seen is asked for anew. */
const OFTEN = 10_000;
/** What an id of a notification, and of a merchant, may be. */
const ID = /^[A-Za-z0-9_-]{1,36}$/, MERCHANT = /^[A-Za-z0-9_-]{1,64}$/;

const STATES = [
  ["", "in any state"], ["undelivered=true", "not confirmed"], ["state=waiting", "waiting on the ladder"], ["state=held", "held"],
  ["outcome=confirmed", "confirmed"], ["outcome=exhausted", "exhausted"], ["outcome=stopped", "stopped"], ["outcome=abandoned", "abandoned"],
];

const COLUMNS = [
  ["Notification", (row) => notification(row.notification_id), "lead"],
  ["Merchant", (row) => merchant(row.merchant_id), "bare"],
  ["Order", (row) => row.merchant_order_id ?? "", "roomy"],
  ["State", (row) => el("span", { class: `word ${tone(state(row))}` }, state(row)), "state"],
  ["What now", (row) => prose(outlook(row)), "soft text roomy"],
  ["Attempts", (row) => count(row.attempts_made), "number roomy"],
  ["Came in", (row) => moment(row.first_seen), "time"],
];

/** A table of notifications. */
export function results(rows, with_merchant = true) {
  return table("Notifications", COLUMNS.filter(([head]) => with_merchant || head !== "Merchant"), rows);
}

/** Some rows for what somebody typed: what is its order's number or its merchant, or else its own name. */
async function meant(what, conditions, cursor, signal) {
  const search = (more) => ask(path("/v1/notifications", { ...conditions, ...more, limit: ROWS }), { signal });
  const found = ({ notifications, next }, how) => ({ rows: notifications, next: next && `${how}:${next}`, total: null });
  const [how, rest] = cursor ? [cursor.slice(0, 1), cursor.slice(2)] : [];
  if (!what) return found(await search({ cursor: rest }), "a");
  if (how) return found(await search({ [how === "m" ? "merchant" : "order"]: what, cursor: rest }), how);
  const [of_order, of_merchant] = await Promise.all([
    search({ order: what }), MERCHANT.test(what) ? search({ merchant: what }) : { notifications: [], next: null },
  ]);
  if (of_order.notifications.length > 0) return { ...found(of_order, "o"), total: `with the order ${what}` };
  if (of_merchant.notifications.length > 0) return { ...found(of_merchant, "m"), total: `of the merchant ${what}` };
  const story = ID.test(what) ? await ask(`/v1/notifications/${what}`, { signal }).catch((error) => {
    if (error.status !== 404) throw error;
  }) : null;
  if (!story) return { rows: [], next: null };
  location.replace(`#/notifications/${encodeURIComponent(what)}`);
  return { rows: [{ ...story, attempts_made: story.attempts.length }], next: null, total: "by its id" };
}

/** Shows it. Returns what ends it. */
export function view(main, parameters) {
  let what = parameters.get("what") ?? "", kind = parameters.get("kind") ?? "";
  const field = el("input", { id: "what", type: "search", value: what, autocomplete: "off", spellcheck: "false", placeholder: "id, order or merchant  ( / )", "aria-keyshortcuts": "/" });
  const kinds = el("select", { id: "kind", "aria-label": "State" }, STATES.map(([value, name]) => el("option", { value, selected: value === kind }, name)));
  const found = pages({
    load: (cursor, signal) => meant(what, Object.fromEntries(new URLSearchParams(kind)), cursor, signal),
    draw: (rows) => results(rows),
    empty: "Nothing is known of such a notification.",
    every: OFTEN,
  });
  const anew = () => {
    [what, kind] = [field.value.trim(), kinds.value];
    history.replaceState(null, "", path("#/notifications", { what, kind }));
    void found.anew();
  };
  kinds.addEventListener("change", anew);
  main.append(el("h1", { tabindex: -1 }, "Notifications"),
    el("form", { class: "filter", role: "search", submit: (event) => { event.preventDefault(); anew(); } },
      el("label", { for: "what" }, "Find"), field, kinds, el("button", { type: "submit", class: "main" }, "Search")),
    el("section", { class: "panel", "aria-label": "Found" }, found.element));
  return found.end;
}
