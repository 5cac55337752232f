//! What an event is about: a transaction (developer.paddle.com/webhooks/transactions) or an adjustment
//! (developer.paddle.com/webhooks/adjustments).
//!
//! All fields are there that Paddle's own libraries cannot do without when they read an event into types. Those that a
//! record cannot fill say that there is nothing: no items, null. Totals have no tax, discount or credit of their own,
//! because the record's amount is one number: subtotal, total and grand total are that one. Ids are the payment centre's
//! own, without Paddle's `txn_` and `adj_`: merchants look payments up by them. Amounts are text, in minor units.

use std::collections::BTreeMap;

use paynotify_plugin::money::not_negative;
use paynotify_plugin::record::{needed, needed_text, of_kind};
use paynotify_plugin::{Failure, Money, Notification, PaymentStatus, PluginError, time};
use serde::Serialize;

use crate::settings::Settings;

/// What Paddle's events can tell of here.
pub(crate) const KINDS: [&str; 2] = ["payment", "refund"];

#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum Data<'a> {
    Payment(Box<Transaction<'a>>),
    Refund(Box<Adjustment<'a>>),
}

/// Always null here.
type Nothing = Option<&'static str>;

#[derive(Serialize)]
pub(crate) struct Transaction<'a> {
    id: &'a str,
    status: &'static str,
    customer_id: Option<&'a str>,
    address_id: Nothing,
    business_id: Nothing,
    custom_data: BTreeMap<&'a str, &'a str>,
    currency_code: &'a str,
    origin: &'static str,
    subscription_id: Nothing,
    invoice_id: Nothing,
    invoice_number: Nothing,
    collection_mode: &'static str,
    discount_id: Nothing,
    billing_details: Nothing,
    billing_period: Nothing,
    items: [(); 0],
    details: Details<'a>,
    payments: Vec<PaymentAttempt<'a>>,
    checkout: Nothing,
    created_at: String,
    updated_at: &'a str,
    billed_at: Option<&'a str>,
}

#[derive(Serialize)]
struct Details<'a> {
    tax_rates_used: [(); 0],
    totals: Totals<'a>,
    adjusted_totals: Nothing,
    payout_totals: Nothing,
    adjusted_payout_totals: Nothing,
    line_items: [(); 0],
}

#[derive(Serialize)]
struct Totals<'a> {
    subtotal: String,
    discount: &'static str,
    tax: &'static str,
    total: String,
    credit: &'static str,
    credit_to_balance: &'static str,
    balance: String,
    grand_total: String,
    fee: Option<String>,
    earnings: Option<String>,
    currency_code: &'a str,
}

/// An attempt of the payer's that has failed: the one place where Paddle says why.
#[derive(Serialize)]
struct PaymentAttempt<'a> {
    payment_attempt_id: &'a str,
    payment_method_id: Nothing,
    stored_payment_method_id: Nothing,
    amount: String,
    status: &'static str,
    error_code: &'a str,
    method_details: MethodDetails,
    created_at: &'a str,
    captured_at: Nothing,
}

#[derive(Serialize)]
struct MethodDetails {
    #[serde(rename = "type")]
    method: &'static str,
    card: Nothing,
}

#[derive(Serialize)]
pub(crate) struct Adjustment<'a> {
    id: &'a str,
    action: &'static str,
    transaction_id: &'a str,
    subscription_id: Nothing,
    customer_id: Option<&'a str>,
    reason: &'a str,
    credit_applied_to_balance: Option<bool>,
    currency_code: &'a str,
    status: &'static str,
    items: [(); 0],
    totals: AdjustmentTotals<'a>,
    payout_totals: Nothing,
    created_at: String,
    updated_at: &'a str,
}

#[derive(Serialize)]
struct AdjustmentTotals<'a> {
    subtotal: String,
    tax: &'static str,
    total: String,
    fee: Option<String>,
    earnings: Option<String>,
    currency_code: &'a str,
}

/// The event's type and data.
pub(crate) fn of<'a>(
    notification: &'a Notification,
    happened: &'a str,
    settings: &'a Settings,
) -> Result<(&'static str, Data<'a>), PluginError> {
    of_kind(notification, &KINDS)?;
    let status = *needed("status", &notification.status)?;
    let amount = not_negative("amount", needed("amount", &notification.amount)?)?;
    let told = Told {
        notification,
        happened,
        id: needed_text("payment-id", &notification.payment_id)?,
        amount,
        created_at: notification
            .created_at
            .map_or_else(|| happened.to_owned(), time::rfc3339_with_milliseconds),
        customer_id: notification.payer.as_ref().and_then(|payer| payer.id.as_deref()),
    };
    if notification.kind == "refund" {
        let (event_type, word) = refund_words(status);
        return Ok((event_type, Data::Refund(Box::new(told.adjustment(word)?))));
    }
    let (event_type, word) = payment_words(status);
    let custom_data = custom_data(notification, settings)?;
    let is_paid = matches!(status, PaymentStatus::Succeeded | PaymentStatus::Finished);
    Ok((event_type, Data::Payment(Box::new(told.transaction(word, is_paid, custom_data)))))
}

