// The format `acme`: a signed POST of JSON, confirmed by status 200 and the body `ok`.
//
// Everything that counts comes in through the arguments: there is no clock, no network and no key here. The contract
// is wit/merchant.wit; `paynotify plugin cases acme.wasm acme.cases` shows by examples what is written and judged.
//
// What is handed back is allocated: the bindings free it. What is not handed back need not be freed, for every call
// has an instance of its own. A function of the contract returns whether it worked.

#include "text.h"

#define SIGNED PAYNOTIFY_MERCHANT_CRYPTO_ALGORITHM_HMAC_SHA256

static const char *const STATUS[] = {"succeeded", "failed", "pending", "closed", "finished"};

void exports_paynotify_merchant_plugin_describe(exports_paynotify_merchant_plugin_description_t *ret) {
  exports_paynotify_merchant_plugin_key_need_t *key = calloc(1, sizeof *key);
  key->role = text("signing");
  key->summary = text("signs the time and the body");
  key->algorithms.ptr = malloc(1);
  key->algorithms.ptr[0] = SIGNED;
  key->algorithms.len = 1;
  key->required = true;
  ret->name = text("acme");
  ret->version = text("0.1.0");
  ret->summary = text("A signed POST of JSON, confirmed by 200 and `ok`");
  ret->settings_schema = text("{\"type\":\"object\",\"additionalProperties\":false}");
  ret->keys.ptr = key;
  ret->keys.len = 1;
  ret->ladders.len = 0;
}

bool exports_paynotify_merchant_plugin_check_settings(merchant_plugin_string_t *settings, merchant_plugin_string_t *err) {
  // The gateway hands over a JSON object: one with a setting in it has a quote.
  if (memchr(settings->ptr, '"', settings->len) == NULL) return true;
  *err = text("the format has no settings");
  return false;
}

static bool unusable(paynotify_merchant_types_plugin_error_t *err, merchant_plugin_string_t why) {
  err->tag = PAYNOTIFY_MERCHANT_TYPES_PLUGIN_ERROR_UNUSABLE_RECORD;
  err->val.unusable_record = why;
  return false;
}

// The key never comes here: the gateway signs. Of several keys the newest comes first.
static bool sign(paynotify_merchant_types_list_key_binding_t keys, merchant_plugin_string_t message,
                 merchant_plugin_list_u8_t *signature) {
  paynotify_merchant_crypto_part_t part = {PAYNOTIFY_MERCHANT_CRYPTO_PART_BYTES, {bytes(message)}};
  paynotify_merchant_crypto_list_part_t parts = {&part, 1};
  paynotify_merchant_crypto_crypto_error_t problem;
  for (size_t i = 0; i < keys.len; i++)
    if (is(keys.ptr[i].role, "signing"))
      return paynotify_merchant_crypto_sign(&keys.ptr[i].name, SIGNED, &parts, signature, &problem);
  return false;
}

bool exports_paynotify_merchant_plugin_format(
    exports_paynotify_merchant_plugin_notification_t *notification, exports_paynotify_merchant_plugin_endpoint_t *endpoint,
    exports_paynotify_merchant_plugin_attempt_t *attempt, exports_paynotify_merchant_plugin_http_request_t *ret,
    exports_paynotify_merchant_plugin_plugin_error_t *err) {
  if (!is(notification->kind, "payment"))
    return unusable(err, written("kind: this format can tell of a payment only, not of `%s`", notification->kind));
  const char *absent = !notification->merchant_order_id.is_some ? "merchant-order-id"
                       : !notification->amount.is_some          ? "amount"
                       : !notification->status.is_some          ? "status"
                                                                : NULL;
  if (absent) return unusable(err, written("%s: absent, and the format cannot do without it", view(absent)));

  merchant_plugin_string_t id = quoted(notification->id), order = quoted(notification->merchant_order_id.val);
  merchant_plugin_string_t minor = number(notification->amount.val.minor);
  merchant_plugin_string_t currency = quoted(notification->amount.val.currency);
  merchant_plugin_string_t status = view(STATUS[notification->status.val]);
  merchant_plugin_string_t body = written("{\"id\":%s,\"order\":%s,\"amount\":%s,\"currency\":%s,\"status\":\"%s\"}", id,
                                          order, minor, currency, status);
  merchant_plugin_string_t time = number(attempt->now / 1000);
  merchant_plugin_list_u8_t signature;
  if (!sign(endpoint->keys, written("%s.%s", time, body), &signature)) {
    err->tag = PAYNOTIFY_MERCHANT_TYPES_PLUGIN_ERROR_UNUSABLE_KEY;
    err->val.unusable_key = text("signing: the merchant's file gives no key to this role");
    return false;
  }

  paynotify_merchant_types_header_t *headers = calloc(3, sizeof *headers);
  headers[0] = (paynotify_merchant_types_header_t){text("content-type"), bytes(text("application/json"))};
  headers[1] = (paynotify_merchant_types_header_t){text("acme-time"), bytes(time)};
  headers[2] = (paynotify_merchant_types_header_t){text("acme-signature"), bytes(hex(signature))};
  ret->method = text("POST");
  ret->url = written("%s", endpoint->url);
  ret->headers.ptr = headers;
  ret->headers.len = 3;
  ret->body = bytes(body);
  return true;
}

// The seconds of a body `wait 30`; -1 for any other.
static int wait_of(merchant_plugin_string_t body) {
  if (body.len < 6 || body.len > 11 || memcmp(body.ptr, "wait ", 5) != 0) return -1;
  int seconds = 0;
  for (size_t i = 5; i < body.len; i++) {
    if (body.ptr[i] < '0' || body.ptr[i] > '9') return -1;
    seconds = seconds * 10 + (body.ptr[i] - '0');
  }
  return seconds;
}

bool exports_paynotify_merchant_plugin_judge(
    exports_paynotify_merchant_plugin_notification_t *notification, exports_paynotify_merchant_plugin_endpoint_t *endpoint,
    exports_paynotify_merchant_plugin_http_response_t *response, exports_paynotify_merchant_plugin_verdict_t *ret,
    exports_paynotify_merchant_plugin_plugin_error_t *err) {
  merchant_plugin_string_t body = {response->body.ptr, response->truncated ? 0 : response->body.len};
  merchant_plugin_string_t status = number(response->status);
  int wait = response->status == 429 || response->status == 503 ? wait_of(body) : -1;
  if (response->status == 200 && is(body, "ok")) {
    ret->tag = PAYNOTIFY_MERCHANT_TYPES_VERDICT_CONFIRMED;
    ret->val.confirmed.is_some = false;
  } else if (response->status == 410) {
    ret->tag = PAYNOTIFY_MERCHANT_TYPES_VERDICT_STOP;
    ret->val.stop = text("the merchant answered 410: it wants no more of this");
  } else {
    ret->tag = PAYNOTIFY_MERCHANT_TYPES_VERDICT_RETRY;
    ret->val.retry.after_seconds.is_some = wait >= 0;
    ret->val.retry.after_seconds.val = wait;
    ret->val.retry.reason = wait >= 0 ? written("status %s, and the merchant asks for a wait of %s s", status, number(wait))
                                      : written("status %s, wanted 200 and `ok`", status);
  }
  return true;
}
