//! The document by itself: it is one, it has every route with its door, and nothing in it is left over.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use paynotify::api::{Door, ROUTES, Role};
use paynotify::domain::Money;
use serde_json::Value;

use crate::TO_COME;

/// Where it is written.
pub(crate) fn file() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/api/openapi.json")
}

fn document() -> Value {
    serde_json::from_str(&std::fs::read_to_string(file()).expect("the document")).expect("JSON")
}

/// The document without what is still to come.
pub(crate) fn as_it_is_served() -> String {
    let mut document = document();
    let paths = document["paths"].as_object_mut().expect("paths");
    for (method, path) in TO_COME {
        let item = paths[*path].as_object_mut().expect("an object");
        item.remove(&method.to_lowercase()).expect("an operation");
    }
    paths.retain(|_, item| item.as_object().is_some_and(|item| !item.is_empty()));
    document.to_string()
}

/// Every operation, by its method and path.
fn operations(document: &Value) -> BTreeMap<(String, String), Value> {
    let paths = document["paths"].as_object().expect("paths");
    let operations = paths.iter().flat_map(|(path, item)| {
        let item = item.as_object().expect("an object");
        item.iter().map(move |(method, operation)| ((method.to_uppercase(), path.clone()), operation.clone()))
    });
    operations.collect()
}

/// The roles that open a door, as the document's security has them: one of them is enough.
fn security(door: Door) -> BTreeSet<String> {
    let merchant = Role::Merchant("shop".parse().expect("an id"));
    let roles = [Role::Ingest, Role::Read, Role::Operate, merchant];
    match door {
        Door::Open => BTreeSet::new(),
        Door::Ingest | Door::Read | Door::Own | Door::Operate => {
            roles.iter().filter(|role| role.opens(door)).map(|role| role.name().to_owned()).collect()
        }
    }
}

#[test]
fn every_route_is_in_the_document_with_its_door_and_nothing_else_is() {
    let document = document();
    let mut operations = operations(&document);
    for (method, path) in TO_COME {
        assert!(operations.remove(&(method.to_string(), path.to_string())).is_some(), "{method} {path}");
    }
    for route in ROUTES {
        let name = format!("{} {}", route.method, route.path);
        let operation = operations.remove(&(route.method.to_owned(), route.path.to_owned()));
        let operation = operation.unwrap_or_else(|| panic!("{name} is not in the document"));
        let wanted = operation["security"].as_array().expect("its security");
        let roles: BTreeSet<String> =
            wanted.iter().flat_map(|one| one.as_object().expect("a requirement").keys().cloned()).collect();
        assert_eq!(roles.len(), wanted.len(), "{name}: one role is enough");
        assert_eq!(roles, security(route.door), "{name}");
        let answers = operation["responses"].as_object().expect("its responses");
        let refusals = ["401", "403", "429"].map(|status| answers.contains_key(status));
        assert_eq!(refusals, [route.door != Door::Open; 3], "{name}: what its door may answer");
        assert_eq!(answers.contains_key("413"), operation.get("requestBody").is_some(), "{name}");
    }
    assert!(operations.is_empty(), "not in the API: {:?}", operations.keys());
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
}

/// No component is left over: each is used by an operation, or by one that is.
#[test]
fn every_component_is_used() {
    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(fields) => {
                if let Some(target) = fields.get("$ref").and_then(Value::as_str) {
                    found.insert(target.to_owned());
                }
                fields.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let document = document();
    let mut used = BTreeSet::new();
    references(&document, &mut used);
    let kinds = document["components"].as_object().expect("components");
    for (kind, things) in kinds.iter().filter(|(kind, _)| *kind != "securitySchemes") {
        for name in things.as_object().expect("an object").keys() {
            let told = kind == "schemas" && name == "LiveEvent";
            let reference = format!("#/components/{kind}/{name}");
            assert!(told || used.contains(&reference), "{reference} is used by nothing");
        }
    }
}

/// The document lists the currencies one by one, so that nobody asks for one that is refused.
#[test]
fn the_documents_currencies_are_those_that_are_understood() {
    let is_understood =
        |code: &str| serde_json::from_str::<Money>(&format!(r#"{{"minor":1,"currency":"{code}"}}"#)).is_ok();
    let letters = || 'A'..='Z';
    let codes =
        letters().flat_map(|a| letters().flat_map(move |b| letters().map(move |c| format!("{a}{b}{c}"))));
    let understood: Vec<String> = codes.filter(|code| is_understood(code)).collect();
    let document = document();
    let listed = document["components"]["schemas"]["Currency"]["enum"].as_array().expect("a list");
    assert_eq!(listed.iter().filter_map(Value::as_str).collect::<Vec<_>>(), understood);
}

/// The document keeps to OpenAPI's own schema, and each of its examples to the schema that it is an example of.
#[test]
fn it_is_an_openapi_document_and_its_examples_are_examples() {
    let fuzzer = xtask::fuzzer::ensure_installed().expect("installed");
    let check = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/api_fuzz/document.py");
    let output = Command::new(fuzzer.python()).arg(check).arg(file()).output().expect("run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
