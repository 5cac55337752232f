//! What a merchant's file may say.

use paynotify_plugin::event::EventTypes;
use paynotify_plugin::settings::at_most;
use serde::Deserialize;

use crate::data::KINDS;

/// Longer than anybody needs.
const LONGEST_KEY: usize = 100;

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) event_types: EventTypes,
    pub(crate) any_2xx: bool,
    pub(crate) order_id_key: String,
    pub(crate) passthrough_key: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            event_types: EventTypes::default(),
            any_2xx: false,
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
                "description": "The event's `event_type`, by the record's kind and status (`payment.succeeded`) or its kind alone, where it is to be another than transaction.completed, transaction.payment_failed, transaction.ready, transaction.canceled, adjustment.created or adjustment.updated.",
                "type": "object",
                "propertyNames": {"pattern": "^(payment|refund)([.](succeeded|failed|pending|closed|finished))?$"},
                "additionalProperties": {"type": "string", "pattern": "^[!-~]{1,100}$"},
                "default": {}
            },
            "any_2xx": {
                "description": "Whether any 2xx confirms, or 200 alone, as Paddle's documentation has it.",
                "type": "boolean", "default": false
            },
            "order_id_key": {
                "description": "The entry of `custom_data` that holds the merchant's number of the order.",
                "type": "string", "minLength": 1, "maxLength": 100, "default": "order_id"
            },
            "passthrough_key": {
                "description": "The entry of `custom_data` that holds the merchant's own text, if there is one.",
                "type": "string", "minLength": 1, "maxLength": 100, "default": "passthrough"
            }
        },
        "additionalProperties": false
    }"#;

    fn check(&self) -> Result<(), String> {
        self.event_types.check("event_types", &KINDS)?;
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
