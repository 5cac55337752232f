//! What a merchant's file may say.

use paynotify_plugin::event::EventTypes;
use serde::Deserialize;

/// A day.
const LONGEST_THROTTLE_SECONDS: u32 = 86_400;

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) event_types: EventTypes,
    pub(crate) throttle_seconds: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { event_types: EventTypes::default(), throttle_seconds: 60 }
    }
}

impl paynotify_plugin::Settings for Settings {
    const SCHEMA: &'static str = r#"{
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "event_types": {
                "description": "What `type` says, by the record's kind and status (`payment.succeeded`) or its kind alone. Without an entry it is kind and status themselves.",
                "type": "object",
                "additionalProperties": {"type": "string", "pattern": "^[!-~]{1,100}$"},
                "default": {}
            },
            "throttle_seconds": {
                "description": "The least wait after 429, 502 or 504 without Retry-After.",
                "type": "integer", "minimum": 1, "maximum": 86400, "default": 60
            }
        },
        "additionalProperties": false
    }"#;

    fn check(&self) -> Result<(), String> {
        if !(1..=LONGEST_THROTTLE_SECONDS).contains(&self.throttle_seconds) {
            return Err(format!("throttle_seconds: must be 1 to {LONGEST_THROTTLE_SECONDS}"));
        }
        self.event_types.check("event_types", &[])
    }
}
