//! The merchant's settings: a struct, a JSON Schema beside it, and errors for the one who wrote the file.
//!
//! The struct decides; the schema is what people and tools read. `testing::assert_schema_agrees` holds them to each other.

use std::cell::RefCell;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde::de::value::MapDeserializer;
use serde_json::{Map, Value};

/// The settings of a format: a struct that derives `Deserialize` with `#[serde(deny_unknown_fields)]`.
///
/// ```
/// use paynotify_plugin::Settings;
///
/// #[derive(serde::Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct MySettings {
///     app_id: String,
/// }
///
/// impl Settings for MySettings {
///     const SCHEMA: &'static str = r#"{
///         "$schema": "https://json-schema.org/draft/2020-12/schema",
///         "type": "object",
///         "properties": {"app_id": {"type": "string", "minLength": 1, "description": "The application's id"}},
///         "required": ["app_id"],
///         "additionalProperties": false
///     }"#;
///
///     fn check(&self) -> Result<(), String> {
///         paynotify_plugin::settings::not_empty("app_id", &self.app_id)
///     }
/// }
/// ```
pub trait Settings: DeserializeOwned {
    /// The JSON Schema (2020-12) of the settings: an object whose `properties` are all settings, with a `description`
    /// each, and whose `required` are those without a default.
    const SCHEMA: &'static str;

    /// What types alone cannot say: bounds, and settings that exclude each other.
    ///
    /// # Errors
    ///
    /// `setting: what is wrong with it`, for people.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }
}

/// The settings of a format that has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoSettings {}

impl Settings for NoSettings {
    const SCHEMA: &'static str = r#"{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","properties":{},"additionalProperties":false}"#;
}

/// Reads the settings of the format of this name.
///
/// # Errors
///
/// Names the setting and says what is wrong with it: one that does not exist (the first by the alphabet, with those that
/// do), one that is missing, one of the wrong type, one that `check` refuses.
pub fn read<S: Settings>(format: &str, settings_json: &str) -> Result<S, String> {
    let given: Map<String, Value> = serde_json::from_str(settings_json)
        .map_err(|error| format!("the settings are not a JSON object: {error}"))?;
    let names: Vec<String> = given.keys().cloned().collect();
    // Which setting is being read, so that an error can name it. None once all have been.
    let current = RefCell::new(None);
    let mut pairs = given.into_iter();
    let noted = std::iter::from_fn(|| {
        let pair = pairs.next();
        *current.borrow_mut() = pair.as_ref().map(|(name, _)| name.clone());
        pair
    });
    let settings = S::deserialize(MapDeserializer::new(noted)).map_err(|error: serde_json::Error| {
        let read = current.borrow().clone();
        explained::<S>(format, &names, read, &error)
    })?;
    settings.check()?;
    Ok(settings)
}

/// Refuses an empty text.
///
/// # Errors
///
/// `name: empty`.
pub fn not_empty(name: &str, text: &str) -> Result<(), String> {
    if text.trim().is_empty() { Err(format!("{name}: empty")) } else { Ok(()) }
}

/// Refuses a text that is empty or longer than so many characters.
///
/// # Errors
///
/// Names the setting and both lengths.
pub fn at_most(name: &str, text: &str, characters: usize) -> Result<(), String> {
    not_empty(name, text)?;
    match text.chars().count() {
        count if count <= characters => Ok(()),
        count => Err(format!("{name}: {count} characters, but the format takes at most {characters}")),
    }
}

/// Refuses a text that is empty, longer than so many characters, or holds anything but visible ASCII: for ids.
///
/// # Errors
///
/// Names the setting and what is wrong with it.
pub fn visible_ascii(name: &str, text: &str, characters: usize) -> Result<(), String> {
    at_most(name, text, characters)?;
    match text.chars().find(|character| !character.is_ascii_graphic()) {
        None => Ok(()),
        Some(character) => Err(format!(
            "{name}: has {character:?}, but only letters, digits and signs of ASCII can stand there, and no blank"
        )),
    }
}

