//! The format `acme`: a signed POST of JSON, confirmed by status 200 and the body `ok`.
//!
//! Everything that counts comes in through the arguments: there is no clock, no network and no key here. The contract
//! is wit/merchant.wit; `paynotify plugin cases acme.wasm acme.cases` shows by examples what is written and judged.

use paynotify_plugin::record::{needed, of_kind};
use paynotify_plugin::{
    Algorithm, Call, Description, HttpRequest, HttpResponse, NoSettings, Notification, Plugin, PluginError,
    Verdict, description, encode, event, json::Object, key, reply, request, time, verdict,
};

struct Format;

impl Plugin for Format {
    type Settings = NoSettings;

    fn describe() -> Description {
        Description {
            name: "acme".to_owned(),
            keys: vec![key("signing", "signs the time and the body", &[Algorithm::HmacSha256])],
            ..description!(NoSettings)
        }
    }

    fn format(call: &Call<'_, NoSettings>) -> Result<HttpRequest, PluginError> {
        let notification = call.notification;
        of_kind(notification, &["payment"])?;
        let order = needed("merchant-order-id", &notification.merchant_order_id)?;
        let amount = needed("amount", &notification.amount)?;
        let status = needed("status", &notification.status)?;
        let body = Object::new()
            .with("id", Some(&notification.id))?
            .with("order", Some(order))?
            .with("amount", Some(amount.minor))?
            .with("currency", Some(&amount.currency))?
            .with("status", Some(event::word(*status)))?
            .finish();
        let time = time::unix_seconds(call.attempt.now).to_string();
        // The key never comes here: the gateway signs. Of several keys the newest comes first.
        let key = call.keys.newest("signing")?;
        let signature = key.sign(Algorithm::HmacSha256, format!("{time}.{body}"))?;
        let mut request = request::post(&call.endpoint.url, "application/json", body);
        request.headers.push(request::header("acme-time", &time));
        request.headers.push(request::header("acme-signature", &encode::hex(&signature)));
        Ok(request)
    }

    fn judge(_: &NoSettings, _: &Notification, response: &HttpResponse) -> Result<Verdict, PluginError> {
        let status = response.status;
        let verdict = match (status, wait(response)) {
            (200, _) if reply::body_is(response, "ok") => verdict::confirmed(),
            (410, _) => verdict::stop("the merchant answered 410: it wants no more of this"),
            (429 | 503, Some(seconds)) => {
                let reason = format!("status {status}, and the merchant asks for a wait of {seconds} s");
                verdict::retry_after(seconds, reason)
            }
            _ => verdict::retry(format!("status {status}, wanted 200 and `ok`")),
        };
        Ok(verdict)
    }
}

/// The seconds of a body `wait 30`.
fn wait(response: &HttpResponse) -> Option<u32> {
    let text = std::str::from_utf8(&response.body).ok().filter(|_| !response.truncated)?;
    let digits = text.strip_prefix("wait ")?;
    let is_number = (1..=6).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_digit());
    digits.parse().ok().filter(|_| is_number)
}

paynotify_plugin::export!(Format);
