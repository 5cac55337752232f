//! RabbitMQ's management API, as far as the audit asks it: GET requests, JSON answers, nothing else.
//!
//! The rule: an answer that does not come, or that cannot be read, is told as [`Unknown`], and the others count all the
//! same. The HTTP client is somebody else's: this edge knows no other (see [`Fetch`]).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue};
use http::{Method, Uri};
use serde_json::{Map, Value};
use url::Url;

use super::facts::{Binding, Details, Expected, Facts, Node, Queue, Unknown};
use crate::broker::amqp::settings::management_address;
use crate::domain::{Reply, Request};

/// The largest page that the API gives.
const PAGE: usize = 500;
/// The most pages of queues that are read: more than a cluster stands.
const MOST_PAGES: usize = 40;

/// What is asked for by that name.
pub(super) const FEATURE_FLAGS: &str = "feature flags";

/// Something that carries an HTTP request to RabbitMQ's management API.
#[async_trait]
pub trait Fetch: Send + Sync {
    /// Sends it and takes in the answer, of up to some megabytes.
    ///
    /// # Errors
    /// Why there is no answer, without the request's secrets.
    async fn fetch(&self, request: Request) -> Result<Reply, String>;
}

/// The API of one RabbitMQ.
pub(in crate::broker::amqp) struct Management {
    base: Url,
    authorization: HeaderValue,
    fetch: Arc<dyn Fetch>,
}

impl Management {
    /// For an address that has been checked; `None` if it was not.
    pub(in crate::broker::amqp) fn new(url: &str, fetch: Arc<dyn Fetch>) -> Option<Self> {
        let mut base = management_address(url)?;
        let user = decoded(base.username());
        let password = decoded(base.password().unwrap_or_default());
        let mut authorization = HeaderValue::from_str(&basic(&user, &password)).ok()?;
        authorization.set_sensitive(true);
        base.set_username("").ok()?;
        base.set_password(None).ok()?;
        Some(Self { base, authorization, fetch })
    }

    /// Adds to the facts whatever the API tells.
    pub(in crate::broker::amqp) async fn ask(&self, expected: &Expected, facts: &mut Facts) {
        let overview = self.get(&["overview"], &[]).await;
        if let Some(overview) = known("its version", overview, facts) {
            facts.version = text(&overview, "rabbitmq_version").or(facts.version.take());
        } else {
            // Nobody there: one line about that is enough.
            return;
        }
        let nodes = self.get(&["nodes"], &[]).await;
        facts.nodes = known("nodes and alarms", nodes, facts).as_ref().and_then(nodes_of);
        let flags = self.get(&["feature-flags"], &[]).await;
        facts.feature_flags = known(FEATURE_FLAGS, flags, facts).as_ref().and_then(flags_of);
        let queues = self.queues(expected).await;
        for (name, details) in known("queues", queues, facts).unwrap_or_default() {
            let ready = facts.queues.get(&name).map_or(0, |queue| queue.ready);
            facts.queues.insert(name, Queue { ready, details: Some(details) });
        }
        let bindings = self.bindings(expected).await;
        facts.bindings = known("bindings", bindings, facts);
        let alternates = self.alternates(expected).await;
        facts.alternates = known("policies of exchanges", alternates, facts).unwrap_or_default();
    }

    /// Every queue of our prefix, with what is laid over it.
    ///
    /// The ordinary list is made from statistics that are some seconds old, and knows nothing of a queue that was
    /// declared just now; the one without statistics is exact but knows no operator policies. So both are asked.
    async fn queues(&self, expected: &Expected) -> Result<Vec<(String, Details)>, String> {
        let exact =
            self.list(expected, &[("disable_stats", "true"), ("enable_queue_totals", "true")]).await?;
        let counted = self.list(expected, &[]).await?;
        let policies = self.definitions("policies", expected).await;
        let operators = self.definitions("operator-policies", expected).await;
        let mut queues = Vec::new();
        for item in exact {
            let Some(name) = text(&item, "name") else { continue };
            let mut details = details_of(&item);
            if let Some(counted) = counted.iter().find(|counted| counted["name"] == name).map(details_of) {
                details.operator_policy = counted.operator_policy;
                details.effective = counted.effective;
            }
            if let (Ok(policies), Ok(operators)) = (&policies, &operators) {
                details.effective = laid_over(
                    details.policy.as_ref().and_then(|name| policies.get(name)),
                    details.operator_policy.as_ref().and_then(|name| operators.get(name)),
                );
            }
            queues.push((name, details));
        }
        Ok(queues)
    }

