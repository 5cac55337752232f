//! The API held to its own OpenAPI document: the document to the routes, and a running gateway to the document.

#![allow(missing_docs)]

#[path = "../support/mod.rs"]
mod support;

mod document;
mod fuzz;
mod problems;

/// Routes that the document has and the API does not have yet.
const TO_COME: &[(&str, &str)] = &[];
