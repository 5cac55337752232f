//! What the plugin asks for, and what it says of itself.

use std::path::Path;

use serde_json::Value;

use super::report::Outcome;
use super::same_description;
use crate::kit::keys;
use crate::plugin::{Description, Host, Plugin};

/// The interfaces that it imports, those of WASI apart: they are there and empty.
pub(super) fn imports(plugin: &Plugin) -> Outcome {
    let (wasi, own): (Vec<_>, Vec<_>) =
        plugin.imports().iter().map(String::as_str).partition(|name| name.starts_with("wasi:"));
    let names: Vec<_> = own.iter().map(|name| name.rsplit('/').next().unwrap_or(name)).collect();
    let own = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
    let mut outcome = Outcome::passed(format!("of the contract {own}; of WASI {}", wasi.len()));
    if !wasi.is_empty() {
        outcome.notes.push(format!("{}", wasi.join(", ")));
        outcome.notes.push(
            "WASI is empty here: no files, arguments, environment or network; the clock stands at the attempt's time, \
             and chance follows from the attempt's entropy"
                .to_owned(),
        );
    }
    outcome
}

/// What it says of itself: the same whenever it is asked, and a schema that is one.
pub(super) async fn description(plugin: &Plugin, host: &Host, file: &Path) -> Outcome {
    let description = plugin.description();
    let mut outcome = Outcome::passed(told(description));
    match host.load(file).await {
        Ok(again) if same_description(plugin, &again) => {}
        Ok(_) => outcome.wrong(
            "asked twice, it describes itself in two ways",
            "return the same from `describe` each time: nothing in it may come from a clock or from chance",
        ),
        Err(error) => outcome.wrong(
            &format!("loaded once more, it {}", error.problem),
            "return the same from `describe` each time",
        ),
    }
    for need in &description.keys {
        if keys::fitting(need).is_empty() {
            outcome.wrong(
                &format!("no key does for the role `{}`", need.role),
                "name at least one algorithm of the contract, or none for a key that seals",
            );
        }
    }
    if description.summary.is_empty() {
        outcome.notes.push("`summary` is empty: one line would help people to choose it".to_owned());
    }
    schema(&description.settings_schema, &mut outcome);
    outcome
}

fn told(description: &Description) -> String {
    let list = |names: Vec<String>| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    let keys = description.keys.iter().map(|need| {
        let algorithms: Vec<_> = keys::fitting(need).iter().map(ToString::to_string).collect();
        let optional = if need.required { "" } else { ", optional" };
        format!("{} ({}{optional})", need.role, algorithms.join(" or "))
    });
    let ladders = description.ladders.iter().map(|ladder| ladder.name.clone());
    format!("keys: {}; ladders: {}", list(keys.collect()), list(ladders.collect()))
}

/// The types of JSON Schema.
const TYPES: [&str; 7] = ["array", "boolean", "integer", "null", "number", "object", "string"];

/// Looks at the schema by hand, as far as it decides what is checked of settings.
fn schema(text: &str, outcome: &mut Outcome) {
    const CHANGE: &str = "correct the JSON Schema (2020-12) in `settings-schema`";
    let Ok(Value::Object(schema)) = serde_json::from_str::<Value>(text) else {
        outcome.wrong("`settings-schema` is no JSON object", CHANGE);
        return;
    };
    match schema.get("type") {
        Some(Value::String(name)) if name == "object" => {}
        None => outcome.notes.push(
            "`settings-schema` does not say `\"type\": \"object\"`, which settings always are".to_owned(),
        ),
        Some(other) => {
            outcome.wrong(&format!("`settings-schema` is for {other}, and settings are an object"), CHANGE)
        }
    }
    let properties = match schema.get("properties") {
        None => None,
        Some(Value::Object(properties)) => Some(properties),
        Some(_) => {
            outcome.wrong("`properties` of `settings-schema` is no object", CHANGE);
            return;
        }
    };
    for (name, property) in properties.into_iter().flatten() {
        match property {
            Value::Bool(_) => {}
            Value::Object(property) => {
                let types = match property.get("type") {
                    None => Vec::new(),
                    Some(Value::Array(types)) => types.iter().collect(),
                    Some(one) => vec![one],
                };
                for unknown in
                    types.iter().filter(|name| !name.as_str().is_some_and(|it| TYPES.contains(&it)))
                {
                    outcome.wrong(
                        &format!("setting `{name}` has the type {unknown}, which JSON Schema has not"),
                        CHANGE,
                    );
                }
            }
            Value::Null | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                outcome.wrong(&format!("setting `{name}` has no schema but {property}"), CHANGE);
            }
        }
    }
    if schema.get("additionalProperties") == Some(&Value::Bool(false)) {
        let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
        for name in required.filter_map(Value::as_str) {
            if !properties.is_some_and(|properties| properties.contains_key(name)) {
                outcome.wrong(&format!("`{name}` is required, and the schema does not allow it"), CHANGE);
            }
        }
    } else {
        outcome.notes.push(
            "`settings-schema` allows settings that it does not name: a merchant's spelling mistake goes unnoticed \
             without `\"additionalProperties\": false`"
                .to_owned(),
        );
    }
    outcome.notes.push(
        "of the schema `type`, `properties`, `required`, `enum` and `additionalProperties` were looked at, and no other word"
            .to_owned(),
    );
}