    async fn list(&self, expected: &Expected, more: &[(&str, &str)]) -> Result<Vec<Value>, String> {
        let pattern = format!("^{}\\.", expected.prefix.replace('.', "\\."));
        let mut queues = Vec::new();
        for page in 1..=MOST_PAGES {
            let (page, size) = (page.to_string(), PAGE.to_string());
            let mut query = vec![
                ("name", pattern.as_str()),
                ("use_regex", "true"),
                ("page", &page),
                ("page_size", &size),
            ];
            query.extend_from_slice(more);
            let mut answer = self.get(&["queues", &expected.vhost], &query).await?;
            let Value::Array(items) = answer["items"].take() else {
                return Err("the answer has no `items`".to_owned());
            };
            let is_last = items.len() < PAGE;
            queues.extend(items);
            if is_last {
                return Ok(queues);
            }
        }
        Err(format!("there are more than {} queues with the prefix", PAGE * MOST_PAGES))
    }

    /// What the policies of a virtual host set, by their names.
    async fn definitions(
        &self,
        kind: &str,
        expected: &Expected,
    ) -> Result<BTreeMap<String, Map<String, Value>>, String> {
        let answer = self.get(&[kind, &expected.vhost], &[]).await?;
        let items = answer.as_array().ok_or("the answer is no list")?;
        let definition = |item: &Value| Some((text(item, "name")?, item["definition"].as_object()?.clone()));
        Ok(items.iter().filter_map(definition).collect())
    }

    async fn bindings(&self, expected: &Expected) -> Result<BTreeSet<Binding>, String> {
        let wanted =
            expected.queues.iter().flat_map(|queue| &queue.bindings).map(|binding| &binding.exchange);
        let exchanges: BTreeSet<&String> = wanted.collect();
        let mut bindings = BTreeSet::new();
        for exchange in exchanges {
            let path = ["exchanges", &expected.vhost, exchange, "bindings", "source"];
            let answer = match self.get(&path, &[]).await {
                Err(error) if error.starts_with(NOT_FOUND) => continue,
                answer => answer?,
            };
            let items = answer.as_array().ok_or("the answer is no list")?;
            bindings.extend(items.iter().filter(|item| item["destination_type"] == "queue").filter_map(
                |item| {
                    let (queue, routing_key) = (text(item, "destination")?, text(item, "routing_key")?);
                    Some(Binding { exchange: exchange.clone(), queue, routing_key })
                },
            ));
        }
        Ok(bindings)
    }

    async fn alternates(&self, expected: &Expected) -> Result<BTreeMap<String, String>, String> {
        let mut alternates = BTreeMap::new();
        for exchange in &expected.exchanges {
            let answer = match self.get(&["exchanges", &expected.vhost, exchange], &[]).await {
                Err(error) if error.starts_with(NOT_FOUND) => continue,
                answer => answer?,
            };
            let Some(policy) = text(&answer, "policy") else { continue };
            let definition = self.get(&["policies", &expected.vhost, &policy], &[]).await?;
            if !definition["definition"]["alternate-exchange"].is_null() {
                alternates.insert(exchange.clone(), policy);
            }
        }
        Ok(alternates)
    }

    async fn get(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Value, String> {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push("api").extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let uri: Uri = url.as_str().parse().map_err(|_| "its URL cannot be used".to_owned())?;
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, self.authorization.clone());
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let request = Request { method: Method::GET, uri, headers, body: Bytes::new() };
        let reply = self.fetch.fetch(request).await?;
        if reply.truncated {
            return Err("the answer is too long".to_owned());
        }
        match reply.status.as_u16() {
            200 => serde_json::from_slice(&reply.body).map_err(|_| "the answer is no JSON".to_owned()),
            401 => {
                Err("401: the user or the password is wrong, or the user has no tag `monitoring`".to_owned())
            }
            403 => Err("403: the user may not see that".to_owned()),
            404 => Err(format!("{NOT_FOUND}: there is no such thing")),
            status => Err(format!("it answered {status}")),
        }
    }
}

/// What the reason of a missing thing begins with.
const NOT_FOUND: &str = "404";

/// The value, or a note about why there is none.
fn known<T>(what: &str, answer: Result<T, String>, facts: &mut Facts) -> Option<T> {
    answer.map_err(|why| facts.unknown.push(Unknown::Unanswered { what: what.to_owned(), why })).ok()
}

fn nodes_of(answer: &Value) -> Option<Vec<Node>> {
    let node = |item: &Value| Node {
        name: text(item, "name").unwrap_or_default(),
        is_running: item["running"].as_bool().unwrap_or(true),
        memory_alarm: item["mem_alarm"].as_bool().unwrap_or(false),
        disk_alarm: item["disk_free_alarm"].as_bool().unwrap_or(false),
        partitions: item["partitions"].as_array().map_or(0, Vec::len),
    };
    Some(answer.as_array()?.iter().map(node).collect())
}

