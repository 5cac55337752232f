//! What a merchant's file may say.

use paynotify_plugin::event::EventTypes;
use paynotify_plugin::settings::at_most;
use serde::Deserialize;

use crate::item::SIGNATURE;

/// Longer than any that Adyen hands out.
const LONGEST_TEXT: usize = 200;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) merchant_account: String,
    #[serde(default)]
    pub(crate) event_types: EventTypes,
    #[serde(default)]
    pub(crate) confirmation: Confirmation,
    #[serde(default = "passthrough_key")]
    pub(crate) passthrough_key: String,
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
            }
        },
        "required": ["merchant_account"],
        "additionalProperties": false
    }"#;

    fn check(&self) -> Result<(), String> {
        at_most("merchant_account", &self.merchant_account, LONGEST_TEXT)?;
        self.event_types.check("event_types", &[])?;
        at_most("passthrough_key", &self.passthrough_key, LONGEST_TEXT)?;
        if self.passthrough_key == SIGNATURE {
            return Err(format!("passthrough_key: `{SIGNATURE}` is where the signature stands"));
        }
        Ok(())
    }
}
