//! The domain's values as the contract's, and back. The one place where both are named.

use std::time::Duration;

use super::bindings::exports::paynotify::merchant::plugin as exported;
use super::bindings::paynotify::merchant::crypto;
use super::bindings::paynotify::merchant::types as wit;
use super::call::AttemptContext;
use super::conditions::EndpointRecord;
use super::crypto::Algorithm;
use super::description::{Description, InvalidDescription, KeyNeed, LadderPreset};
use super::fault::{Fault, Refusal, for_people};
use super::sandbox::Guest;
use crate::domain::{
    Channel, Failure, Moment, Money, Notification, Payer, PaymentStatus, Reply, UncheckedRequest, Verdict,
};

/// The interface of types has no functions.
impl wit::Host for Guest {}

/// The longest reason, detail or other remark on a reply that is kept, in characters.
const LONGEST_REMARK: usize = 200;

/// The longest text of a plugin's error that is kept, in characters.
pub(super) const LONGEST_ERROR: usize = 500;

pub(super) fn notification(notification: &Notification) -> wit::Notification {
    let record = notification.record.clone();
    let moment = |moment: Option<Moment>| moment.map(Moment::unix_milliseconds);
    wit::Notification {
        id: record.notification_id.to_string(),
        merchant_id: record.merchant_id.to_string(),
        endpoint_id: record.endpoint_id,
        kind: record.kind,
        status: record.status.map(status),
        payment_id: record.payment_id,
        original_payment_id: record.original_payment_id,
        merchant_order_id: record.merchant_order_id,
        amount: record.amount.map(money),
        payer_amount: record.payer_amount.map(money),
        net_amount: record.net_amount.map(money),
        settle_amount: record.settle_amount.map(money),
        refunded_amount: record.refunded_amount.map(money),
        fee: record.fee.map(money),
        created_at: moment(record.created_at),
        completed_at: moment(record.completed_at),
        closed_at: moment(record.closed_at),
        subject: record.subject,
        description: record.description,
        payer: record.payer.map(payer),
        channel: record.channel.map(channel),
        failure: record.failure.map(failure),
        passthrough: record.passthrough,
        livemode: record.livemode,
        extra: record.extra.0.into_iter().map(|(name, value)| (name, value.get().to_owned())).collect(),
        raw_json: notification.raw_json().into_owned(),
    }
}

fn status(status: PaymentStatus) -> wit::PaymentStatus {
    match status {
        PaymentStatus::Succeeded => wit::PaymentStatus::Succeeded,
        PaymentStatus::Failed => wit::PaymentStatus::Failed,
        PaymentStatus::Pending => wit::PaymentStatus::Pending,
        PaymentStatus::Closed => wit::PaymentStatus::Closed,
        PaymentStatus::Finished => wit::PaymentStatus::Finished,
    }
}

fn money(money: Money) -> wit::Money {
    wit::Money {
        minor: money.minor,
        currency: money.currency.code().to_owned(),
        exponent: money.currency.exponent(),
    }
}

fn payer(payer: Payer) -> wit::Payer {
    let Payer { id, openid, logon_masked, name_masked } = payer;
    wit::Payer { id, openid, logon_masked, name_masked }
}

fn channel(channel: Channel) -> wit::Channel {
    let Channel { code, trade_type, bank_type, funding, channel_txn_id } = channel;
    wit::Channel { code, trade_type, bank_type, funding, channel_transaction_id: channel_txn_id }
}

fn failure(failure: Failure) -> wit::Failure {
    let Failure { code, message } = failure;
    wit::Failure { code, message }
}

pub(super) fn endpoint(endpoint: &EndpointRecord) -> wit::Endpoint {
    wit::Endpoint {
        url: endpoint.url.clone(),
        settings_json: endpoint.settings_json.clone(),
        keys: endpoint
            .keys
            .iter()
            .map(|key| wit::KeyBinding { role: key.role.clone(), name: key.name.clone() })
            .collect(),
    }
}

pub(super) fn attempt(attempt: &AttemptContext) -> wit::Attempt {
    wit::Attempt {
        number: attempt.number.get(),
        now: attempt.now.unix_milliseconds(),
        entropy: attempt.entropy.to_vec(),
    }
}

pub(super) fn reply(reply: &Reply) -> wit::HttpResponse {
    wit::HttpResponse {
        status: reply.status.as_u16(),
        // `HeaderName` is lower-case by nature.
        headers: reply
            .headers
            .iter()
            .map(|(name, value)| wit::Header {
                name: name.as_str().to_owned(),
                value: value.as_bytes().to_vec(),
            })
            .collect(),
        body: reply.body.to_vec(),
        truncated: reply.truncated,
    }
}

pub(super) fn request(request: wit::HttpRequest) -> UncheckedRequest {
    UncheckedRequest {
        method: request.method,
        url: request.url,
        headers: request.headers.into_iter().map(|header| (header.name, header.value)).collect(),
        body: request.body,
    }
}

pub(super) fn verdict(verdict: wit::Verdict) -> Verdict {
    let remark = |text: &str| for_people(text, LONGEST_REMARK);
    match verdict {
        wit::Verdict::Confirmed(detail) => {
            Verdict::Confirmed { detail: detail.map(|text| remark(&text)).filter(|text| !text.is_empty()) }
        }
        wit::Verdict::Retry(advice) => Verdict::Retry {
            after: advice.after_seconds.map(|seconds| Duration::from_secs(seconds.into())),
            reason: remark(&advice.reason),
        },
        wit::Verdict::Stop(reason) => Verdict::Stop { reason: remark(&reason) },
    }
}

pub(super) fn refusal(error: wit::PluginError) -> Fault {
    let (kind, text) = match error {
        wit::PluginError::UnusableRecord(text) => (Refusal::UnusableRecord, text),
        wit::PluginError::UnusableSettings(text) => (Refusal::UnusableSettings, text),
        wit::PluginError::UnusableKey(text) => (Refusal::UnusableKey, text),
        wit::PluginError::Other(text) => (Refusal::Other, text),
    };
    Fault::Refused { kind, text: for_people(&text, LONGEST_ERROR) }
}

pub(super) fn description(description: exported::Description) -> Result<Description, InvalidDescription> {
    let keys = description.keys.into_iter().map(|need| KeyNeed {
        role: need.role,
        summary: for_people(&need.summary, LONGEST_REMARK),
        algorithms: need.algorithms.into_iter().map(algorithm).collect(),
        required: need.required,
    });
    let ladders = description.ladders.into_iter().map(|ladder| LadderPreset {
        name: ladder.name,
        delays: ladder.delays_seconds.into_iter().map(u64::from).map(Duration::from_secs).collect(),
    });
    Description {
        name: description.name,
        version: description.version,
        summary: for_people(&description.summary, LONGEST_REMARK),
        settings_schema: description.settings_schema,
        keys: keys.collect(),
        ladders: ladders.collect(),
    }
    .check()
}

fn algorithm(algorithm: crypto::Algorithm) -> Algorithm {
    match algorithm {
        crypto::Algorithm::HmacSha256 => Algorithm::HmacSha256,
        crypto::Algorithm::Md5 => Algorithm::Md5,
        crypto::Algorithm::Sha256 => Algorithm::Sha256,
        crypto::Algorithm::RsaPkcs1v15Sha256 => Algorithm::RsaPkcs1v15Sha256,
        crypto::Algorithm::Ed25519 => Algorithm::Ed25519,
    }
}
