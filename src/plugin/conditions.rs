//! All that a call depends on besides its arguments of the moment, in a form that can be kept and given again.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::call::Endpoint;
use super::crypto::Keys;
use super::fault::CallError;
use super::host_calls::HostCalls;
use crate::domain::Origin;

/// An [`Endpoint`] without its keys: what the plugin is told of it, and what it may address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointRecord {
    /// The merchant's URL exactly as configured.
    pub url: String,
    /// What the plugin may address; the first is the URL's own.
    #[serde(serialize_with = "write_origins", deserialize_with = "read_origins")]
    pub origins: Vec<Origin>,
    /// The plugin's settings, as JSON.
    pub settings_json: String,
    /// The keys by their roles and names, in the order of the merchant's file.
    pub keys: Vec<KeyBinding>,
}

/// A key by its role and name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyBinding {
    /// What the plugin calls it.
    pub role: String,
    /// What `crypto` is asked for it by.
    pub name: String,
}

fn write_origins<S: Serializer>(origins: &[Origin], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(origins.iter().map(ToString::to_string))
}

fn read_origins<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Origin>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    texts.iter().map(|text| text.parse().map_err(de::Error::custom)).collect()
}

impl From<&Endpoint> for EndpointRecord {
    fn from(endpoint: &Endpoint) -> Self {
        let binding =
            |key: &super::Key| KeyBinding { role: key.role().to_owned(), name: key.name().to_owned() };
        Self {
            url: endpoint.url.clone(),
            origins: endpoint.origins.clone(),
            settings_json: endpoint.settings_json.clone(),
            keys: endpoint.keys.iter().map(binding).collect(),
        }
    }
}

/// What a call is made under.
#[derive(Clone, Debug)]
pub struct Conditions {
    /// What the plugin is told of its endpoint.
    pub endpoint: Arc<EndpointRecord>,
    /// The keys that the call can reach. A call that is made again needs none.
    pub keys: Keys,
    /// What `crypto` answered when the call was made before; `None` when it is made for the first time.
    pub recorded: Option<HostCalls>,
}

impl From<&Endpoint> for Conditions {
    fn from(endpoint: &Endpoint) -> Self {
        Self { endpoint: Arc::new(endpoint.into()), keys: endpoint.keys.clone(), recorded: None }
    }
}

/// What became of a call, and what it asked of `crypto`.
#[derive(Clone, Debug)]
pub struct Called<R> {
    /// The answer, or why there is none.
    pub result: Result<R, CallError>,
    /// In the order in which they were made; none if there was no room for the call.
    pub host_calls: HostCalls,
}

impl<R> Called<R> {
    /// The same with another result of it.
    pub(super) fn and_then<S>(self, make: impl FnOnce(R) -> Result<S, CallError>) -> Called<S> {
        Called { result: self.result.and_then(make), host_calls: self.host_calls }
    }
}