fn flags_of(answer: &Value) -> Option<BTreeMap<String, bool>> {
    let flag = |item: &Value| Some((text(item, "name")?, item["state"] == "enabled"));
    Some(answer.as_array()?.iter().filter_map(flag).collect())
}

fn details_of(item: &Value) -> Details {
    // Where there is nothing, RabbitMQ writes an empty list.
    let object = |key: &str| item[key].as_object().cloned().unwrap_or_else(Map::new);
    let names = |key: &str| {
        let names = item[key].as_array().into_iter().flatten();
        names.filter_map(|name| name.as_str().map(str::to_owned)).collect()
    };
    Details {
        kind: text(item, "type").unwrap_or_else(|| "classic".to_owned()),
        messages: item["messages"].as_u64().unwrap_or(0),
        arguments: object("arguments"),
        policy: text(item, "policy").filter(|name| !name.is_empty()),
        operator_policy: text(item, "operator_policy").filter(|name| !name.is_empty()),
        effective: object("effective_policy_definition"),
        members: names("members"),
        online: names("online"),
    }
}

fn text(item: &Value, key: &str) -> Option<String> {
    item[key].as_str().map(str::to_owned)
}

/// A policy and an operator policy together: of two numbers the smaller counts, otherwise the operator's value.
fn laid_over(
    policy: Option<&Map<String, Value>>,
    operator: Option<&Map<String, Value>>,
) -> Map<String, Value> {
    let mut both = policy.cloned().unwrap_or_default();
    for (key, value) in operator.into_iter().flatten() {
        let smaller = both.get(key).and_then(Value::as_i64).zip(value.as_i64()).is_some_and(|(a, b)| a < b);
        if !smaller {
            both.insert(key.clone(), value.clone());
        }
    }
    both
}

/// Without the percent signs of a URL.
fn decoded(part: &str) -> String {
    // A form's `+` is a space, and a URL's is a plus.
    let form = format!("x={}", part.replace('+', "%2B").replace('&', "%26"));
    url::form_urlencoded::parse(form.as_bytes())
        .next()
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}

/// The value of an `Authorization` header (RFC 7617).
fn basic(user: &str, password: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = "Basic ".to_owned();
    for group in format!("{user}:{password}").as_bytes().chunks(3) {
        let byte = |index: usize| u32::from(group.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for (index, shift) in [18, 12, 6, 0].into_iter().enumerate() {
            let digit = DIGITS[(bits >> shift & 63) as usize];
            text.push(if index <= group.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_password_are_encoded_as_the_rfc_has_it() {
        // The example of RFC 7617 section 2.
        assert_eq!(basic("Aladdin", "open sesame"), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert_eq!(basic("a", "b"), "Basic YTpi");
        assert_eq!(basic("a", "bc"), "Basic YTpiYw==");
        assert_eq!(basic("ab", "cd"), "Basic YWI6Y2Q=");
        assert_eq!(decoded("p%40ss+w%26rd"), "p@ss+w&rd");
    }

    #[test]
    fn of_a_policy_and_an_operators_the_stricter_counts() {
        let object = |value: Value| value.as_object().cloned().expect("an object");
        let policy = object(serde_json::json!({"max-length": 10, "expires": 10, "overflow": "drop-head"}));
        let operator = object(serde_json::json!({"max-length": 20, "expires": 5}));
        let both = laid_over(Some(&policy), Some(&operator));
        assert_eq!(
            Value::Object(both),
            serde_json::json!({"max-length": 10, "expires": 5, "overflow": "drop-head"})
        );
        assert_eq!(laid_over(None, Some(&operator)), operator);
        assert!(laid_over(None, None).is_empty());
    }

    #[test]
    fn a_queue_is_read_as_the_api_tells_it() {
        let item = serde_json::json!({
            "name": "p.work", "type": "quorum", "messages": 7, "policy": "all", "operator_policy": null,
            "arguments": {"x-queue-type": "quorum"}, "effective_policy_definition": {"overflow": "drop-head"},
            "members": ["a", "b"], "online": ["a"],
        });
        let details = details_of(&item);
        assert_eq!((details.kind.as_str(), details.messages), ("quorum", 7));
        assert_eq!((details.policy.as_deref(), details.operator_policy), (Some("all"), None));
        assert_eq!(details.effective["overflow"], "drop-head");
        assert_eq!((details.members.len(), details.online.len()), (2, 1));
        // Without a policy the API gives a list where it would give an object.
        let bare =
            details_of(&serde_json::json!({"name": "q", "effective_policy_definition": [], "policy": ""}));
        assert_eq!((bare.kind.as_str(), bare.policy), ("classic", None));
        assert!(bare.effective.is_empty());
    }
}
