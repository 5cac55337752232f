//! The payload: `type`, `timestamp` and `data`, as the specification recommends, and in `data` the record.
//!
//! Fields have the record's own names, and what is absent there is absent here. Amounts are integers in minor units, with
//! the number of decimals beside them. The values of `extra` are passed on as the JSON that they are, to the byte.

use paynotify_plugin::record::unusable;
use paynotify_plugin::{
    Attempt, Channel, Failure, Money, Notification, Payer, PluginError, encode, event, time,
};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::settings::Settings;

/// The body of a request.
pub(crate) fn write(
    notification: &Notification,
    attempt: &Attempt,
    settings: &Settings,
) -> Result<String, PluginError> {
    let own = event::key(notification);
    let event_type = match settings.event_types.of(notification) {
        Some(name) => name,
        None if own.bytes().all(|byte| byte.is_ascii_graphic()) => &own,
        None => {
            return Err(unusable("kind", "cannot be an event's type; the setting event_types can name one"));
        }
    };
    encode::json(&Body {
        event_type,
        timestamp: time::rfc3339_with_milliseconds(event::happened_at(notification, attempt)),
        data: Data::of(notification)?,
    })
}

#[derive(Serialize)]
struct Body<'a> {
    #[serde(rename = "type")]
    event_type: &'a str,
    timestamp: String,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payment_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    original_payment_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    merchant_order_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    amount: Option<Amount<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payer_amount: Option<Amount<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    net_amount: Option<Amount<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    settle_amount: Option<Amount<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refunded_amount: Option<Amount<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fee: Option<Amount<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    completed_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    closed_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payer: Option<Person<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<Way<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Reason<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    passthrough: Option<&'a str>,
    livemode: bool,
    #[serde(skip_serializing_if = "Extra::is_empty")]
    extra: Extra<'a>,
}

impl<'a> Data<'a> {
    fn of(notification: &'a Notification) -> Result<Self, PluginError> {
        let moment = |moment: Option<i64>| moment.map(time::rfc3339_with_milliseconds);
        Ok(Self {
            kind: &notification.kind,
            status: notification.status.map(event::word),
            payment_id: notification.payment_id.as_deref(),
            original_payment_id: notification.original_payment_id.as_deref(),
            merchant_order_id: notification.merchant_order_id.as_deref(),
            amount: Amount::of(&notification.amount),
            payer_amount: Amount::of(&notification.payer_amount),
            net_amount: Amount::of(&notification.net_amount),
            settle_amount: Amount::of(&notification.settle_amount),
            refunded_amount: Amount::of(&notification.refunded_amount),
            fee: Amount::of(&notification.fee),
            created_at: moment(notification.created_at),
            completed_at: moment(notification.completed_at),
            closed_at: moment(notification.closed_at),
            subject: notification.subject.as_deref(),
            description: notification.description.as_deref(),
            payer: notification.payer.as_ref().map(Person::of),
            channel: notification.channel.as_ref().map(Way::of),
            error: notification.failure.as_ref().map(Reason::of),
            passthrough: notification.passthrough.as_deref(),
            livemode: notification.livemode,
            extra: Extra::of(&notification.extra)?,
        })
    }
}

#[derive(Serialize)]
struct Amount<'a> {
    minor: i64,
    currency: &'a str,
    exponent: u8,
}

impl<'a> Amount<'a> {
    fn of(money: &'a Option<Money>) -> Option<Self> {
        let Money { minor, currency, exponent } = money.as_ref()?;
        Some(Self { minor: *minor, currency, exponent: *exponent })
    }
}

#[derive(Serialize)]
struct Person<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    openid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logon_masked: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name_masked: Option<&'a str>,
}

impl<'a> Person<'a> {
    fn of(payer: &'a Payer) -> Self {
        Self {
            id: payer.id.as_deref(),
            openid: payer.openid.as_deref(),
            logon_masked: payer.logon_masked.as_deref(),
            name_masked: payer.name_masked.as_deref(),
        }
    }
}

#[derive(Serialize)]
struct Way<'a> {
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    trade_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bank_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    funding: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel_txn_id: Option<&'a str>,
}

impl<'a> Way<'a> {
    fn of(channel: &'a Channel) -> Self {
        Self {
            code: &channel.code,
            trade_type: channel.trade_type.as_deref(),
            bank_type: channel.bank_type.as_deref(),
            funding: channel.funding.as_deref(),
            channel_txn_id: channel.channel_transaction_id.as_deref(),
        }
    }
}

#[derive(Serialize)]
struct Reason<'a> {
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
}

impl<'a> Reason<'a> {
    fn of(failure: &'a Failure) -> Self {
        Self { code: &failure.code, message: failure.message.as_deref() }
    }
}

/// Names, and values that are JSON already.
struct Extra<'a>(Vec<(&'a str, &'a RawValue)>);

impl<'a> Extra<'a> {
    fn of(extra: &'a [(String, String)]) -> Result<Self, PluginError> {
        let value = |(name, json): &'a (String, String)| match serde_json::from_str(json) {
            Ok(value) => Ok((name.as_str(), value)),
            Err(_) => Err(unusable("extra", "has a value that is not JSON")),
        };
        extra.iter().map(value).collect::<Result<_, _>>().map(Self)
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Extra<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
}
