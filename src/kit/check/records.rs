//! Records that nobody would send: each becomes a request that keeps the rules, or is refused as `unusable-record`.

use super::advice;
use super::odd_records::{self, odd_urls};
use super::report::Outcome;
use super::shops::{self, Shop};
use super::subject::Subject;
use crate::domain::Notification;
use crate::plugin::{CallError, Endpoint, Fault, Refusal};

/// Has the plugin format all of them.
pub(super) async fn check(subject: &Subject, ordinary: &Notification, shops: &[Shop]) -> Outcome {
    let mut outcome = Outcome::passed(String::new());
    let (mut written, mut refused) = (0_usize, 0_usize);
    for (number, (what, notification)) in odd_records::records(ordinary).into_iter().enumerate() {
        for shop in shops::some(shops, number) {
            match subject.format(&notification, &shop.endpoint, &shop.attempt).await {
                Ok(_) => written += 1,
                Err(CallError::Fault(Fault::Refused { kind: Refusal::UnusableRecord, text }))
                    if !text.is_empty() =>
                {
                    refused += 1;
                }
                Err(error) => wrong(&mut outcome, &what, &error, shop, &notification),
            }
            if outcome.is_enough() {
                outcome.text = format!("stopped after {} records", written + refused + outcome.wrong.len());
                return outcome;
            }
        }
    }
    for url in odd_urls() {
        for shop in shops {
            let Ok(origin) = url.parse() else { continue };
            let endpoint = Endpoint { url: url.to_owned(), origins: vec![origin], ..shop.endpoint.clone() };
            match subject.format(ordinary, &endpoint, &shop.attempt).await {
                Ok(_) => written += 1,
                // Some formats allow no query: the URL is as much the merchant's choice as its settings.
                Err(CallError::Fault(Fault::Refused {
                    kind: Refusal::UnusableSettings | Refusal::UnusableRecord,
                    ..
                })) => refused += 1,
                Err(error) => wrong(&mut outcome, &format!("the URL {url}"), &error, shop, ordinary),
            }
        }
    }
    outcome.text = format!("{written} written, {refused} refused");
    outcome
}

fn wrong(outcome: &mut Outcome, what: &str, error: &CallError, shop: &Shop, notification: &Notification) {
    let (words, change) = match error {
        CallError::Busy => ("there was no room for the call".to_owned(), "try again"),
        CallError::Fault(fault @ Fault::Refused { kind: Refusal::UnusableRecord, .. }) => {
            (advice::words(fault), "say which field, and what is wrong with it")
        }
        CallError::Fault(fault @ Fault::Refused { .. }) => {
            (advice::words(fault), "the record is to blame: answer `unusable-record`, and name the field")
        }
        CallError::Fault(fault) => (advice::words(fault), advice::on_fault(fault)),
    };
    outcome.wrong_for(format!("{what}: {words}"), change.to_owned(), shop.given(notification, None));
}
