//! The neutral record: one payment result that one merchant must learn, before any format.
//!
//! A record is parsed once, where it comes in, and its text is kept byte for byte beside the parsed fields, because
//! plugins may look there for what the fields do not name. Fields that this version does not know are therefore
//! kept and ignored, never refused: a payment centre may add to its records whenever it likes.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{MerchantId, Moment, Money, NotificationId};

/// The version of the record that is understood: the value of its `schema` field.
pub const SCHEMA: &str = "payment-result/1";

/// A record that has been read, and its text.
#[derive(Clone, Debug)]
pub struct Notification {
    /// What it says.
    pub record: Record,
    /// Its JSON text, exactly as it came in.
    pub raw: Bytes,
}

impl Notification {
    /// Reads a record from its JSON text.
    ///
    /// # Errors
    /// Names the field that is missing or wrong, and how.
    pub fn parse(raw: Bytes) -> Result<Self, InvalidRecord> {
        let mut deserializer = serde_json::Deserializer::from_slice(&raw);
        let record: Record =
            serde_path_to_error::deserialize(&mut deserializer).map_err(|error| InvalidRecord {
                field: match error.path().to_string() {
                    path if path == "." => None,
                    path => Some(path),
                },
                problem: error.into_inner().to_string(),
            })?;
        deserializer.end().map_err(|error| InvalidRecord { field: None, problem: error.to_string() })?;
        if record.schema != SCHEMA {
            let problem = format!("is `{}`, and only `{SCHEMA}` is understood", record.schema);
            return Err(InvalidRecord { field: Some("schema".to_owned()), problem });
        }
        Ok(Self { record, raw })
    }

    /// The notification's name.
    #[must_use]
    pub fn id(&self) -> &NotificationId {
        &self.record.notification_id
    }

    /// Whom it is for.
    #[must_use]
    pub fn merchant(&self) -> &MerchantId {
        &self.record.merchant_id
    }

    /// The raw text as a string: JSON is UTF-8, and parsing has checked that.
    #[must_use]
    pub fn raw_json(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.raw)
    }
}

/// Why a text is no record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{problem}", field.as_ref().map(|field| format!("field `{field}`: ")).unwrap_or_default())]
pub struct InvalidRecord {
    /// The path of the field at fault, such as `amount.currency`; absent when the text as a whole is.
    pub field: Option<String>,
    /// What is wrong, for people.
    pub problem: String,
}

/// The fields of the neutral record. The contract (`wit/merchant.wit`, `record notification`) says what each means.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is documented once, in the contract")]
pub struct Record {
    pub schema: String,
    pub notification_id: NotificationId,
    pub merchant_id: MerchantId,
    pub endpoint_id: Option<String>,
    pub kind: String,
    pub status: Option<PaymentStatus>,
    pub payment_id: Option<String>,
    pub original_payment_id: Option<String>,
    pub merchant_order_id: Option<String>,
    pub amount: Option<Money>,
    pub payer_amount: Option<Money>,
    pub net_amount: Option<Money>,
    pub settle_amount: Option<Money>,
    pub refunded_amount: Option<Money>,
    pub fee: Option<Money>,
    pub created_at: Option<Moment>,
    pub completed_at: Option<Moment>,
    pub closed_at: Option<Moment>,
    pub subject: Option<String>,
    pub description: Option<String>,
    pub payer: Option<Payer>,
    pub channel: Option<Channel>,
    #[serde(rename = "error")]
    pub failure: Option<Failure>,
    pub passthrough: Option<String>,
    #[serde(default = "live")]
    pub livemode: bool,
    /// The first attempt waits until then: an order to be closed after half an hour, a channel to be asked once a
    /// QR code has expired. For the gateway alone; plugins find it in the raw text only.
    pub not_before: Option<Moment>,
    #[serde(default)]
    pub extra: Extra,
}

fn live() -> bool {
    true
}

/// Names and JSON values that the record does not name, in the order of the text.
#[derive(Clone, Debug, Default)]
pub struct Extra(pub Vec<(String, Box<RawValue>)>);

impl Serialize for Extra {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl<'de> Deserialize<'de> for Extra {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> serde::de::Visitor<'de> for Pairs {
            type Value = Extra;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Extra, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Extra(pairs))
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

/// What became of the payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "each case is documented once, in the contract")]
pub enum PaymentStatus {
    Succeeded,
    Failed,
    Pending,
    Closed,
    Finished,
}

/// Who paid.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is documented once, in the contract")]
pub struct Payer {
    pub id: Option<String>,
    pub openid: Option<String>,
    pub logon_masked: Option<String>,
    pub name_masked: Option<String>,
}

/// The way the money took.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is documented once, in the contract")]
pub struct Channel {
    pub code: String,
    pub trade_type: Option<String>,
    pub bank_type: Option<String>,
    pub funding: Option<String>,
    pub channel_txn_id: Option<String>,
}

/// Why a payment failed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is documented once, in the contract")]
pub struct Failure {
    pub code: String,
    pub message: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Notification, InvalidRecord> {
        Notification::parse(Bytes::copy_from_slice(text.as_bytes()))
    }

    #[test]
    fn a_record_keeps_its_text_and_what_it_does_not_know() {
        let text = r#" {"schema":"payment-result/1","notification_id":"n1","merchant_id":"m1","kind":"payment",
            "status":"succeeded","amount":{"minor":-1,"currency":"CNY"},"new_field":[1],
            "extra":{"z":1.50,"a":"x"}} "#;
        let notification = parse(text).expect("valid");
        assert_eq!(notification.raw, text.as_bytes());
        assert_eq!(notification.id().as_str(), "n1");
        assert!(notification.record.livemode);
        let extra: Vec<_> =
            notification.record.extra.0.iter().map(|(name, value)| (name.as_str(), value.get())).collect();
        assert_eq!(extra, [("z", "1.50"), ("a", "\"x\"")]);
    }

    #[test]
    fn errors_name_the_field() {
        let check = |text: &str, field: Option<&str>, part: &str| {
            let error = parse(text).expect_err(text);
            assert_eq!(error.field.as_deref(), field, "{error}");
            assert!(error.to_string().contains(part), "{error}");
        };
        let with = |more: &str| {
            format!(
                r#"{{"schema":"payment-result/1","notification_id":"n","merchant_id":"m","kind":"payment"{more}}}"#
            )
        };
        check("success", None, "expected value");
        check(&format!("{} x", with("")), None, "trailing characters");
        check(r#"{"schema":"payment-result/1","notification_id":"a.b"}"#, Some("notification_id"), "a.b");
        check(&with(r#","amount":{"minor":1,"currency":"XXX"}"#), Some("amount.currency"), "XXX");
        check(&with(r#","amount":{"minor":0.1,"currency":"CNY"}"#), Some("amount.minor"), "0.1");
        check(&with(r#","created_at":"yesterday""#), Some("created_at"), "yesterday");
        check(&with(r#","status":"paid""#), Some("status"), "paid");
        check(&with("").replace("/1", "/2"), Some("schema"), "payment-result/2");
        check(r#"{"schema":"payment-result/1","notification_id":"n","merchant_id":"m"}"#, None, "`kind`");
    }
}
