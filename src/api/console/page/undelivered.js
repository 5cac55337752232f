// What needs somebody's decision: notifications that ended without a confirmation, and messages that could not be worked upon.

import { Problem, ask, may_operate, order, path } from "./api.js";
import { confirm } from "./dialog.js";
import { el, prose, show, table, tell } from "./dom.js";
import { ROWS, pages } from "./pages.js";
import { results } from "./search.js";
import { count, moment, of } from "./words.js";

const OUTCOMES = [["exhausted", "Exhausted", "No attempt of their ladder was confirmed. Once the merchant takes them, replay them; the newest stand first."], ["stopped", "Stopped", "The merchant refused them for good. Look at its reply, and replay them when it would take them; the newest stand first."], ["abandoned", "Abandoned", "The gateway could not go on with them. They lie in the poison queue, too; a replay takes them from there. The newest stand first."]];
/** How often a replay of many is asked how far it has come. */
const OFTEN = 1000;

/** Follows the replay of many until it is done. */
async function follow(id, place, signal) {
  for (;;) {
    const { state, done, failed, matches } = await ask(`/v1/replays/${encodeURIComponent(id)}`, { signal });
    const line = `${count(done)} of ${count(matches)} begun anew${failed ? `, ${count(failed)} passed over` : ""}`;
    show(place, line);
    if (state === "done" || state === "stopped") return `${line}.`;
    await new Promise((resolve) => { setTimeout(resolve, OFTEN); });
  }
}

async function replay_all(outcome, place, signal, anew) {
  const { matches, most } = await order("/v1/replays", { outcome, reason: "to see how many", dry_run: true });
  if (matches === 0) return show(place, "There is none.");
  if (matches > most) return show(place, prose(`More than ${count(most)} are ${outcome}, which is the most at once: \`POST /v1/replays\` takes a part of them, by time for example.`));
  let begun = null;
  const is_done = await confirm({
    title: `Replay all that are ${outcome}`,
    says: el("p", {}, `${of(matches, "notification")}, of all merchants, are told once more, up their whole ladders.`),
    verb: `Replay ${count(matches)}`,
    danger: true,
    act: async (reason) => {
      begun = (await order("/v1/replays", { outcome, reason, dry_run: false })).replays_id;
      return `${of(matches, "replay")} begun.`;
    },
  });
  if (!is_done) return;
  tell(await follow(begun, place, signal));
  await anew();
}

function ended(parameters, gone) {
  let outcome = parameters.get("outcome") ?? "exhausted";
  const place = el("p", { class: "soft", role: "status" });
  const found = pages({
    load: async (cursor, signal) => {
      const { notifications, next } = await ask(path("/v1/notifications", { outcome, limit: ROWS, cursor }), { signal });
      return { rows: notifications, next, total: OUTCOMES.find(([name]) => name === outcome)[2] };
    },
    draw: (rows) => results(rows),
    empty: "There is none.",
  });
  const choices = OUTCOMES.map(([value, name]) => el("label", { class: "choice" },
    el("input", { type: "radio", name: "outcome", value, checked: value === outcome, change: () => {
      outcome = value;
      history.replaceState(null, "", path("#/undelivered", { outcome }));
      void found.anew();
    } }), el("span", {}, name)));
  const all = el("button", { type: "button", id: "replay-all", click: () => replay_all(outcome, place, gone.signal, found.anew).catch((error) => {
    if (error instanceof Problem) show(place, error.status === 403 ? "Your token may look, and not change anything." : `${error.message}.`);
    else if (!gone.signal.aborted) throw error;
  }) }, "Replay all…");
  const section = el("section", { class: "panel", "aria-labelledby": "ended-head" },
    el("div", { class: "head" }, el("h2", { id: "ended-head" }, "Not confirmed"), el("fieldset", { class: "choices" }, el("legend", { class: "unseen" }, "How they ended"), choices), may_operate() ? all : null),
    place, found.element);
  return { section, end: found.end };
}

/** A message whole, to be mended. */
async function mend(row, anew) {
  const whole = await ask(`/v1/poison/${encodeURIComponent(row.id)}`);
  const text = whole.body ?? "";
  const field = el("textarea", { id: "record", rows: 10, spellcheck: "false" });
  field.value = text;
  // As the field has it: it knows one kind of line break only.
  const before = field.value;
  await confirm({
    title: "Put a message back",
    says: [el("p", {}, prose(row.reason)), whole.addressed_to ? el("p", { class: "soft" }, `Addressed to ${whole.addressed_to}.`) : null],
    fields: [el("label", { for: "record" }, "The record as it is to be"), field],
    verb: "Put back",
    act: async (reason) => {
      const is_same = field.value === before;
      const answer = await order(`/v1/poison/${encodeURIComponent(row.id)}/mend`, is_same ? { reason } : { reason, body: field.value });
      anew();
      return `Put back as ${answer.notification_id}.`;
    },
  });
}

const discard = (row, anew) => confirm({
  title: "Throw a message away",
  says: [el("p", {}, "It is gone for good, and nobody is told of it."), el("pre", {}, row.beginning)],
  verb: "Throw away",
  danger: true,
  act: async (reason) => {
    await order(`/v1/poison/${encodeURIComponent(row.id)}/discard`, { reason });
    anew();
    return "Thrown away.";
  },
});

function poison() {
  const wrong = el("p", { class: "wrong", role: "alert" });
  const anew = () => void found.anew();
  const refused = (error) => {
    if (!(error instanceof Problem)) throw error;
    show(wrong, error.status === 403 ? "Your token may look, and not change anything." : `${error.message}.`);
  };
  const buttons = (row) => el("div", { class: "buttons" },
    el("button", { type: "button", class: "quiet", "data-of": `mend-${row.id}`, click: () => { show(wrong, ""); void mend(row, anew).catch(refused); } }, "Mend…"),
    el("button", { type: "button", class: "quiet", "data-of": `discard-${row.id}`, click: () => void discard(row, anew) }, "Throw away…"));
  const columns = [
    ["Since", (row) => (row.since ? moment(row.since) : "not known"), "time"], ["Why it is here", (row) => prose(row.reason), "text"],
    ["Begins with", (row) => el("code", {}, row.beginning), "text roomy"], ["Bytes", (row) => count(row.bytes), "number roomy"], ...(may_operate() ? [["", buttons]] : []),
  ];
  const found = pages({
    load: async (cursor, signal) => {
      const { messages, next } = await ask(path("/v1/poison", { limit: ROWS, cursor }), { signal });
      return { rows: messages, next };
    },
    draw: (rows) => table("Messages in the poison queue", columns, rows),
    empty: "The poison queue is empty.",
  });
  const section = el("section", { class: "panel", "aria-labelledby": "poison-head" },
    el("div", { class: "head" }, el("h2", { id: "poison-head" }, "Poison queue"), el("p", { class: "soft" }, "what could not be read, or was abandoned: mend it and put it back, or throw it away")), wrong, found.element);
  return { section, end: found.end };
}

/** Shows it. Returns what ends it. */
export function view(main, parameters) {
  const gone = new AbortController();
  const notifications = ended(parameters, gone), messages = poison();
  main.append(el("h1", { tabindex: -1 }, "Undelivered"), notifications.section, messages.section);
  return () => { gone.abort(); notifications.end(); messages.end(); };
}
