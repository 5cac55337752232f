//! Verifies what the formats sign, as a merchant would, and shares no code with the plugins.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::{hmac, signature};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use md5::{Digest as _, Md5};
use paynotify::domain::Request;
use serde_json::Value;
use url::form_urlencoded;

use super::all::{Format, SECRET, file};

type Pairs = Vec<(String, String)>;

/// Whether the request is signed as its format says; if not, what is wrong.
pub(crate) fn verify(format: &Format, request: &Request) -> Result<(), String> {
    match format.plugin {
        "plain" => Ok(()),
        "alipay" => alipay(pairs(&request.body), &["sign", "sign_type"]),
        "alipay-query" => alipay_query(request.uri.query().unwrap_or_default().as_bytes(), &request.body),
        "epay" => epay(pairs(request.uri.query().unwrap_or_default().as_bytes())),
        "wechat-v2" => wechat_v2(&request.body),
        "wechat-v3" => wechat_v3(request),
        "standard-webhooks" => standard_webhooks(request),
        "stripe" => timed(request, "stripe-signature", "t", "v1", "."),
        "paddle" => timed(request, "paddle-signature", "ts", "h1", ":"),
        "adyen" => adyen(&request.body),
        "cloudevents" => cloudevents(format, request),
        other => Err(format!("nobody verifies `{other}`")),
    }
}

fn must(holds: bool, what: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what.to_owned()) }
}

fn header<'a>(request: &'a Request, name: &str) -> Result<&'a str, String> {
    let value = request.headers.get(name).ok_or_else(|| format!("{name}: missing"))?;
    value.to_str().map_err(|error| format!("{name}: {error}"))
}

fn body(request: &Request) -> Result<&str, String> {
    std::str::from_utf8(&request.body).map_err(|error| error.to_string())
}

fn json(bytes: &[u8]) -> Result<Value, String> {
    serde_json::from_slice(bytes).map_err(|error| format!("not JSON: {error}"))
}

fn hmac_sha256(text: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), text).as_ref().to_vec()
}

fn rsa(text: &str, signed: &str) -> Result<(), String> {
    let public = pem("keys/test-rsa-2048.public.pem");
    let signed = STANDARD.decode(signed).map_err(|error| error.to_string())?;
    signature::UnparsedPublicKey::new(&signature::RSA_PKCS1_2048_8192_SHA256, public)
        .verify(text.as_bytes(), &signed)
        .map_err(|_| "the signature is wrong".to_owned())
}

fn pem(name: &str) -> Vec<u8> {
    let text: String = file(name).lines().filter(|line| !line.starts_with("-----")).collect();
    STANDARD.decode(text).expect("base64")
}

fn pairs(form: &[u8]) -> Pairs {
    form_urlencoded::parse(form).into_owned().collect()
}