/// What both objects are made of.
struct Told<'a> {
    notification: &'a Notification,
    happened: &'a str,
    id: &'a str,
    amount: &'a Money,
    created_at: String,
    customer_id: Option<&'a str>,
}

impl<'a> Told<'a> {
    fn transaction(
        self,
        status: &'static str,
        is_paid: bool,
        custom_data: BTreeMap<&'a str, &'a str>,
    ) -> Transaction<'a> {
        let total = self.amount.minor.to_string();
        let totals = Totals {
            subtotal: total.clone(),
            discount: "0",
            tax: "0",
            total: total.clone(),
            credit: "0",
            credit_to_balance: "0",
            balance: if is_paid { "0".to_owned() } else { total.clone() },
            grand_total: total.clone(),
            fee: self.in_same_currency(&self.notification.fee),
            earnings: self.in_same_currency(&self.notification.net_amount),
            currency_code: &self.amount.currency,
        };
        let failed = |failure: &'a Failure| PaymentAttempt {
            payment_attempt_id: self.id,
            payment_method_id: None,
            stored_payment_method_id: None,
            amount: total,
            status: "error",
            error_code: &failure.code,
            method_details: MethodDetails { method: "unknown", card: None },
            created_at: self.happened,
            captured_at: None,
        };
        Transaction {
            id: self.id,
            status,
            customer_id: self.customer_id,
            address_id: None,
            business_id: None,
            custom_data,
            currency_code: &self.amount.currency,
            origin: "api",
            subscription_id: None,
            invoice_id: None,
            invoice_number: None,
            collection_mode: "automatic",
            discount_id: None,
            billing_details: None,
            billing_period: None,
            items: [],
            details: Details {
                tax_rates_used: [],
                totals,
                adjusted_totals: None,
                payout_totals: None,
                adjusted_payout_totals: None,
                line_items: [],
            },
            payments: self.notification.failure.as_ref().map(failed).into_iter().collect(),
            checkout: None,
            created_at: self.created_at,
            updated_at: self.happened,
            billed_at: is_paid.then_some(self.happened),
        }
    }

    fn adjustment(self, status: &'static str) -> Result<Adjustment<'a>, PluginError> {
        let Notification { original_payment_id, description, subject, .. } = self.notification;
        Ok(Adjustment {
            id: self.id,
            action: "refund",
            transaction_id: needed_text("original-payment-id", original_payment_id)?,
            subscription_id: None,
            customer_id: self.customer_id,
            reason: description.as_deref().or(subject.as_deref()).unwrap_or_default(),
            credit_applied_to_balance: None,
            currency_code: &self.amount.currency,
            status,
            items: [],
            totals: AdjustmentTotals {
                subtotal: self.amount.minor.to_string(),
                tax: "0",
                total: self.amount.minor.to_string(),
                fee: self.in_same_currency(&self.notification.fee),
                earnings: self.in_same_currency(&self.notification.net_amount),
                currency_code: &self.amount.currency,
            },
            payout_totals: None,
            created_at: self.created_at,
            updated_at: self.happened,
        })
    }

    /// Totals have one currency: an amount in another one is not told.
    fn in_same_currency(&self, money: &Option<Money>) -> Option<String> {
        let money = money.as_ref().filter(|money| money.currency == self.amount.currency)?;
        Some(money.minor.to_string())
    }
}

/// The event's type and the transaction's status. One that has failed is ready to be paid otherwise.
fn payment_words(status: PaymentStatus) -> (&'static str, &'static str) {
    match status {
        PaymentStatus::Succeeded | PaymentStatus::Finished => ("transaction.completed", "completed"),
        PaymentStatus::Failed => ("transaction.payment_failed", "ready"),
        PaymentStatus::Pending => ("transaction.ready", "ready"),
        PaymentStatus::Closed => ("transaction.canceled", "canceled"),
    }
}

/// The event's type and the adjustment's status.
fn refund_words(status: PaymentStatus) -> (&'static str, &'static str) {
    match status {
        PaymentStatus::Succeeded | PaymentStatus::Finished => ("adjustment.updated", "approved"),
        PaymentStatus::Failed | PaymentStatus::Closed => ("adjustment.updated", "rejected"),
        PaymentStatus::Pending => ("adjustment.created", "pending_approval"),
    }
}

/// The merchant's number of the order, and the merchant's own text.
fn custom_data<'a>(
    notification: &'a Notification,
    settings: &'a Settings,
) -> Result<BTreeMap<&'a str, &'a str>, PluginError> {
    let order = needed_text("merchant-order-id", &notification.merchant_order_id)?;
    let passthrough = notification.passthrough.as_deref();
    let passthrough = passthrough.map(|text| (settings.passthrough_key.as_str(), text));
    Ok([(settings.order_id_key.as_str(), order)].into_iter().chain(passthrough).collect())
}
