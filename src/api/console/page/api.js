// The gateway's API, asked with the token of whoever looks. The token is kept for this tab alone, and forgotten as soon as it is refused.

import { set_clock } from "./words.js";

const KEY = "paynotify.token";
/** No answer takes longer. */
const PATIENCE = 20_000;

export const events = new EventTarget();

export const token = () => sessionStorage.getItem(KEY);
export const keep = (text) => sessionStorage.setItem(KEY, text);

/** What the token is for: `operate`, or `read`. */
let role = "";
export const play = (name) => { role = name; };
/** Whether whoever looks may change anything; who may not is offered nothing that would be refused. */
export const may_operate = () => role === "operate";

/** Forgets the token, and tells the page so. */
export function sign_out(reason = "") {
  sessionStorage.removeItem(KEY);
  events.dispatchEvent(new CustomEvent("signed-out", { detail: reason }));
}

/** What the gateway has said no with. Status 0: it has said nothing. */
export class Problem extends Error {
  constructor(status, title, detail) {
    super(detail || title);
    this.status = status;
    this.title = title;
  }
}

function headers(more, text = token()) {
  return text ? { ...more, authorization: `Bearer ${text}` } : more;
}

async function answered(path, options) {
  try {
    const answer = await fetch(path, { cache: "no-store", credentials: "omit", redirect: "error", ...options });
    set_clock(answer.headers.get("date"));
    return answer;
  } catch (error) {
    if (options.signal?.aborted && options.signal.reason?.name !== "TimeoutError") throw error;
    throw new Problem(0, "no answer", "the gateway does not answer");
  }
}

async function refused(answer) {
  const body = await answer.json().catch(() => ({}));
  // A token that was good until now is not any more.
  if (answer.status === 401 && token()) sign_out("The token is not valid, or not any more.");
  return new Problem(answer.status, body.title ?? answer.statusText, body.detail);
}

/** The answer as JSON (or, with `text`, as it is). `good` names statuses beside 2xx whose body is an answer, too; `with_token` is one to be tried. */
export async function ask(path, { method = "GET", body, signal, good = [], text = false, with_token } = {}) {
  const patience = AbortSignal.timeout(PATIENCE);
  const options = { method, headers: headers(body ? { "content-type": "application/json" } : {}, with_token) };
  options.signal = signal ? AbortSignal.any([signal, patience]) : patience;
  if (body) options.body = JSON.stringify(body);
  const answer = await answered(path, options);
  if (!answer.ok && !good.includes(answer.status)) throw await refused(answer);
  return text ? answer.text() : answer.json();
}

/** Orders something, with the reason that stands in the audit. */
export const order = (path, body) => ask(path, { method: "POST", body });

/** A path with its parameters; what is empty is left out. */
export function path(base, parameters) {
  const given = Object.entries(parameters).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const text = new URLSearchParams(given).toString();
  return text ? `${base}?${text}` : base;
}

/** An answer that goes on for as long as it is read. */
export async function stream(path, signal) {
  const answer = await answered(path, { headers: headers({}), signal });
  if (!answer.ok) throw await refused(answer);
  return answer.body;
}

/**
 * Does that now and again, each time so long after the last has ended; longer after a failure, and never while nobody looks.
 * Returns what ends it, and what does it at once.
 */
export function again(every, work) {
  const ended = new AbortController();
  let timer, failures = 0, busy = false, asked = false;
  const next = () => {
    clearTimeout(timer);
    if (!ended.signal.aborted && !document.hidden) timer = setTimeout(run, asked ? 0 : Math.min(every * 2 ** failures, 30_000));
    asked = false;
  };
  const run = async () => {
    if (busy || ended.signal.aborted) return;
    busy = true;
    try {
      await work(ended.signal);
      failures = 0;
    } catch (error) {
      if (!(error instanceof Problem) && error.name !== "AbortError") console.error(error);
      failures = Math.min(failures + 1, 5);
    }
    busy = false;
    next();
  };
  const at_once = () => {
    if (busy) asked = true;
    else if (!document.hidden) void run();
  };
  document.addEventListener("visibilitychange", at_once, { signal: ended.signal });
  void run();
  return { end: () => { ended.abort(); clearTimeout(timer); }, at_once };
}