/// `k=v&…` by name, without some and without empty ones, of which there must be none.
fn canonical(mut pairs: Pairs, without: &[&str]) -> Result<String, String> {
    let mut names: Vec<_> = pairs.iter().map(|(name, _)| name.clone()).collect();
    names.sort();
    names.dedup();
    must(names.len() == pairs.len(), "a name comes twice")?;
    must(pairs.iter().all(|(_, value)| !value.is_empty()), "an empty value is sent")?;
    pairs.retain(|(name, _)| !without.contains(&name.as_str()));
    pairs.sort();
    Ok(pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&"))
}

fn value(pairs: &Pairs, name: &str) -> Result<String, String> {
    let found = pairs.iter().find(|(other, _)| other == name);
    found.map(|(_, value)| value.clone()).ok_or_else(|| format!("{name}: missing"))
}

fn alipay(pairs: Pairs, without: &[&str]) -> Result<(), String> {
    let signed = value(&pairs, "sign")?;
    rsa(&canonical(pairs, without)?, &signed)
}

/// Requests to Alipay are signed with `sign_type`, notifications of its without.
pub(crate) fn alipay_query(query: &[u8], body: &[u8]) -> Result<(), String> {
    let mut all = pairs(query);
    all.extend(pairs(body));
    alipay(all, &["sign"])
}

fn epay(pairs: Pairs) -> Result<(), String> {
    let signed = value(&pairs, "sign")?;
    let text = canonical(pairs, &["sign", "sign_type"])?;
    must(hex::encode(Md5::digest(format!("{text}{SECRET}"))) == signed, "the signature is wrong")
}

/// The elements of a flat document, text and CDATA, in their order.
fn elements(xml: &str) -> Result<Pairs, String> {
    let inner =
        xml.strip_prefix("<xml>").and_then(|rest| rest.strip_suffix("</xml>")).ok_or("no xml element")?;
    let (mut rest, mut pairs) = (inner, Vec::new());
    while !rest.trim().is_empty() {
        let (name, after) =
            rest.trim_start().strip_prefix('<').and_then(|rest| rest.split_once('>')).ok_or("no element")?;
        let (mut value, mut after) = (String::new(), after);
        let end = format!("</{name}>");
        loop {
            if let Some(data) = after.strip_prefix("<![CDATA[") {
                let (data, next) = data.split_once("]]>").ok_or("CDATA without an end")?;
                value.push_str(data);
                after = next;
            } else if let Some(next) = after.strip_prefix(end.as_str()) {
                rest = next;
                break;
            } else {
                let cut = after.find('<').ok_or("an element without an end")?;
                let (text, next) = after.split_at(cut);
                must(!text.is_empty(), "an element within an element")?;
                let plain = text
                    .replace("&lt;", "<")
                    .replace("&gt;", ">")
                    .replace("&quot;", "\"")
                    .replace("&apos;", "'");
                value.push_str(&plain.replace("&amp;", "&"));
                after = next;
            }
        }
        pairs.push((name.to_owned(), value));
    }
    Ok(pairs)
}

fn wechat_v2(body: &[u8]) -> Result<(), String> {
    let xml = std::str::from_utf8(body).map_err(|error| error.to_string())?;
    let pairs = elements(xml)?;
    let signed = value(&pairs, "sign")?;
    // Receivers take blanks off the ends.
    must(pairs.iter().all(|(_, value)| value.trim() == value), "a value begins or ends with a blank")?;
    let text = format!("{}&key={SECRET}", canonical(pairs, &["sign"])?);
    let (md5, hmac) =
        (hex::encode_upper(Md5::digest(&text)), hex::encode_upper(hmac_sha256(text.as_bytes())));
    must([md5, hmac].contains(&signed), "the signature is wrong")
}

fn wechat_v3(request: &Request) -> Result<(), String> {
    let (timestamp, nonce) = (header(request, "wechatpay-timestamp")?, header(request, "wechatpay-nonce")?);
    let text = body(request)?;
    rsa(&format!("{timestamp}\n{nonce}\n{text}\n"), header(request, "wechatpay-signature")?)?;
    let resource = &json(&request.body)?["resource"];
    let field =
        |name: &str| resource[name].as_str().map(str::to_owned).ok_or_else(|| format!("{name}: missing"));
    let mut sealed = STANDARD.decode(field("ciphertext")?).map_err(|error| error.to_string())?;
    let key = LessSafeKey::new(
        UnboundKey::new(&AES_256_GCM, SECRET.as_bytes()).map_err(|error| error.to_string())?,
    );
    let nonce =
        Nonce::try_assume_unique_for_key(field("nonce")?.as_bytes()).map_err(|error| error.to_string())?;
    let additional = Aad::from(field("associated_data")?);
    let opened = key.open_in_place(nonce, additional, &mut sealed).map_err(|_| "it cannot be opened")?;
    must(json(opened)?.is_object(), "the resource is no object")
}

fn standard_webhooks(request: &Request) -> Result<(), String> {
    let (id, timestamp) = (header(request, "webhook-id")?, header(request, "webhook-timestamp")?);
    must(!id.contains('.'), "the id has a full stop")?;
    let text = format!("{id}.{timestamp}.{}", body(request)?);
    let (mut v1, mut v1a) = (false, false);
    for one in header(request, "webhook-signature")?.split(' ') {
        let (version, signed) = one.split_once(',').ok_or("no version")?;
        let signed = STANDARD.decode(signed).map_err(|error| error.to_string())?;
        match version {
            "v1" => v1 = signed == hmac_sha256(text.as_bytes()),
            "v1a" => {
                let public = pem("keys/test-ed25519.public.pem");
                // The last 32 bytes of a SubjectPublicKeyInfo are the key (RFC 8410).
                let key =
                    signature::UnparsedPublicKey::new(&signature::ED25519, &public[public.len() - 32..]);
                v1a = key.verify(text.as_bytes(), &signed).is_ok();
            }
            other => return Err(format!("a signature of version {other}")),
        }
    }
    must(v1 && v1a, "the signature is wrong")
}

/// Stripe's and Paddle's header: the time and the hexadecimal HMAC of time, a sign and body.
fn timed(request: &Request, name: &str, time: &str, version: &str, sign: &str) -> Result<(), String> {
    let parts: Vec<_> =
        header(request, name)?.split([',', ';']).filter_map(|part| part.split_once('=')).collect();
    let part =
        |name: &str| parts.iter().find(|(other, _)| *other == name).map(|(_, value)| *value).ok_or("missing");
    let text = format!("{}{sign}{}", part(time)?, body(request)?);
    json(&request.body)?;
    must(hex::encode(hmac_sha256(text.as_bytes())) == part(version)?, "the signature is wrong")
}

fn adyen(body: &[u8]) -> Result<(), String> {
    let document = json(body)?;
    let item = &document["notificationItems"][0]["NotificationRequestItem"];
    let text = |name: &str| item[name].as_str().unwrap_or_default().to_owned();
    let value = item["amount"]["value"].as_i64().ok_or("the amount is no integer")?;
    let parts = [
        text("pspReference"),
        text("originalReference"),
        text("merchantAccountCode"),
        text("merchantReference"),
        value.to_string(),
        item["amount"]["currency"].as_str().unwrap_or_default().to_owned(),
        text("eventCode"),
        text("success"),
    ];
    // Adyen's key is hexadecimal; any bytes will do here.
    let wanted = STANDARD.encode(hmac_sha256(parts.join(":").as_bytes()));
    must(item["additionalData"]["hmacSignature"] == wanted, "the signature is wrong")
}

fn cloudevents(format: &Format, request: &Request) -> Result<(), String> {
    if format.settings.contains("structured") {
        let event = json(&request.body)?;
        must(event["specversion"] == "1.0" && event["id"] == "n1", "it is no event of ours")?;
        let token = header(request, "authorization")?.strip_prefix("Bearer ").ok_or("no Bearer token")?;
        let (text, signed) = token.rsplit_once('.').ok_or("no JSON Web Token")?;
        return must(
            URL_SAFE_NO_PAD.encode(hmac_sha256(text.as_bytes())) == signed,
            "the token's signature is wrong",
        );
    }
    must(
        header(request, "ce-specversion")? == "1.0" && header(request, "ce-id")? == "n1",
        "it is no event of ours",
    )?;
    // What is no visible ASCII is percent-encoded, so this holds for any field.
    let plain = |value: &http::HeaderValue| value.as_bytes().iter().all(|byte| (0x20..0x7f).contains(byte));
    must(request.headers.values().all(plain), "a header holds what it must not")?;
    json(&request.body).map(drop)
}
