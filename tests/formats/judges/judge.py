"""Has a vendor's SDK judge requests that the gateway sent, as a merchant's server would.

    python judge.py SDK [FOLDER]

judges with that SDK, one line of JSON after the other:

    in:  {"at": seconds since 1970, "headers": [[name, value]], "body": base64, "keys": {...}}
    out: {"accepted": bool, "said": text, "got": what the SDK makes of the request}
     or  {"error": text} where something went wrong that is no answer of the SDK's.

`at` is what the receiver's clock shows: several SDKs refuse what is too old. One SDK for a process, because two of them
call their package by the same name; FOLDER is looked in first. Nothing here reaches the network.
"""

import base64
import datetime
import json
import sys
import tempfile
import urllib.parse

from freezegun import freeze_time
from requests.structures import CaseInsensitiveDict


class Refused(Exception):
    """The SDK said no."""


def standardwebhooks(headers, body, keys):
    from standardwebhooks.webhooks import Webhook, WebhookVerificationError

    try:
        return Webhook(keys["secret"]).verify(body, dict(headers))
    except WebhookVerificationError as error:
        raise Refused(error) from error


def standardwebhooks_v1a(headers, body, keys):
    """No library verifies `v1a`: this is the specification's text (spec/standard-webhooks.md) in code, upon
    `cryptography`'s Ed25519."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    message_id, timestamp = headers.get("webhook-id"), headers.get("webhook-timestamp")
    signatures = headers.get("webhook-signature")
    if not (message_id and timestamp and signatures):
        raise Refused("a header field is missing")
    now = datetime.datetime.now(datetime.timezone.utc).timestamp()
    if abs(now - int(timestamp)) > 300:
        raise Refused("the timestamp is more than five minutes off")
    prefix, encoded = keys["public_key"][:5], keys["public_key"][5:]
    assert prefix == "whpk_", prefix
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(encoded))
    signed = b"%s.%s.%s" % (message_id.encode(), timestamp.encode(), body)
    for signature in signatures.split(" "):
        version, _, encoded = signature.partition(",")
        if version != "v1a":
            continue
        try:
            key.verify(base64.b64decode(encoded), signed)
            return json.loads(body)
        except InvalidSignature:
            pass
    raise Refused("no signature is the key's")


def stripe(headers, body, keys):
    import stripe as sdk

    try:
        event = sdk.Webhook.construct_event(body, headers.get("Stripe-Signature"), keys["secret"])
    except sdk.SignatureVerificationError as error:
        raise Refused(error) from error
    return event.to_dict()


def adyen(headers, body, keys):
    from Adyen.util import is_valid_hmac_notification

    notification = json.loads(body)
    # Without `additionalData` it answers nothing at all; an empty signature is a ValueError.
    if is_valid_hmac_notification(notification, keys["hmac_key"]) is not True:
        raise Refused("the signature is not the key's, or is missing")
    return notification


def paddle(headers, body, keys):
    from paddle_billing.Notifications import Secret, Verifier

    class Request:
        pass

    request = Request()
    request.headers, request.body = headers, body
    if not Verifier().verify(request, Secret(keys["secret"])):
        raise Refused("the signature is not the key's, or too old")
    return json.loads(body)


def alipay_sdk_python(headers, body, keys):
    """Alipay's own. It has no function for a whole notification; its own `get_sign_content` and `verify_with_rsa` are what
    its users call, after they have taken away the two fields that are not signed."""
    from alipay.aop.api.util.SignatureUtils import get_sign_content, verify_with_rsa
    from rsa.pkcs1 import VerificationError

    fields = form(body)
    signature = fields.pop("sign", None)
    sign_type = fields.pop("sign_type", None)
    if not signature or sign_type != "RSA2":
        raise Refused(f"no signature, or of the type {sign_type}")
    try:
        verify_with_rsa(keys["public_key"], get_sign_content(fields).encode(), signature)
    except VerificationError as error:
        raise Refused(error) from error
    return fields


def python_alipay_sdk(headers, body, keys):
    from alipay import AliPay
    from alipay.exceptions import AliPayException

    receiver = AliPay(
        appid=keys["app_id"],
        # Its own key is not used for this, but it insists on one.
        app_private_key_string=keys["any_private_key"],
        alipay_public_key_string=keys["public_key"],
        sign_type="RSA2",
    )
    fields = form(body)
    signature = fields.pop("sign", None)
    if not signature:
        raise Refused("no signature")
    try:
        is_valid = receiver.verify(dict(fields), signature)
    except AliPayException as error:
        raise Refused(error) from error
    if not is_valid:
        raise Refused("the signature is not the key's")
    return fields


def wechatpy(headers, body, keys):
    """MD5 by the SDK's function for notifications. It has none for HMAC-SHA256; that is checked with the SDK's function for
    such signatures, in the same way."""
    from xml.parsers.expat import ExpatError

    import xmltodict
    from wechatpy.exceptions import InvalidSignatureException
    from wechatpy.pay import WeChatPay
    from wechatpy.pay.utils import calculate_signature_hmac

    try:
        fields = xmltodict.parse(body)["xml"]
    except ExpatError as error:
        raise Refused(error) from error
    if fields.get("sign_type") == "HMAC-SHA256":
        signature = fields.pop("sign", None)
        if signature != calculate_signature_hmac(fields, keys["api_key"]):
            raise Refused("the signature is not the key's")
        return fields
    receiver = WeChatPay(keys["app_id"], keys["api_key"], keys["mch_id"])
    try:
        return receiver.parse_payment_result(body)
    except InvalidSignatureException as error:
        raise Refused(error) from error


def wechatpayv3(headers, body, keys):
    from wechatpayv3 import WeChatPay, WeChatPayType

    with tempfile.TemporaryDirectory() as folder:
        if "certificate" in keys:
            with open(f"{folder}/platform.pem", "w", encoding="utf-8") as file:
                file.write(keys["certificate"])
        receiver = WeChatPay(
            wechatpay_type=WeChatPayType.NATIVE,
            mchid=keys["mch_id"],
            # Its own key is for requests of its own; with it, it asks for certificates that it does not know.
            private_key=keys["any_private_key"],
            cert_serial_no="0",
            appid=keys["app_id"],
            apiv3_key=keys["apiv3_key"],
            cert_dir=folder,
            public_key=keys.get("public_key"),
            public_key_id=keys.get("public_key_id"),
        )
        try:
            got = receiver.callback(headers, body)
        except Offline as error:
            raise Refused("it does not know the certificate, and would ask WeChat for it") from error
        except Exception as error:
            # It raises nothing more particular.
            if type(error) is not Exception:
                raise
            raise Refused(error) from error
    if not got:
        raise Refused("the signature is not the key's")
    return got


def cloudevents(headers, body, keys):
    """CloudEvents are not signed. What the SDK refuses is an event that is none, and a merchant knows the sender by the
    token, which is compared here."""
    from cloudevents.core.bindings.http import HTTPMessage, from_http_event
    from cloudevents.core.exceptions import CloudEventValidationError

    if "token" in keys and headers.get("Authorization") != f"Bearer {keys['token']}":
        raise Refused("not the sender's token")
    try:
        event = from_http_event(HTTPMessage(dict(headers), body))
    except CloudEventValidationError as error:
        raise Refused(error.errors) from error
    attributes = {
        name: value.isoformat() if isinstance(value, datetime.datetime) else value
        for name, value in event.get_attributes().items()
    }
    data = event.get_data()
    return {"attributes": attributes, "data": data if not isinstance(data, bytes) else data.decode()}


def form(body):
    """The fields of a form, as frameworks decode it. Empty ones are kept."""
    return dict(urllib.parse.parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=True))


SDKS = {
    "adyen": adyen,
    "alipay-sdk-python": alipay_sdk_python,
    "cloudevents": cloudevents,
    "paddle-python-sdk": paddle,
    "python-alipay-sdk": python_alipay_sdk,
    "standardwebhooks": standardwebhooks,
    "standardwebhooks-v1a": standardwebhooks_v1a,
    "stripe": stripe,
    "wechatpayv3": wechatpayv3,
    "wechatpy": wechatpy,
}


class Offline(BaseException):
    """Something wanted to reach the network. No SDK catches it."""


def stay_offline(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        raise Offline(f"{event} {arguments}")


def answer(judge, request):
    headers = CaseInsensitiveDict(request["headers"])
    body = base64.b64decode(request["body"])
    moment = datetime.datetime.fromtimestamp(request["at"], datetime.timezone.utc)
    try:
        with freeze_time(moment):
            got = judge(headers, body, request["keys"])
        return {"accepted": True, "said": "accepted", "got": got}
    # A body that is no UTF-8, no JSON or no form is refused before any signature is looked at.
    except (Refused, ValueError) as error:
        return {"accepted": False, "said": f"{error}"}
    except (Exception, Offline) as error:
        return {"error": f"{type(error).__name__}: {error}"}


def main():
    name, folders = sys.argv[1], sys.argv[2:]
    sys.path[:0] = folders
    sys.addaudithook(stay_offline)
    for line in sys.stdin:
        print(json.dumps(answer(SDKS[name], json.loads(line)), ensure_ascii=True, default=str), flush=True)


if __name__ == "__main__":
    main()
