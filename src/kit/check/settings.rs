//! `check-settings`: it takes what it should, and refuses what the plugin's own schema refuses.

use serde_json::{Map, Value, json};

use super::advice;
use super::report::Outcome;
use crate::plugin::{CallError, Plugin, SettingsError};

/// Settings that the plugin takes, and their name for people.
pub(super) type Named = (String, Map<String, Value>);

/// Tries the settings given, or the schema's examples, or `{}`; then nonsense. Gives those that were accepted.
pub(super) async fn check(plugin: &Plugin, given: &[Named]) -> (Outcome, Vec<Named>) {
    let schema: Value = serde_json::from_str(&plugin.description().settings_schema).unwrap_or_default();
    let mut outcome = Outcome::passed(String::new());
    let mut accepted = Vec::new();
    for (name, settings) in candidates(given, &schema) {
        match plugin.check_settings(&Value::Object(settings.clone()).to_string()).await {
            Ok(()) => accepted.push((name, settings)),
            Err(SettingsError::Refused(text)) => {
                outcome.wrong(&format!("{name} is refused: {text}"), pass_settings(given, &schema));
            }
            Err(SettingsError::Call(error)) => at_fault(&mut outcome, &name, &error),
        }
    }
    let base = accepted.first().map(|(_, settings)| settings.clone()).unwrap_or_default();
    let mut refused = 0;
    for (what, text) in nonsense(&base, &schema) {
        match plugin.check_settings(&text).await {
            Ok(()) => outcome.wrong(
                &format!("settings with {what} are accepted, and its schema refuses them"),
                "have `check-settings` refuse what `settings-schema` refuses, and name the setting",
            ),
            Err(SettingsError::Refused(_)) => refused += 1,
            Err(SettingsError::Call(error)) => {
                at_fault(&mut outcome, &format!("settings with {what}"), &error)
            }
        }
        if outcome.is_enough() {
            break;
        }
    }
    for (what, text) in garbage(&schema) {
        if outcome.is_enough() {
            break;
        }
        // Whether these are refused is the plugin's affair: no gateway hands them over.
        if let Err(SettingsError::Call(error)) = plugin.check_settings(&text).await {
            at_fault(&mut outcome, &what, &error);
        }
    }
    let names: Vec<_> = accepted.iter().map(|(name, _)| name.as_str()).collect();
    let names = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
    outcome.text = format!("accepted: {names}; kinds of nonsense refused: {refused}");
    (outcome, accepted)
}

fn candidates(given: &[Named], schema: &Value) -> Vec<Named> {
    if !given.is_empty() {
        return given.to_vec();
    }
    let examples = schema.get("examples").and_then(Value::as_array).into_iter().flatten();
    let examples: Vec<_> = examples
        .filter_map(Value::as_object)
        .enumerate()
        .map(|(index, example)| (format!("the schema's example {}", index + 1), example.clone()))
        .collect();
    if examples.is_empty() { vec![("`{}`".to_owned(), Map::new())] } else { examples }
}

fn pass_settings(given: &[Named], schema: &Value) -> String {
    if !given.is_empty() {
        return "correct the settings, or what `check-settings` makes of them".to_owned();
    }
    let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
    let required: Vec<_> = required.filter_map(Value::as_str).map(|name| format!("`{name}`")).collect();
    let needed = match required.as_slice() {
        [] => String::new(),
        names => format!("; its schema requires {}", names.join(", ")),
    };
    format!(
        "pass a file with settings that it takes: --settings FILE{needed}. Or put them into the schema's `examples`"
    )
}

fn at_fault(outcome: &mut Outcome, what: &str, error: &CallError) {
    let change = match error {
        CallError::Busy => "try again when the machine has less to do",
        CallError::Fault(fault) => advice::on_fault(fault),
    };
    outcome.wrong(&format!("{what}: `check-settings` {error}"), change);
}

/// Settings that the schema itself refuses: what is wrong, and the text.
fn nonsense(base: &Map<String, Value>, schema: &Value) -> Vec<(String, String)> {
    let mut nonsense = Vec::new();
    let mut with = |what: String, change: &dyn Fn(&mut Map<String, Value>)| {
        let mut settings = base.clone();
        change(&mut settings);
        nonsense.push((what, Value::Object(settings).to_string()));
    };
    if schema.get("additionalProperties") == Some(&Value::Bool(false)) {
        with("`no such setting`".to_owned(), &|settings| {
            settings.insert("no such setting".to_owned(), json!(1));
        });
    }
    for name in
        schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
    {
        with(format!("no `{name}`"), &|settings| drop(settings.remove(name)));
    }
    for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        for wrong in [json!("no such word"), json!(-1.5), json!(true), json!([[]]), json!({"a": {}})] {
            if violates(&wrong, property) {
                with(format!("`{name}` = {wrong}"), &|settings| {
                    settings.insert(name.clone(), wrong.clone());
                });
            }
        }
    }
    nonsense
}

/// Whether the value breaks `type` or `enum` of the property's schema. Other words may refuse more.
fn violates(value: &Value, property: &Value) -> bool {
    let is = |name: &str| match value {
        Value::Null => name == "null",
        Value::Bool(_) => name == "boolean",
        Value::Number(number) => name == "number" || (name == "integer" && !number.is_f64()),
        Value::String(_) => name == "string",
        Value::Array(_) => name == "array",
        Value::Object(_) => name == "object",
    };
    let of_type = match property.get("type") {
        Some(Value::String(name)) => is(name),
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).any(is),
        Some(_) | None => true,
    };
    let in_enum = property.get("enum").and_then(Value::as_array).is_none_or(|values| values.contains(value));
    !of_type || !in_enum
}

/// What no schema decides about, and no plugin may trap upon.
fn garbage(schema: &Value) -> Vec<(String, String)> {
    let mut garbage = vec![
        ("settings that are empty".to_owned(), String::new()),
        ("settings that are no object".to_owned(), "[]".to_owned()),
        ("settings that are cut off".to_owned(), "{\"a\":".to_owned()),
        (
            "settings that are nested 100 deep".to_owned(),
            format!("{{\"a\":{}{}}}", "[".repeat(100), "]".repeat(100)),
        ),
        ("settings with a name of 64 KiB".to_owned(), json!({("x".repeat(64 << 10)): 1}).to_string()),
    ];
    for name in
        schema.get("properties").and_then(Value::as_object).into_iter().flatten().map(|(name, _)| name)
    {
        for (what, value) in [
            ("a text of 64 KiB", json!("长".repeat(64 << 10))),
            ("every kind of line break and markup", json!("\r\n\0\u{2028}<&>\"'%\u{10ffff}")),
            ("a number of 300 digits", json!(f64::MAX)),
            ("null", Value::Null),
        ] {
            garbage.push((format!("settings with `{name}` as {what}"), json!({name: value}).to_string()));
        }
    }
    garbage
}
