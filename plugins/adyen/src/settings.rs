//! What a merchant's file may say.

use paynotify_plugin::event::EventTypes;
use paynotify_plugin::settings::at_most;
use serde::Deserialize;

use crate::credentials::{Credentials, Password};
use crate::item::SIGNATURE;

/// Longer than any that Adyen hands out.
const LONGEST_TEXT: usize = 200;

/// Not `Debug`: there may be a password in it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) merchant_account: String,
    #[serde(default)]
    pub(crate) event_types: EventTypes,
    #[serde(default)]
    pub(crate) confirmation: Confirmation,
    #[serde(default = "passthrough_key")]
    pub(crate) passthrough_key: String,
    #[serde(default)]
    basic_user: Option<String>,
    #[serde(default)]
    basic_password: Option<Password>,
}

/// What a receiver must answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Confirmation {
    /// Any 2xx.
    #[default]
    Status,
    /// Any 2xx, and `[accepted]` in the body.
    Accepted,
}

fn passthrough_key() -> String {
    "metadata.passthrough".to_owned()
}

impl Settings {
    /// User and password, if there are any: `check` has seen to it that there are both or none.
    pub(crate) fn credentials(&self) -> Option<Credentials<'_>> {
        Some(Credentials { user: self.basic_user.as_deref()?, password: self.basic_password.as_ref()? })
    }
}

impl paynotify_plugin::Settings for Settings {
    const SCHEMA: &'static str = r#"{
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "merchant_account": {
                "description": "The item's `merchantAccountCode`. It is signed.",
                "type": "string", "minLength": 1, "maxLength": 200
            },
            "event_types": {
                "description": "The item's `eventCode`, by the record's kind and status (`payment.succeeded`) or its kind alone. Without an entry a payment is AUTHORISATION, PENDING or OFFER_CLOSED, a refund REFUND, a capture CAPTURE, and other kinds are refused.",
                "type": "object",
                "additionalProperties": {"type": "string", "pattern": "^[!-~]{1,100}$"},
                "default": {}
            },
            "confirmation": {
                "description": "What confirms: `status`, any 2xx; `accepted`, any 2xx with [accepted] in the body.",
                "enum": ["status", "accepted"], "default": "status"
            },
            "passthrough_key": {
                "description": "The entry of `additionalData` that holds the merchant's own text, if there is one.",
                "type": "string", "minLength": 1, "maxLength": 200, "not": {"const": "hmacSignature"},
                "default": "metadata.passthrough"
            },
            "basic_user": {
                "description": "The user for HTTP Basic authentication, without a colon.",
                "type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[^:]*$"
            },
            "basic_password": {
                "description": "The password for HTTP Basic authentication. Unlike a key it stands in this file as it is, and the plugin sees it.",
                "type": "string", "minLength": 1, "maxLength": 200
            }
        },
        "required": ["merchant_account"],
        "dependentRequired": {"basic_user": ["basic_password"], "basic_password": ["basic_user"]},
        "additionalProperties": false
    }"#;

    fn check(&self) -> Result<(), String> {
        at_most("merchant_account", &self.merchant_account, LONGEST_TEXT)?;
        self.event_types.check("event_types", &[])?;
        at_most("passthrough_key", &self.passthrough_key, LONGEST_TEXT)?;
        if self.passthrough_key == SIGNATURE {
            return Err(format!("passthrough_key: `{SIGNATURE}` is where the signature stands"));
        }
        match (&self.basic_user, &self.basic_password) {
            (Some(user), Some(password)) => Credentials { user, password }.check(),
            (Some(_), None) => Err("basic_password: missing, and basic_user needs it".to_owned()),
            (None, Some(_)) => Err("basic_user: missing, and basic_password needs it".to_owned()),
            (None, None) => Ok(()),
        }
    }
}
