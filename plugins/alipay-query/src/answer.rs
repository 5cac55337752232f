//! The answer, and whether the trade has come to its end.
//!
//! Only a status from which nothing can follow but refunds is a confirmation. All else is asked again until the ladder
//! ends: a payer who has not paid, Alipay's own trouble, and also a trade that does not exist, because it comes into being
//! only when the payer has scanned the code. An answer that refuses the question (a wrong signature, say) is asked again
//! too: its code is in the reason, and somebody may mend it in time.

use paynotify_plugin::{HttpResponse, Verdict, verdict};
use serde::Deserialize;

/// Statuses that end a trade: paid; paid and past refunding; closed unpaid, or refunded in full.
const FINAL: [&str; 3] = ["TRADE_SUCCESS", "TRADE_FINISHED", "TRADE_CLOSED"];

/// The code of a question that was understood and answered.
const ANSWERED: &str = "10000";

/// The answer's envelope. A question that Alipay cannot assign to a method is answered in `error_response`.
#[derive(Deserialize)]
struct Envelope {
    #[serde(alias = "error_response")]
    alipay_trade_query_response: Answer,
}

#[derive(Deserialize)]
struct Answer {
    code: String,
    msg: Option<String>,
    sub_code: Option<String>,
    sub_msg: Option<String>,
    out_trade_no: Option<String>,
    trade_status: Option<String>,
}

/// What the answer to a question after this order means.
pub(crate) fn judge(order_number: &str, response: &HttpResponse) -> Verdict {
    const WANTED: &str = "200 and JSON with alipay_trade_query_response";
    if response.status != 200 || response.truncated {
        return verdict::unexpected(response, WANTED);
    }
    let Ok(Envelope { alipay_trade_query_response: answer }) = serde_json::from_slice(&response.body) else {
        return verdict::unexpected(response, WANTED);
    };
    if answer.code != ANSWERED {
        return verdict::retry(refusal(&answer));
    }
    if answer.out_trade_no.as_deref().is_some_and(|number| number != order_number) {
        return verdict::retry("the answer is about another order than was asked for");
    }
    match answer.trade_status.as_deref() {
        Some(status) if FINAL.contains(&status) => verdict::confirmed_with(status),
        Some(status) => verdict::retry(format!("not final: {status}")),
        None => verdict::retry("an answer without trade_status"),
    }
}

/// Code and text of an answer that is none, the closer ones first.
fn refusal(answer: &Answer) -> String {
    let closer = [&answer.sub_code, &answer.sub_msg].map(|text| text.as_deref().unwrap_or_default());
    let broader = [answer.code.as_str(), answer.msg.as_deref().unwrap_or_default()];
    let told: Vec<&str> = closer.into_iter().chain(broader).filter(|text| !text.is_empty()).collect();
    told.join(" ")
}
