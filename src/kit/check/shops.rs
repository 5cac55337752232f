//! Merchants that could have the plugin: its settings, and keys for each role that it asks for, made for the moment.

use super::advice;
use super::report::Outcome;
use super::settings::Named;
use super::subject::Subject;
use crate::domain::Notification;
use crate::kit::case::{Case, Given};
use crate::kit::form::{CaseRequest, Judged};
use crate::kit::keys::{self, CaseKey};
use crate::plugin::{AttemptContext, CallError, Endpoint, Fault, KeyNeed, Refusal};

/// A merchant for which the plugin writes an ordinary request.
pub(super) struct Shop {
    pub(super) endpoint: Endpoint,
    pub(super) attempt: AttemptContext,
    /// The same as a case, for reports.
    case: Case,
}

impl Shop {
    /// What the plugin was given, as a case that can be tried again.
    pub(super) fn given(&self, notification: &Notification, judged: Option<Judged>) -> serde_json::Value {
        let mut case = self.case.clone();
        if let Ok(record) = serde_json::from_slice(&notification.raw) {
            case.record = record;
        }
        case.replies.extend(judged);
        serde_json::to_value(&case).unwrap_or_default()
    }
}

/// A few of them, others for each number: every record with every key would take long where there are many.
pub(super) fn some(shops: &[Shop], number: usize) -> impl Iterator<Item = &Shop> {
    const SOME: usize = 3;
    let start = (number * SOME) % shops.len().max(1);
    shops.iter().cycle().skip(start).take(SOME.min(shops.len()))
}

/// Has the plugin write an ordinary request with each of the settings and each kind of key, and gives those for which it did.
pub(super) async fn check(
    subject: &Subject,
    notification: &Notification,
    settings: &[Named],
) -> (Outcome, Vec<Shop>) {
    let needs = &subject.plugin.description().keys;
    let mut outcome = Outcome::passed(String::new());
    if settings.is_empty() {
        return (Outcome::skipped("no settings are accepted"), Vec::new());
    }
    let sets = match key_sets(needs) {
        Ok(sets) => sets,
        Err(error) => {
            outcome.wrong(&error.to_string(), "try again on a machine with a source of randomness");
            return (outcome, Vec::new());
        }
    };
    let (mut shops, mut first) = (Vec::new(), None);
    for (name, settings) in settings {
        let mut refusal: Option<(String, Fault)> = None;
        let before = shops.len();
        for (keys_name, keys) in &sets {
            let mut case = case_of(notification);
            case.settings.clone_from(settings);
            case.keys.clone_from(keys);
            let Given { endpoint, attempt, .. } = match case.given() {
                Ok(given) => given,
                Err(error) => {
                    outcome.wrong(&error.to_string(), "give another record");
                    return (outcome, Vec::new());
                }
            };
            match subject.format(notification, &endpoint, &attempt).await {
                Ok(request) => {
                    first.get_or_insert_with(|| CaseRequest::of(&request));
                    shops.push(Shop { endpoint, attempt, case });
                }
                Err(CallError::Busy) => outcome.wrong("there was no room for a call", "try again"),
                Err(CallError::Fault(fault)) => {
                    // A key of the wrong kind for these settings is no mistake, as long as there is a right one.
                    let by_key = matches!(fault, Fault::Refused { kind: Refusal::UnusableKey, .. });
                    if by_key {
                        outcome.notes.push(format!("with {keys_name} and {name} {}", advice::words(&fault)));
                    }
                    if refusal.is_none() || !by_key {
                        refusal =
                            Some((format!("with {keys_name} and {name} {}", advice::words(&fault)), fault));
                    }
                }
            }
        }
        let by_key = |fault: &Fault| matches!(fault, Fault::Refused { kind: Refusal::UnusableKey, .. });
        if let Some((what, fault)) = refusal.filter(|(_, fault)| shops.len() == before || !by_key(fault)) {
            let shop_case = case_of(notification);
            let given = serde_json::to_value(&shop_case).unwrap_or_default();
            outcome.wrong_for(
                format!("an ordinary record: {what}"),
                advice::on_fault(&fault).to_owned(),
                given,
            );
        }
    }
    outcome.text = match first {
        Some(request) => format!(
            "{} {}; header fields: {}; bytes of body: {}; ways with settings and keys: {}",
            request.method,
            request.url.split('?').next().unwrap_or_default(),
            request.headers.len(),
            request.body_bytes().map(|body| body.len()).unwrap_or_default(),
            shops.len()
        ),
        None => "no ordinary record is told".to_owned(),
    };
    (outcome, shops)
}

fn case_of(notification: &Notification) -> Case {
    // What is a notification is JSON.
    let record = serde_json::from_slice(&notification.raw).unwrap_or_else(|_| Box::default());
    Case::of_record(record)
}

/// Which keys to try: one of each kind that fits, all of them together, and none but those that must be.
fn key_sets(needs: &[KeyNeed]) -> Result<Vec<(String, Vec<CaseKey>)>, keys::NoKey> {
    let kinds: Vec<_> = needs.iter().map(keys::fitting).collect();
    let most = kinds.iter().map(Vec::len).max().unwrap_or(0).max(1);
    let mut made = Vec::new();
    for (need, kinds) in needs.iter().zip(&kinds) {
        let keys: Vec<_> =
            kinds.iter().map(|kind| keys::throw_away(&need.role, *kind)).collect::<Result<_, _>>()?;
        made.push((need, keys));
    }
    let mut sets: Vec<Vec<CaseKey>> = Vec::new();
    for number in 0..most {
        sets.push(made.iter().filter_map(|(_, keys)| keys.iter().cycle().nth(number).cloned()).collect());
    }
    if most > 1 {
        sets.push(made.iter().flat_map(|(_, keys)| keys.clone()).collect());
    }
    if needs.iter().any(|need| !need.required) {
        let required = made.iter().filter(|(need, _)| need.required);
        sets.push(required.filter_map(|(_, keys)| keys.first().cloned()).collect());
    }
    Ok(sets.into_iter().map(|keys| (name_of(&keys), keys)).collect())
}

fn name_of(keys: &[CaseKey]) -> String {
    if keys.is_empty() {
        return "no key".to_owned();
    }
    let names: Vec<_> = keys.iter().map(|key| format!("{} ({})", key.role, key.algorithm)).collect();
    format!("keys {}", names.join(", "))
}