/// Refuses anything but the shape of an ISO 4217 code.
///
/// # Errors
///
/// Names the setting.
pub fn currency(name: &str, text: &str) -> Result<(), String> {
    if text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Ok(());
    }
    Err(format!("{name}: not an ISO 4217 code, which is three capitals such as CNY"))
}

/// What is wrong, by the schema as far as it can tell, and else in serde's words.
fn explained<S: Settings>(
    format: &str,
    given: &[String],
    read: Option<String>,
    error: &serde_json::Error,
) -> String {
    let schema: Value = serde_json::from_str(S::SCHEMA).unwrap_or_default();
    let known: Vec<&str> = schema["properties"]
        .as_object()
        .map(|all| all.keys().map(String::as_str).collect())
        .unwrap_or_default();
    if let Some(name) = given.iter().find(|name| !known.contains(&name.as_str())) {
        let has = if known.is_empty() { "none".to_owned() } else { format!("`{}`", known.join("`, `")) };
        return format!("{name}: no such setting; the format `{format}` has {has}");
    }
    if let Some(name) = read {
        return format!("{name}: {error}");
    }
    let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    for name in required {
        if !given.iter().any(|given| given == name) {
            return format!("{name}: missing, and the format `{format}` cannot do without it");
        }
    }
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Some {
        app_id: String,
        #[serde(default)]
        strict: bool,
    }

    impl Settings for Some {
        const SCHEMA: &'static str = r#"{"type": "object", "required": ["app_id"], "properties": {"app_id": {"type": "string"}, "strict": {"type": "boolean"}}}"#;

        fn check(&self) -> Result<(), String> {
            at_most("app_id", &self.app_id, 3)
        }
    }

    #[test]
    fn each_fault_names_its_setting() {
        let error = |json| read::<Some>("some", json).expect_err("refused");
        assert!(error("[]").starts_with("the settings are not a JSON object: "), "{}", error("[]"));
        assert_eq!(
            error(r#"{"zeta": 1, "colour": 2}"#),
            "colour: no such setting; the format `some` has `app_id`, `strict`"
        );
        assert_eq!(
            error(r#"{"strict": true}"#),
            "app_id: missing, and the format `some` cannot do without it"
        );
        assert_eq!(
            error(r#"{"app_id": "a", "strict": "yes"}"#),
            r#"strict: invalid type: string "yes", expected a boolean"#
        );
        assert_eq!(error(r#"{"app_id": " "}"#), "app_id: empty");
        assert_eq!(
            error(r#"{"app_id": "支付宝宝"}"#),
            "app_id: 4 characters, but the format takes at most 3"
        );
        assert_eq!(
            read::<Some>("some", r#"{"app_id": "支付宝"}"#),
            Ok(Some { app_id: "支付宝".to_owned(), strict: false })
        );
    }

    #[test]
    fn ids_and_currencies_are_looked_at() {
        assert_eq!(visible_ascii("app_id", "wx-1", 4), Ok(()));
        assert_eq!(visible_ascii("app_id", "", 4), Err("app_id: empty".to_owned()));
        assert_eq!(
            visible_ascii("app_id", "wx 1", 4),
            Err("app_id: has ' ', but only letters, digits and signs of ASCII can stand there, and no blank"
                .to_owned())
        );
        assert_eq!(currency("currency", "CNY"), Ok(()));
        for wrong in ["", "cny", "CNYX", "¥1"] {
            let error = currency("currency", wrong).expect_err("refused");
            assert_eq!(error, "currency: not an ISO 4217 code, which is three capitals such as CNY");
        }
    }

    #[test]
    fn a_format_without_settings_takes_none() {
        assert_eq!(read::<NoSettings>("none", " { } "), Ok(NoSettings {}));
        assert_eq!(
            read::<NoSettings>("none", r#"{"a": 1}"#),
            Err("a: no such setting; the format `none` has none".to_owned())
        );
    }
}
