// How numbers, moments and the gateway's words are written for people.

const whole = new Intl.NumberFormat("en");
let skew = 0;

/** The gateway's clock: what it says itself, to the second, if the browser's is off by more than that. */
export function set_clock(date) {
  const difference = Date.parse(date) - Date.now();
  if (Number.isFinite(difference)) skew = Math.abs(difference) > 2000 ? difference : 0;
}

export const now = () => Date.now() + skew;
export const count = (number) => whole.format(number);

/** A number of things: `1 notification`, `2 notifications`. */
export const of = (number, thing) => `${count(number)} ${thing}${number === 1 ? "" : "s"}`;

/** A length of time, in its two largest units at most. */
export function length(milliseconds) {
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  const units = [["d", 86_400_000], ["h", 3_600_000], ["min", 60_000], ["s", 1000]];
  const first = units.findIndex(([, unit]) => milliseconds >= unit);
  const [name, unit] = units[first];
  const next = units[first + 1];
  if (!next) {
    const seconds = milliseconds / 1000;
    return `${seconds < 10 && seconds % 1 >= 0.05 ? seconds.toFixed(1) : Math.floor(seconds)} s`;
  }
  const rest = Math.floor((milliseconds % unit) / next[1]);
  return `${Math.floor(milliseconds / unit)} ${name}${rest ? ` ${rest} ${next[0]}` : ""}`;
}

/** The same in whole seconds, for what counts down. */
export const seconds = (milliseconds) => length(Math.max(1000, Math.round(milliseconds / 1000) * 1000));

const pad = (number, digits = 2) => String(number).padStart(digits, "0");

/** A moment: its time of day, with the date unless that is today's. */
export function moment(text) {
  const at = new Date(text);
  const time = `${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}`;
  const is_today = at.toDateString() === new Date(now()).toDateString();
  return is_today ? time : `${at.getFullYear()}-${pad(at.getMonth() + 1)}-${pad(at.getDate())} ${time}`;
}

/** How long ago that was. */
export const ago = (text) => `${seconds(Math.max(0, now() - Date.parse(text)))} ago`;

/** When that is due: `in 12 s`, `now`, `40 s late`. */
export function due(text) {
  const left = Date.parse(text) - now();
  if (left > 500) return `in ${seconds(left)}`;
  return left > -LATE ? "now" : `${seconds(-left)} late`;
}

/** After so long, what was due and has not gone on is late. What is counted is up to a few seconds old. */
export const LATE = 15_000;

export const is_late = (text) => text !== null && Date.parse(text) - now() < -LATE;

/** Names in a sentence: `a`, `a and b`, `a, b and 7 more`. `total` counts those that are not named, too. */
export function names(list, total = list.length, most = 3) {
  const shown = list.slice(0, total > most ? most - 1 : most);
  const more = total - shown.length;
  if (more > 0) return `${shown.join(", ")} and ${count(more)} more`;
  return shown.length > 1 ? `${shown.slice(0, -1).join(", ")} and ${shown.at(-1)}` : shown[0] ?? "";
}

const CAUSES = {
  unknown_merchant: "no such merchant is configured",
  paused: "paused by an operator",
  plugin_fault: "the plugin fails",
  breaker_open: "the plugin failed too often",
  address_refused: "its address is not allowed",
  merchant_busy: "as many attempts as it may have",
  over_rate: "its rate",
  endpoint_down: "cannot be reached",
  gateway_busy: "the gateway is busy",
};

/** What something is held for. */
export const cause = (name) => CAUSES[name] ?? plain(name);

/** A word of the gateway's without its underscores. */
export const plain = (word) => (word ?? "").replaceAll("_", " ");

/** How good or bad it is: `good`, `bad`, or nothing in particular. */
export function tone(word) {
  if (word === "confirmed") return "good";
  return ["waiting", "accepted", "received", "retry", "held", "hold"].includes(word) ? "" : "bad";
}

/** What a notification is, in two words. */
export const state = (row) => plain(row.state === "ended" ? row.outcome : row.state);

/** What comes of it next, or how it ended. */
export function outlook(row) {
  switch (row.state) {
    case "waiting": return `attempt ${row.next_attempt}${is_late(row.due) ? "," : ""} ${due(row.due)}`;
    case "held": return `${cause(row.cause)}, since ${moment(row.since)}`;
    case "ended": return row.detail ? `${moment(row.ended_at)}: ${row.detail}` : moment(row.ended_at);
    case "accepted": return "waits for its first attempt";
    default: return "is being passed on";
  }
}
