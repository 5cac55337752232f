//! What a merchant's file may say.

use paynotify_plugin::event::EventTypes;
use paynotify_plugin::settings::at_most;
use serde::Deserialize;

use crate::object::KINDS;

/// The longest name of a metadata entry (docs.stripe.com/metadata).
const LONGEST_KEY: usize = 40;

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) event_types: EventTypes,
    pub(crate) api_version: Option<String>,
    pub(crate) order_id_key: String,
    pub(crate) passthrough_key: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            event_types: EventTypes::default(),
            api_version: None,
            order_id_key: "order_id".to_owned(),
            passthrough_key: "passthrough".to_owned(),
        }
    }
}

impl paynotify_plugin::Settings for Settings {
    const SCHEMA: &'static str = r#"{
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "event_types": {
                "description": "The event's `type`, by the record's kind and status (`payment.succeeded`) or its kind alone, where it is to be another than payment_intent.succeeded, payment_intent.payment_failed, payment_intent.processing, payment_intent.canceled, refund.created, refund.updated or refund.failed.",
                "type": "object",
                "propertyNames": {"pattern": "^(payment|refund)([.](succeeded|failed|pending|closed|finished))?$"},
                "additionalProperties": {"type": "string", "pattern": "^[!-~]{1,100}$"},
                "default": {}
            },
            "api_version": {
                "description": "The event's `api_version`, such as 2025-09-30.clover; null if absent. Some of Stripe's libraries refuse events of another version than their own.",
                "type": "string", "minLength": 1, "maxLength": 100
            },
            "order_id_key": {
                "description": "The entry of `metadata` that holds the merchant's number of the order.",
                "type": "string", "minLength": 1, "maxLength": 40, "default": "order_id"
            },
            "passthrough_key": {
                "description": "The entry of `metadata` that holds the merchant's own text, if there is one.",
                "type": "string", "minLength": 1, "maxLength": 40, "default": "passthrough"
            }
        },
        "additionalProperties": false
    }"#;

    fn check(&self) -> Result<(), String> {
        self.event_types.check("event_types", &KINDS)?;
        if let Some(version) = &self.api_version {
            at_most("api_version", version, 100)?;
        }
        at_most("order_id_key", &self.order_id_key, LONGEST_KEY)?;
        at_most("passthrough_key", &self.passthrough_key, LONGEST_KEY)?;
        if self.order_id_key == self.passthrough_key {
            return Err(
                "passthrough_key: the same as order_id_key, and each needs an entry of its own".to_owned()
            );
        }
        Ok(())
    }
}
