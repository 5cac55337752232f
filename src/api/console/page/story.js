// One notification: what it is now, and everything that happened to it, each attempt with what was sent and what was answered.

import { Problem, again, ask, may_operate, order } from "./api.js";
import { confirm } from "./dialog.js";
import { el, facts, merchant, prose, show } from "./dom.js";
import { heard } from "./live.js";
import { count, length, moment, of, outlook, plain, state, tone } from "./words.js";

/** How often it is asked for anew, beside each time that something is heard of it. */
const OFTEN = 4000;

function headers(list) {
  if (list.length === 0) return null;
  return el("dl", { class: "headers" }, list.map(({ name, value }) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
}

function body({ body: content, body_bytes: bytes, body_cut: cut }) {
  if (bytes === 0) return el("p", { class: "soft" }, "No body.");
  const note = el("p", { class: "soft" }, `${of(bytes, "byte")}${cut ? ", shown in part" : ""}${content === null ? ", compressed and so not shown" : ""}`);
  if (content === null) return note;
  const text = typeof content === "string" ? content : content.base64;
  return [el("pre", { tabindex: 0, "aria-label": typeof content === "string" ? "Body" : "Body in base64" }, text), note];
}

function verdict(made) {
  if (!made) return null;
  const says = { confirmed: made.detail, retry: made.reason, stop: made.reason, fault: `${made.name}: ${made.text}` }[made.kind];
  const wanted = made.after_seconds ? `, again after ${length(made.after_seconds * 1000)}` : "";
  return el("p", { class: "verdict" }, "The plugin says: ", el("span", { class: `word ${tone(made.kind)}` }, made.kind), `${wanted}${says ? ", " : ""}`, prose(says ?? ""));
}

/** What was sent and answered. Nothing is kept of another attempt with the same number, as after a replay. */
function exchange({ attempt: told, record }, attempt) {
  if (!record) return el("p", { class: "soft" }, prose("Nothing is kept of what was sent (see `journal.transcripts` in the configuration)."));
  if (told && told.started_at !== attempt.started_at) return el("p", { class: "soft" }, "Only what the latest attempt of this number sent is kept.");
  const { request, reply, fault } = record;
  const sent = request ? [el("p", { class: "line" }, el("b", {}, request.method), " ", request.url), headers(request.headers), body(request)]
    : el("p", { class: "wrong" }, fault ? `No request: ${plain(fault.name)}. ${fault.text}` : "No request.");
  const answered = reply ? [el("p", { class: "line" }, el("b", {}, String(reply.status))), headers(reply.headers), body(reply),
    reply.truncated ? el("p", { class: "soft" }, "It was longer than the gateway reads.") : null]
    : el("p", { class: "soft" }, `No reply: ${attempt.detail ?? plain(attempt.result)}`);
  return [el("div", { class: "exchange" },
    el("section", { "aria-label": "Request" }, el("h3", {}, "Request"), sent),
    el("section", { "aria-label": "Reply" }, el("h3", {}, "Reply"), answered)), verdict(record.verdict)];
}

function attempt_item(id, attempt) {
  const place = el("div", {}, el("p", { class: "soft" }, "…"));
  let is_there = false;
  const load = async () => {
    if (is_there) return;
    is_there = true;
    try {
      show(place, exchange(await ask(`/v1/notifications/${encodeURIComponent(id)}/attempts/${attempt.number}`), attempt));
    } catch (error) {
      is_there = false;
      if (!(error instanceof Problem)) throw error;
      show(place, el("p", { class: "wrong" }, `${error.message}.`));
    }
  };
  const status = attempt.status ? el("span", { class: "soft" }, String(attempt.status)) : null;
  const details = el("details", { toggle: () => details.open && void load() },
    el("summary", {}, el("span", { class: "what" }, `Attempt ${attempt.number}`), el("span", { class: `word ${tone(attempt.result)}` }, plain(attempt.result)), status,
      el("span", { class: "soft" }, length(attempt.duration_ms)), el("span", { class: "soft says" }, prose(attempt.detail ?? attempt.reply ?? ""))), place);
  return details;
}

/** What happened, in its order: `key` tells one from another, `make` makes it. */
function happenings(story) {
  const all = [{ at: story.first_seen, key: "first", make: () => "Came in" }];
  for (const [index, attempt] of story.attempts.entries()) {
    all.push({ at: attempt.started_at, key: `attempt-${index}`, tone: tone(attempt.result), make: () => attempt_item(story.notification_id, attempt) });
  }
  for (const note of story.replays ?? []) {
    all.push({ at: note.at, key: `replay-${note.replay}`, make: () => [el("span", { class: "what" }, `Replay ${note.replay}`), ` begun by ${note.by}: `, el("q", {}, note.reason)] });
  }
  return all.sort((one, other) => Date.parse(one.at) - Date.parse(other.at));
}

/** Adds what is new to the list, and leaves alone what is there: it may be open. */
function add(list, story) {
  const all = happenings(story);
  const known = new Map([...list.children].map((item) => [item.dataset.at, item]));
  let before = null;
  const items = all.map(({ at, key, tone: how, make }) => {
    const since = before === null ? "" : `+${length(Math.max(0, Date.parse(at) - Date.parse(before)))}`;
    before = at;
    return known.get(key) ?? el("li", { "data-at": key, class: how || null },
      el("time", { datetime: at }, moment(at), el("span", { class: "soft" }, since)), el("div", {}, make()));
  });
  items.forEach((item, index) => { if (list.children[index] !== item) list.insertBefore(item, list.children[index] ?? null); });
}

function replay(story, anew) {
  const id = story.notification_id;
  const of_order = story.merchant_order_id ? ` about its order ${story.merchant_order_id}` : "";
  return confirm({
    title: `Replay ${id}`,
    says: el("p", {}, el("b", {}, story.merchant_id), ` is told once more${of_order}, from attempt 1 on, up its whole ladder. It has been told ${of(story.attempts.length, "time")}.`),
    verb: "Replay",
    danger: story.outcome === "confirmed",
    act: async (reason) => {
      const begun = await order(`/v1/notifications/${encodeURIComponent(id)}/replay`, { reason });
      anew();
      return `Replay ${begun.replay} of ${id} has begun.`;
    },
  });
}

/** Shows it. Returns what ends it. */
export function view(main, id) {
  const about = el("div", {}), list = el("ol", { class: "timeline" }), next = el("p", { class: "next", role: "status" });
  let told = null;
  const draw = () => {
    if (!told) return;
    const story = told, is_over = story.state === "ended";
    show(about, el("section", { class: "panel about", "aria-label": "What it is" }, facts(
      ["State", el("span", { class: `word ${tone(state(story))}` }, state(story))], [is_over ? "Ended" : "What now", prose(outlook(story))],
      ["Merchant", merchant(story.merchant_id)], ["Order", story.merchant_order_id],
      ["Attempts", count(story.attempts.length)], ["Held", story.state === "held" ? `${of(story.holds, "time")}: ${story.reason}` : null], ["Came in", moment(story.first_seen)],
    ), is_over && may_operate() ? el("div", { class: "buttons" }, el("button", { type: "button", id: "replay", class: story.outcome === "confirmed" ? "" : "main", "data-key": "replay",
      "data-of": story.updated_at, click: () => replay(story, looked.at_once) }, "Replay…")) : null));
    show(next, is_over ? "" : `Next: ${outlook(story)}.`);
  };
  const looked = again(OFTEN, async (signal) => {
    try {
      told = await ask(`/v1/notifications/${encodeURIComponent(id)}`, { signal });
    } catch (error) {
      if (error.status === 404) show(about, el("p", { class: "empty" }, "Nothing is known of such a notification."));
      throw error;
    }
    add(list, told);
    draw();
  });
  const ended = new AbortController();
  heard.addEventListener("attempt", ({ detail }) => { if (detail.notification === id) looked.at_once(); }, { signal: ended.signal });
  const clock = setInterval(draw, 1000);
  main.append(el("h1", { class: "id", tabindex: -1 }, id), about,
    el("section", { class: "panel", "aria-labelledby": "story-head" }, el("div", { class: "head" }, el("h2", { id: "story-head" }, "What happened")), list, next));
  return () => { ended.abort(); clearInterval(clock); looked.end(); };
}
