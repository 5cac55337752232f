//! The request: a POST with an empty body, everything in the query.
//!
//! The names and their order are the original program's, and so are the encodings: form style, Beijing time, an amount
//! as decimal text. A URL that a legacy source hands over ready-made is posted to as it is.

use crate::bindings::paynotify::merchant::types::{
    Attempt, Endpoint, Header, HttpRequest, Money, Notification, PaymentStatus, PluginError,
};

const MILLISECONDS_A_SECOND: i64 = 1_000;
const SECONDS_A_DAY: i64 = 86_400;
/// Beijing is eight hours ahead of UTC the year round, without summer time.
const BEIJING_OFFSET_SECONDS: i64 = 8 * 3_600;

/// Writes the request of one attempt, or names the field of the record that it cannot do without.
pub(crate) fn write(
    notification: &Notification,
    endpoint: &Endpoint,
    attempt: &Attempt,
) -> Result<HttpRequest, PluginError> {
    let url = match legacy_url(notification)? {
        Some(url) => url,
        None => with_query(&endpoint.url, &query(notification, attempt)?),
    };
    Ok(HttpRequest {
        method: "POST".to_owned(),
        url,
        // There is no body to describe. But some web frameworks refuse to read any field of a POST that does not
        // claim to be a form, and none minds that the form is empty.
        headers: vec![Header {
            name: "content-type".to_owned(),
            value: b"application/x-www-form-urlencoded".to_vec(),
        }],
        body: Vec::new(),
    })
}

/// The ready-made URL of a record that came from a legacy source.
fn legacy_url(notification: &Notification) -> Result<Option<String>, PluginError> {
    let Some((_, json)) = notification.extra.iter().find(|(name, _)| name == "legacy_url") else {
        return Ok(None);
    };
    match serde_json::from_str(json) {
        Ok(url) => Ok(Some(url)),
        Err(error) => Err(unusable(format!("extra.legacy_url: not a JSON string: {error}"))),
    }
}

fn query(notification: &Notification, attempt: &Attempt) -> Result<String, PluginError> {
    // A merchant reads these fields as a payment. A refund told with them would look like money received.
    if notification.kind != "payment" {
        return Err(unusable(format!(
            "kind: this format can tell of a payment only, not of `{}`",
            notification.kind
        )));
    }
    let (is_success, trade_status) = outcome(*needed("status", &notification.status)?);
    let fields = [
        ("is_success", is_success),
        ("notify_id", &notification.id),
        ("notify_time", &beijing_time(attempt.now)),
        ("notify_type", "trade_status_sync"),
        ("out_trade_no", needed("merchant-order-id", &notification.merchant_order_id)?),
        ("total_fee", &decimal(needed("amount", &notification.amount)?)),
        ("trade_no", needed("payment-id", &notification.payment_id)?),
        ("trade_status", trade_status),
    ];
    Ok(fields.map(|(name, value)| format!("{name}={}", form_encoded(value))).join("&"))
}

/// `is_success` and `trade_status`. The format has no word for a payment that failed. `TRADE_CLOSED` is the nearest,
/// for no money moved and none will, and `is_success=F` sets it apart from an order that was merely closed: whichever
/// of the two a merchant looks at, it does not ship goods.
fn outcome(status: PaymentStatus) -> (&'static str, &'static str) {
    match status {
        PaymentStatus::Succeeded => ("T", "TRADE_SUCCESS"),
        PaymentStatus::Finished => ("T", "TRADE_FINISHED"),
        PaymentStatus::Closed => ("T", "TRADE_CLOSED"),
        PaymentStatus::Pending => ("T", "WAIT_BUYER_PAY"),
        PaymentStatus::Failed => ("F", "TRADE_CLOSED"),
    }
}

fn needed<'a, T>(name: &str, field: &'a Option<T>) -> Result<&'a T, PluginError> {
    field.as_ref().ok_or_else(|| unusable(format!("{name}: absent, and the format cannot do without it")))
}

fn unusable(reason: String) -> PluginError {
    PluginError::UnusableRecord(reason)
}

/// Appends to the merchant's URL. A query that is there stays first, byte for byte; a fragment never travels.
fn with_query(url: &str, query: &str) -> String {
    let url = url.split('#').next().unwrap_or_default();
    let separator = match url.split_once('?') {
        None => "?",
        Some((_, theirs)) if theirs.is_empty() || theirs.ends_with('&') => "",
        Some(_) => "&",
    };
    format!("{url}{separator}{query}")
}

/// `application/x-www-form-urlencoded` as browsers write it (WHATWG URL, section 5.2): a blank becomes `+`.
fn form_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'*' | b'-' | b'.' | b'_' => {
                encoded.push(char::from(byte))
            }
            b' ' => encoded.push('+'),
            other => encoded.push_str(&format!("%{other:02X}")),
        }
    }
    encoded
}

/// The amount in whole units with all decimals of its currency: 1 fen is `0.01`. Exact: digits are moved, not divided.
fn decimal(money: &Money) -> String {
    let decimals = usize::from(money.exponent);
    let digits = format!("{:0>width$}", money.minor.unsigned_abs(), width = decimals + 1);
    let (whole, fraction) = digits.split_at(digits.len() - decimals);
    let sign = if money.minor < 0 { "-" } else { "" };
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{whole}{point}{fraction}")
}

/// `yyyy-MM-dd HH:mm:ss` in Beijing.
fn beijing_time(unix_milliseconds: i64) -> String {
    let seconds = unix_milliseconds.div_euclid(MILLISECONDS_A_SECOND) + BEIJING_OFFSET_SECONDS;
    let (year, month, day) = civil_date(seconds.div_euclid(SECONDS_A_DAY));
    let second = seconds.rem_euclid(SECONDS_A_DAY);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}", second / 3_600, second / 60 % 60, second % 60)
}

/// The Gregorian date of a day counted from 1970-01-01. Years are counted from March here, so that the leap day is the
/// last of a year and month lengths follow one straight line: (153 m + 2) / 5 days come before month m.
fn civil_date(days_since_1970: i64) -> (i64, i64, i64) {
    let days = days_since_1970 + 719_468; // since 0000-03-01
    let era = days.div_euclid(146_097); // 400 years
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
