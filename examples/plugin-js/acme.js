// The format `acme`: a signed POST of JSON, confirmed by status 200 and the body `ok`.
//
// Everything that counts comes in through the arguments: there is no clock, no network and no key here. The contract
// is wit/merchant.wit; `paynotify plugin cases acme.wasm acme.cases` shows by examples what is written and judged.

import crypto from "paynotify:merchant/crypto@0.1.0";

export const plugin = { describe, checkSettings, format, judge };

function describe() {
  return {
    name: "acme",
    version: "0.1.0",
    summary: "A signed POST of JSON, confirmed by 200 and `ok`",
    settingsSchema: '{"type":"object","additionalProperties":false}',
    keys: [{ role: "signing", summary: "signs the time and the body", algorithms: ["hmac-sha256"], required: true }],
    ladders: [],
  };
}

// What is thrown becomes the contract's error: here a text for the one who wrote the merchant's file.
function checkSettings(settingsJson) {
  for (const name of Object.keys(JSON.parse(settingsJson))) {
    throw `${name}: no such setting; the format has none`;
  }
}

function format(notification, endpoint, attempt) {
  const { id, kind } = notification;
  if (kind !== "payment") {
    throw unusable("kind", `this format can tell of a payment only, not of \`${kind}\``);
  }
  const order = needed("merchant-order-id", notification.merchantOrderId);
  const { minor, currency } = needed("amount", notification.amount);
  const status = needed("status", notification.status);
  // A number of JavaScript's is exact up to 2^53 only, and an amount that may be wrong is never told.
  if (!Number.isSafeInteger(minor)) throw unusable("amount", "larger than this plugin can count exactly");

  const body = utf8(JSON.stringify({ id, order, amount: minor, currency, status }));
  const time = String(Math.floor(attempt.now / 1000));
  return {
    method: "POST",
    url: endpoint.url,
    headers: [
      { name: "content-type", value: utf8("application/json") },
      { name: "acme-time", value: utf8(time) },
      { name: "acme-signature", value: utf8(signature(endpoint.keys, [utf8(`${time}.`), body])) },
    ],
    body,
  };
}

function judge(notification, endpoint, { status, body, truncated }) {
  const text = truncated ? "" : asciiOf(body);
  if (status === 200 && text === "ok") return { tag: "confirmed", val: null };
  if (status === 410) return { tag: "stop", val: "the merchant answered 410: it wants no more of this" };
  const wait = /^wait ([0-9]{1,6})$/.exec(text);
  if ((status === 429 || status === 503) && wait) {
    const reason = `status ${status}, and the merchant asks for a wait of ${Number(wait[1])} s`;
    return { tag: "retry", val: { afterSeconds: Number(wait[1]), reason } };
  }
  return { tag: "retry", val: { afterSeconds: null, reason: `status ${status}, wanted 200 and \`ok\`` } };
}

// The key never comes here: the gateway signs. Of several keys the newest comes first.
function signature(keys, parts) {
  const key = keys.find((key) => key.role === "signing");
  if (!key) throw { tag: "unusable-key", val: "signing: the merchant's file gives no key to this role" };
  const signed = crypto.sign(key.name, "hmac-sha256", parts.map((val) => ({ tag: "bytes", val })));
  let hexadecimal = "";
  for (const byte of signed) hexadecimal += byte.toString(16).padStart(2, "0");
  return hexadecimal;
}

function needed(field, value) {
  if (value === null || value === undefined) throw unusable(field, "absent, and the format cannot do without it");
  return value;
}

function unusable(field, reason) {
  return { tag: "unusable-record", val: `${field}: ${reason}` };
}

// QuickJS has no TextEncoder; this does the same. An interpreter takes its time for a function called for each character: a plain
// loop is several times as fast, and hardly any text is more than ASCII.
function utf8(text) {
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < bytes.length; at++) {
    const code = text.charCodeAt(at);
    if (code > 0x7f) return Uint8Array.from(unescape(encodeURIComponent(text)), (character) => character.charCodeAt(0));
    bytes[at] = code;
  }
  return bytes;
}

// Whatever the merchant sent, as text: enough to compare with words of ASCII.
function asciiOf(bytes) {
  return bytes.length > 64 ? "" : String.fromCharCode(...bytes);
}
