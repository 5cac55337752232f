//! The request: the sealed resource in its envelope, and the headers that sign it.

use paynotify_plugin::encode::{alphanumeric, base64, hex_upper};
use paynotify_plugin::request::header;
use paynotify_plugin::{Algorithm, Call, HttpRequest, PluginError, request, time};
use serde::Serialize;

use crate::settings::WechatV3Settings;
use crate::{API_V3_KEY, SIGNING, resource};

/// The attempt's random bytes are divided: the first for the resource's nonce, of which AES-GCM takes 12 bytes, the rest for
/// the nonce in the headers. Neither is used for anything else.
const SEALING_NONCE_BYTES: usize = 12;

/// Writes, seals and signs the request of one attempt. During a rotation the newest key of each role is used: the format has
/// room for one signature.
pub(crate) fn write(call: &Call<'_, WechatV3Settings>) -> Result<HttpRequest, PluginError> {
    let (sealing_nonce, rest) = divided(&call.attempt.entropy)?;
    let body = body(call, sealing_nonce)?;
    let timestamp = time::unix_seconds(call.attempt.now);
    let nonce = hex_upper(&rest[..rest.len().min(16)]);
    let key = call.keys.newest(SIGNING)?;
    let signature = base64(&key.sign(Algorithm::RsaPkcs1v15Sha256, signed_text(timestamp, &nonce, &body))?);
    let mut request = request::post(&call.endpoint.url, "application/json", body);
    request.headers.extend([
        header("Wechatpay-Timestamp", &timestamp.to_string()),
        header("Wechatpay-Nonce", &nonce),
        header("Wechatpay-Signature", &signature),
        header("Wechatpay-Serial", &serial(key.info()?.id)?),
        // Some receivers refuse a request without it.
        header("Wechatpay-Signature-Type", "WECHATPAY2-SHA256-RSA2048"),
        request::header_of_field(
            "Request-ID",
            "id",
            &format!("{}-{}", call.notification.id, call.attempt.number),
        )?,
    ]);
    Ok(request)
}

/// What the signature is over: three lines, the last of which ends too.
pub(crate) fn signed_text(timestamp: i64, nonce: &str, body: &str) -> String {
    format!("{timestamp}\n{nonce}\n{body}\n")
}

fn divided(entropy: &[u8]) -> Result<(&[u8], &[u8]), PluginError> {
    entropy
        .split_at_checked(SEALING_NONCE_BYTES)
        .ok_or_else(|| PluginError::Other("the attempt has too few random bytes".to_owned()))
}

/// The fields in the order of the vendor's example.
#[derive(Serialize)]
struct Envelope<'a> {
    id: &'a str,
    create_time: String,
    resource_type: &'a str,
    event_type: &'a str,
    summary: &'a str,
    resource: Sealed<'a>,
}

#[derive(Serialize)]
struct Sealed<'a> {
    original_type: &'a str,
    algorithm: &'a str,
    ciphertext: String,
    associated_data: &'a str,
    nonce: &'a str,
}

fn body(call: &Call<'_, WechatV3Settings>, entropy: &[u8]) -> Result<String, PluginError> {
    let plaintext = resource::write(call.notification, &call.settings)?;
    // Text, because it stands in JSON: receivers take its characters' bytes. Twelve letters and digits are 71 bits, so that a
    // million notifications sealed with one key have two nonces alike with a chance of 2^-32.
    let nonce = alphanumeric(entropy, SEALING_NONCE_BYTES);
    let associated_data = &call.settings.associated_data;
    let key = call.keys.newest(API_V3_KEY)?;
    let sealed = key.seal(nonce.as_bytes(), associated_data.as_bytes(), plaintext.as_bytes())?;
    let envelope = Envelope {
        id: &call.notification.id,
        create_time: resource::completed_at(call.notification)?,
        resource_type: "encrypt-resource",
        event_type: "TRANSACTION.SUCCESS",
        summary: &call.settings.summary,
        resource: Sealed {
            original_type: "transaction",
            algorithm: "AEAD_AES_256_GCM",
            ciphertext: base64(&sealed),
            associated_data,
            nonce: &nonce,
        },
    };
    serde_json::to_string(&envelope).map_err(|error| PluginError::Other(error.to_string()))
}

/// The id that merchants know the signing key by.
fn serial(id: String) -> Result<String, PluginError> {
    if !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(id);
    }
    Err(PluginError::UnusableKey(format!(
        "{SIGNING}: its id cannot stand in a header; give the certificate's serial number"
    )))
}
