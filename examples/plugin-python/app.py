"""The format `acme`: a signed POST of JSON, confirmed by status 200 and the body `ok`.

Everything that counts comes in through the arguments: there is no clock, no network and no key here. The contract is
wit/merchant.wit; `paynotify plugin cases acme.wasm acme.cases` shows by examples what is written and judged.
"""

import json
import re

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.plugin import Description, KeyNeed
from wit_world.imports import crypto
from wit_world.imports.types import (
    Header, HttpRequest, PluginError_UnusableKey, PluginError_UnusableRecord, RetryAdvice,
    Verdict_Confirmed, Verdict_Retry, Verdict_Stop,
)

SIGNED = crypto.Algorithm.HMAC_SHA256


class Plugin(exports.Plugin):
    def describe(self):
        return Description(
            name="acme",
            version="0.1.0",
            summary="A signed POST of JSON, confirmed by 200 and `ok`",
            settings_schema='{"type":"object","additionalProperties":false}',
            keys=[KeyNeed("signing", "signs the time and the body", [SIGNED], True)],
            ladders=[],
        )

    # What is raised as `Err` is the contract's error: here a text for the one who wrote the merchant's file.
    def check_settings(self, settings_json):
        for name in json.loads(settings_json):
            raise Err(f"{name}: no such setting; the format has none")

    def format(self, notification, endpoint, attempt):
        if notification.kind != "payment":
            reason = f"this format can tell of a payment only, not of `{notification.kind}`"
            raise unusable("kind", reason)
        order = needed("merchant-order-id", notification.merchant_order_id)
        amount = needed("amount", notification.amount)
        status = needed("status", notification.status)
        told = {
            "id": notification.id,
            "order": order,
            "amount": amount.minor,
            "currency": amount.currency,
            "status": status.name.lower(),
        }
        body = json.dumps(told, ensure_ascii=False, separators=(",", ":"))
        time = str(attempt.now // 1000)
        headers = [
            Header("content-type", b"application/json"),
            Header("acme-time", time.encode()),
            Header("acme-signature", signature(endpoint.keys, f"{time}.{body}").encode()),
        ]
        return HttpRequest("POST", endpoint.url, headers, body.encode())

    def judge(self, notification, endpoint, response):
        status, body = response.status, b"" if response.truncated else response.body
        if status == 200 and body == b"ok":
            return Verdict_Confirmed(None)
        if status == 410:
            return Verdict_Stop("the merchant answered 410: it wants no more of this")
        wait = re.fullmatch(rb"wait ([0-9]{1,6})", body)
        if status in (429, 503) and wait:
            seconds = int(wait[1])
            reason = f"status {status}, and the merchant asks for a wait of {seconds} s"
            return Verdict_Retry(RetryAdvice(seconds, reason))
        return Verdict_Retry(RetryAdvice(None, f"status {status}, wanted 200 and `ok`"))


def signature(keys, text):
    """The key never comes here: the gateway signs. Of several keys the newest comes first."""
    key = next((key for key in keys if key.role == "signing"), None)
    if key is None:
        raise Err(PluginError_UnusableKey("signing: the merchant's file gives no key to this role"))
    return crypto.sign(key.name, SIGNED, [crypto.Part_Bytes(text.encode())]).hex()


def needed(field, value):
    if value is None:
        raise unusable(field, "absent, and the format cannot do without it")
    return value


def unusable(field, reason):
    return Err(PluginError_UnusableRecord(f"{field}: {reason}"))
