// Attempts as they happen: one stream for the whole page, kept in a ring, and drawn a few times a second at most.

import { again, stream } from "./api.js";
import { el, merchant, notification, show, table } from "./dom.js";
import { count, due, length, moment, plain, tone } from "./words.js";

/** How many are kept, and how many of those are shown. */
const KEPT = 500, SHOWN = 12;
/** So often at most the page is drawn anew. */
const FRAME = 250;

export const heard = new EventTarget();
const ring = [];
let standing = "connecting", seen = 0, missed = 0, recent = [];

/** How it stands with the stream: `connecting`, `live`, or why not. */
export const status = () => standing;

function stands(word) {
  if (standing === word) return;
  standing = word;
  if (word === "live" && performance.getEntriesByName("live").length === 0) performance.mark("live");
  heard.dispatchEvent(new Event("standing"));
}

/** Reads server-sent events until the stream ends: <https://html.spec.whatwg.org/multipage/server-sent-events.html>. */
async function read(body, take) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "", name = "", data = [];
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    const lines = text.split(/\r\n|\n/);
    text = lines.pop();
    for (const line of lines) {
      if (line === "" && data.length > 0) take(name, JSON.parse(data.join("\n")));
      if (line === "") [name, data] = ["", []];
      const [, field, rest] = line.match(/^(event|data): ?(.*)$/) ?? [];
      if (field === "event") name = rest;
      if (field === "data") data.push(rest);
    }
  }
}

function take(name, event) {
  if (name === "missed") missed += event.count;
  if (name !== "attempt") return;
  seen += 1;
  const at = performance.now();
  recent.push(at);
  if (recent.length > 4096) recent = recent.slice(-2048);
  ring.unshift({ ...event, key: seen });
  ring.length = Math.min(ring.length, KEPT);
  heard.dispatchEvent(new CustomEvent("attempt", { detail: event }));
}

/** How many attempts there were in each of the last ten seconds, on average. */
function rate() {
  const since = performance.now() - 10_000;
  recent = recent.filter((at) => at > since);
  return recent.length / 10;
}

/** Listens while somebody looks. */
export function listen() {
  return again(1000, async (signal) => {
    const gone = new AbortController();
    const left = () => document.hidden && gone.abort();
    document.addEventListener("visibilitychange", left, { signal: gone.signal });
    try {
      const body = await stream("/v1/live", AbortSignal.any([signal, gone.signal]));
      stands("live");
      await read(body, take);
      stands("connecting");
    } catch (error) {
      stands(gone.signal.aborted || signal.aborted ? "connecting" : error.message);
      throw error;
    } finally {
      gone.abort();
    }
  });
}

const COLUMNS = [
  ["Time", (event) => moment(event.at), "time"],
  ["Merchant", (event) => merchant(event.merchant), "lead"],
  ["Notification", (event) => notification(event.notification), "bare"],
  ["Attempt", (event) => event.replay ? `${event.attempt} of replay ${event.replay}` : event.attempt, "number roomy"],
  ["Result", (event) => [el("span", { class: `word ${tone(event.result ?? event.next)}` }, plain(event.result ?? "held")),
    event.status ? el("span", { class: "soft" }, ` ${event.status}`) : null], "state"],
  ["Took", (event) => event.duration_ms === null ? "" : length(event.duration_ms), "number roomy"],
  ["Next", (event) => event.due ? `${event.next === "hold" ? "held, again" : "again"} ${due(event.due)}` : plain(event.next), "soft roomy"],
];

/** The latest attempts. Returns the section and what ends it. */
export function panel(of_merchant) {
  const rows = el("div", {}), line = el("p", { class: "soft", id: "live-line" });
  const still = el("button", { type: "button", class: "quiet", "aria-pressed": "false", click: () => {
    still.setAttribute("aria-pressed", String(still.getAttribute("aria-pressed") !== "true"));
    draw();
  } }, "Hold still");
  // Of one merchant the notification is what a row is about.
  const columns = COLUMNS.filter(([head]) => !of_merchant || head !== "Merchant").map(([head, cell, kind]) => [head, cell, of_merchant && kind === "bare" ? "lead" : kind]);
  let drawn = false, shown = [];
  const draw = () => {
    drawn = false;
    const held = still.getAttribute("aria-pressed") === "true";
    if (!held) shown = ring.filter((event) => !of_merchant || event.merchant === of_merchant).slice(0, SHOWN);
    const state = standing === "live" ? `live${of_merchant || rate() === 0 ? "" : `, ${rate().toFixed(1)} a second`}` : standing === "connecting" ? "connecting" : `not live: ${standing}`;
    const lost = missed ? ` · ${count(missed)} passed over, being too fast` : "";
    show(line, el("span", { class: `dot ${standing === "live" ? "on" : ""}`, "aria-hidden": "true" }), held ? `held still · ${state}` : `${standing === "live" ? "as they happen: " : ""}${state}${lost}`);
    if (!held || rows.childNodes.length === 0) {
      show(rows, shown.length ? table("Attempts, the latest first", columns, shown, (event) => ({ "data-attempt": event.key }))
        : el("p", { class: "empty" }, "No attempt since this page was opened. It shows each as it happens."));
    }
  };
  const soon = () => { if (!drawn) { drawn = true; setTimeout(draw, FRAME); } };
  const ended = new AbortController();
  heard.addEventListener("attempt", soon, { signal: ended.signal });
  heard.addEventListener("standing", soon, { signal: ended.signal });
  const clock = setInterval(soon, 1000);
  draw();
  const section = el("section", { class: "panel", "aria-labelledby": "live-head" },
    el("div", { class: "head" }, el("h2", { id: "live-head" }, "Attempts"), line, still), rows);
  return { section, end: () => { ended.abort(); clearInterval(clock); } };
}
