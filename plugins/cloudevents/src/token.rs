//! The Bearer token of one attempt.
//!
//! A signed one is a JSON Web Token (RFC 7519, RFC 7515): made for this attempt and this merchant, void after minutes, signed
//! by a key that stays in the gateway.

use paynotify_plugin::encode::base64url;
use paynotify_plugin::json::Object;
use paynotify_plugin::{Call, PluginError, time};

use crate::TOKEN;
use crate::settings::{CloudEventsSettings, TokenAlgorithm};

/// The token, if the settings ask for one.
pub(crate) fn write(call: &Call<'_, CloudEventsSettings>) -> Result<Option<String>, PluginError> {
    call.settings.token_algorithm.map(|algorithm| signed(call, algorithm)).transpose()
}

/// During a rotation the newest key signs: a request has one token. Receivers find the key by its `kid`.
fn signed(call: &Call<'_, CloudEventsSettings>, algorithm: TokenAlgorithm) -> Result<String, PluginError> {
    let key = call.keys.newest(TOKEN)?;
    let (name, algorithm) = algorithm.names();
    let settings = &call.settings;
    let issued_at = time::unix_seconds(call.attempt.now);
    let expires_at = issued_at.saturating_add(i64::from(settings.token_lifetime_seconds));
    let header = Object::new()
        .with("alg", Some(name))?
        .with("typ", Some("JWT"))?
        .with("kid", Some(key.info()?.id))?
        .finish();
    let claims = Object::new()
        .with("iss", Some(settings.request_origin.as_ref().unwrap_or(&settings.source)))?
        .with("aud", Some(settings.token_audience.as_ref().unwrap_or(&call.endpoint.url)))?
        .with("iat", Some(issued_at))?
        .with("exp", Some(expires_at))?
        .with("jti", Some(format!("{}.{}", call.notification.id, call.attempt.number)))?
        .finish();
    let signed = format!("{}.{}", base64url(header.as_bytes()), base64url(claims.as_bytes()));
    let signature = key.sign(algorithm, &signed)?;
    Ok(format!("{signed}.{}", base64url(&signature)))
}
