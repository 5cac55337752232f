// What the page knows of the gateway as a whole: asked for again and again in one place, for the sentence at the top and the overview.

import { Problem, again, ask, path } from "./api.js";
import { now } from "./words.js";

/** How often, in milliseconds. The gateway counts at most every three seconds. */
const OFTEN = 3000;
/** What changes seldom, or costs more, is asked every so many times. */
const SELDOM = 10;
/** How many merchants, and how many notifications, are named. */
const NAMED = 20;
const DAY = 86_400_000;
const OUTCOMES = ["exhausted", "stopped", "abandoned"];

export const changed = new EventTarget();
/** The last answers; nothing before the first. `away` is since when there are none any more. */
export const facts = { ladder: null, ready: null, away: null };
export const is_ready = ({ broker, journal }) => broker === "ready" && journal === "ready";
/** Whether somebody looks at the plugins, which are then asked for as often as all else. */
let are_plugins_seen = false;
export const see_plugins = (seen) => { are_plugins_seen = seen; };
let rounds = 0;

const merchants = (is, signal) => ask(path("/v1/merchants", { is, limit: NAMED }), { signal });

/** Those that have ended within a day and were not confirmed, by outcome. */
async function undelivered(ladder, signal) {
  const of = async (outcome) => {
    if (!ladder.ended_24h[outcome]) return [];
    const { notifications } = await ask(path("/v1/notifications", { outcome, limit: NAMED }), { signal });
    return notifications.filter((row) => Date.parse(row.ended_at) > now() - DAY);
  };
  return (await Promise.all(OUTCOMES.map(of))).flat();
}

/** Faults of each plugin since the gateway started, from the metrics: their lines are `name{label="value",…} number`. */
async function faults(signal) {
  const text = await ask("/metrics", { signal, text: true });
  const found = new Map();
  for (const [, labels, number] of text.matchAll(/^paynotify_plugin_faults_total\{([^}]*)\} ([0-9.e+]+)/gm)) {
    const plugin = labels.match(/(?:^|,)plugin="([^"]*)"/)?.[1];
    const fault = labels.match(/(?:^|,)fault="([^"]*)"/)?.[1];
    if (!plugin || Number(number) === 0) continue;
    const of_plugin = found.get(plugin) ?? new Map();
    of_plugin.set(fault, (of_plugin.get(fault) ?? 0) + Number(number));
    found.set(plugin, of_plugin);
  }
  return found;
}

async function round(signal) {
  const seldom = rounds % SELDOM === 0;
  // First, and of use by itself: without a journal nothing else is answered.
  facts.ready = await ask("/readyz", { signal, good: [503] });
  if (!is_ready(facts.ready)) changed.dispatchEvent(new Event("facts"));
  const [ladder, down, paused, slow, holds] = await Promise.all([
    ask("/v1/ladder", { signal }), merchants("down", signal), merchants("paused", signal), merchants("slow", signal),
    ask(path("/v1/holds", { limit: 200 }), { signal }),
  ]);
  Object.assign(facts, { ladder, down, paused, slow, holds: holds.holds, more_holds: holds.next !== null, away: null });
  facts.undelivered = await undelivered(ladder, signal);
  if (seldom || are_plugins_seen || !facts.plugins) {
    if (rounds === 0) changed.dispatchEvent(new Event("facts"));
    facts.plugins = await ask("/v1/plugins", { signal });
  }
  // While one fails its faults are worth more than that.
  const fails = facts.holds.some((row) => ["plugin_fault", "breaker_open"].includes(row.cause));
  if (seldom || are_plugins_seen || fails || !facts.faults) facts.faults = await faults(signal);
  rounds += 1;
}

/** Asks from now on. */
export function begin() {
  rounds = 0;
  return again(OFTEN, async (signal) => {
    try {
      await round(signal);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      facts.away ??= { since: now(), status: error.status, detail: error.message };
      throw error;
    } finally {
      if (!signal.aborted) changed.dispatchEvent(new Event("facts"));
    }
  });
}

/** Forgets all of it, with the token that it was asked with. */
export function forget() {
  for (const name of Object.keys(facts)) facts[name] = null;
}
