// What is wrong, and for whom: from the facts to one sentence, and those of lesser weight beneath it. Pure but for the clock.

import { count, is_late, length, names, now, of, seconds } from "./words.js";

const sum = (rows, number) => rows.reduce((total, row) => total + number(row), 0);
const has = (number) => (number === 1 ? "waits" : "wait");

/** The gateway itself, its broker and its journal. */
function* gateway({ away, ready }) {
  if (away && away.status === 0) {
    yield { level: "wrong", text: `The gateway has not answered for ${seconds(now() - away.since)}.` };
    return;
  }
  if (ready && ready.broker !== "ready") {
    yield { level: "wrong", text: "No merchant is told anything: the broker is away.", detail: `${capital(ready.broker)}.` };
  }
  if (ready && ready.journal !== "ready") {
    yield { level: "wrong", text: "No merchant is told anything: the journal is away.", detail: `${capital(ready.journal)}.` };
  } else if (away) {
    yield { level: "wrong", text: `The gateway answers with an error: ${away.detail}.` };
  }
}

/** Merchants who are told nothing. */
function* merchants({ down, paused, holds, ladder }) {
  if (down.total > 0) {
    const waiting = sum(down.merchants, (row) => row.waiting + row.held);
    const more = down.total > down.merchants.length ? "More than " : "";
    const who = names(down.merchants.map((row) => row.merchant_id), down.total);
    const what = waiting ? ` ${more}${of(waiting, "notification")} ${has(waiting)} for ${down.total === 1 ? "it" : "them"}.` : "";
    yield { level: "wrong", text: `${who} cannot be reached.${what}`, href: down.total === 1 ? one(down) : "#/merchants?is=down" };
  }
  // Of the merchants only some are named; what is held is counted whole.
  const held = (...causes) => {
    const has_cause = (row) => causes.includes(row.cause);
    const ids = [...new Set(holds.filter(has_cause).map((row) => row.merchant_id))];
    return ids.length ? [names(ids), of(sum(ladder.held.filter(has_cause), (row) => row.count), "notification"), ids[0]] : null;
  };
  const faulty = held("plugin_fault", "breaker_open");
  if (faulty) {
    const [who, what] = faulty;
    yield { level: "wrong", text: `The plugin fails for ${who}: ${what} held until it works.`, href: "#/plugins" };
  }
  const unknown = held("unknown_merchant");
  if (unknown) {
    const [who, what, first] = unknown;
    yield { level: "wrong", text: `Nobody has configured ${who}: ${what} held until somebody does.`, href: `#/notifications?what=${encodeURIComponent(first)}` };
  }
  const refused = held("address_refused");
  if (refused) {
    const [who, what] = refused;
    yield { level: "wrong", text: `The address of ${who} is not allowed: ${what} held.` };
  }
  if (paused.total > 0) {
    const who = names(paused.merchants.map((row) => row.merchant_id), paused.total);
    const waiting = sum(paused.merchants, (row) => row.waiting + row.held);
    const [{ paused: pause }] = paused.merchants;
    const by = paused.total === 1 && pause ? ` by ${pause.by} for ${seconds(now() - Date.parse(pause.since))}` : "";
    const what = waiting ? ` ${of(waiting, "notification")} ${has(waiting)}.` : "";
    const is = paused.total === 1 ? "has been" : "are";
    yield { level: "look", text: `${who} ${by ? is : paused.total === 1 ? "is" : "are"} paused${by}.${what}`, href: paused.total === 1 ? one(paused) : "#/merchants?is=paused" };
  }
}

/** What was due and has not gone on. */
function* lateness({ ladder }) {
  const { next_due: fresh } = ladder.work_queue;
  if (is_late(fresh)) {
    yield { level: "wrong", text: `First attempts are late: what was due ${seconds(now() - Date.parse(fresh))} ago has not been attempted.` };
  }
  const late = ladder.rungs.filter((rung) => rung.waiting > 0 && is_late(rung.next_due));
  if (late.length > 0) {
    const longest = Math.max(...late.map((rung) => now() - Date.parse(rung.next_due)));
    yield { level: "wrong", text: `The ladder is late: what was due ${seconds(longest)} ago has not gone on from ${names(late.map((rung) => length(rung.delay_ms)))}.` };
  }
}

/** What needs somebody's decision. */
function* decisions({ ladder, undelivered, plugins }) {
  const { exhausted, stopped, abandoned } = ladder.ended_24h;
  for (const [outcome, number, words] of [["exhausted", exhausted, "never confirmed"], ["stopped", stopped, "refused for good"], ["abandoned", abandoned, "given up"]]) {
    if (!number) continue;
    const rows = (undelivered ?? []).filter((row) => row.outcome === outcome);
    const some = names([...new Set(rows.map((row) => row.merchant_id))]);
    // Only the newest have been asked for.
    const who = some && rows.length < number ? `${some} and maybe others` : some;
    yield { level: "look", text: `${of(number, "notification")}${who ? ` for ${who}` : ""} ${number === 1 ? "was" : "were"} ${words} in the last 24 hours.`, href: `#/undelivered?outcome=${outcome}` };
  }
  const poison = ladder.poison.messages;
  if (poison > 0) {
    yield { level: "look", text: `${of(poison, "message")} could not be worked upon, and ${has(poison)} in the poison queue.`, href: "#/undelivered" };
  }
  const refused = plugins?.refused.length ?? 0;
  if (refused > 0) {
    yield { level: "look", text: `${of(refused, "file")} that ${refused === 1 ? "was" : "were"} dropped in ${refused === 1 ? "is" : "are"} not in effect.`, href: "#/plugins" };
  }
  if (ladder.slow_lane.merchants > 0 && ladder.slow_lane.waiting > 0) {
    const { merchants: slow, waiting } = ladder.slow_lane;
    yield { level: "note", text: `${of(slow, "merchant")} in the slow lane, with ${of(waiting, "notification")}.`, href: "#/merchants?is=slow" };
  }
}

const one = ({ merchants: [row] }) => `#/merchants/${encodeURIComponent(row.merchant_id)}`;
const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1).replace(/\.$/, "");
const WEIGHT = { wrong: 0, look: 1, note: 2 };

/** All that is to be said, the gravest first; at least one. Nothing before the first answer. */
export function sentences(facts) {
  const said = [...gateway(facts)];
  if (!facts.ladder) return said;
  said.push(...merchants(facts), ...lateness(facts), ...decisions(facts));
  said.sort((one, other) => WEIGHT[one.level] - WEIGHT[other.level]);
  if (said.length === 0 || said[0].level === "note") {
    const { rungs, held } = facts.ladder;
    const waiting = sum(rungs, (rung) => rung.waiting) + sum(held, (row) => row.count);
    const rest = waiting ? `${count(waiting)} ${waiting === 1 ? "is" : "are"} being tried again.` : "Nothing waits.";
    said.unshift({ level: "well", text: `All is well: every merchant is being told. ${rest}` });
  }
  return said;
}

