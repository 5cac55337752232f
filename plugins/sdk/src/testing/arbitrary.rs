//! Records and replies of every sort, as proptest strategies, and what no request may ever be.
//!
//! Texts are now harmless, now empty, now huge, now of any Unicode plane, now what formats are broken with. Harmless ones
//! are frequent enough that whole records come out which a format can express.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use crate::{
    Attempt, Channel, Failure, Header, HttpRequest, HttpResponse, Money, Notification, Payer, PaymentStatus,
};

/// A text out of a record.
pub fn text() -> impl Strategy<Value = String> {
    let nasty = prop::sample::select(vec![
        "\r\n",
        "a\r\nx-forged: 1",
        "\0",
        "\u{1b}[2J",
        "&=%+",
        "a&sign=0",
        "]]>",
        "]]]]>>",
        "<![CDATA[",
        "</xml><a>",
        "&amp;",
        "\"",
        "\\",
        "\u{7f}",
        "\u{85}",
        "\u{2028}",
        "\u{FEFF}",
        "\u{FFFE}",
        "\u{10FFFF}",
        " a ",
        "\u{3000}",
        "支付",
        "😀",
        "{}",
        "%0d%0a",
    ]);
    prop_oneof![
        20 => "[A-Za-z0-9_-]{1,28}",
        3 => vec(any::<char>(), 0..40).prop_map(String::from_iter),
        4 => nasty.clone().prop_map(str::to_owned),
        2 => vec(nasty, 0..8).prop_map(|pieces| pieces.concat()),
        1 => Just(String::new()),
        1 => (any::<char>(), 1_usize..70_000).prop_map(|(character, count)| character.to_string().repeat(count)),
    ]
}

/// An amount: of CNY, as a rule, and not negative; but also the extremes.
pub fn money() -> impl Strategy<Value = Money> {
    let minor = prop_oneof![
        8 => 0..10_000_000_000_i64,
        1 => any::<i64>(),
        1 => prop::sample::select(vec![i64::MIN, -1, 0, i64::MAX]),
    ];
    let currency = prop_oneof![
        20 => Just(("CNY".to_owned(), 2)),
        1 => Just(("JPY".to_owned(), 0)),
        1 => ("[A-Z]{3}", 0..4_u8),
    ];
    (minor, currency).prop_map(|(minor, (currency, exponent))| Money { minor, currency, exponent })
}

fn moment() -> impl Strategy<Value = i64> {
    prop_oneof![10 => 0..4_102_444_800_000_i64, 1 => any::<i64>()]
}

/// A record: its id is what the contract says, and everything else may be anything.
pub fn notification() -> impl Strategy<Value = Notification> {
    let kind = prop_oneof![8 => Just("payment".to_owned()), 1 => Just("refund".to_owned()), 1 => text()];
    let status = prop_oneof![
        6 => Just(Some(PaymentStatus::Succeeded)),
        1 => Just(Some(PaymentStatus::Failed)),
        1 => prop::sample::select(vec![
            Some(PaymentStatus::Pending), Some(PaymentStatus::Closed), Some(PaymentStatus::Finished), None,
        ]),
    ];
    let texts = vec(option::weighted(0.9, text()), 18);
    let amounts = vec(option::weighted(0.9, money()), 6);
    let moments = vec(option::weighted(0.9, moment()), 3);
    let has =
        (option::weighted(0.7, Just(())), option::weighted(0.7, Just(())), option::weighted(0.5, Just(())));
    let extra =
        vec((text(), prop_oneof![text().prop_map(|text| serde_json::json!(text).to_string()), text()]), 0..3);
    ("[A-Za-z0-9_-]{1,36}", kind, status, texts, amounts, moments, has, any::<bool>(), extra).prop_map(
        |(id, kind, status, mut texts, mut amounts, mut moments, has, livemode, extra)| {
            let (payer, channel, failure) = has;
            let mut text = || texts.pop().flatten();
            let mut amount = || amounts.pop().flatten();
            let mut moment = || moments.pop().flatten();
            Notification {
                id,
                merchant_id: "shop".to_owned(),
                endpoint_id: text(),
                kind,
                status,
                payment_id: text(),
                original_payment_id: text(),
                merchant_order_id: text(),
                amount: amount(),
                payer_amount: amount(),
                net_amount: amount(),
                settle_amount: amount(),
                refunded_amount: amount(),
                fee: amount(),
                created_at: moment(),
                completed_at: moment(),
                closed_at: moment(),
                subject: text(),
                description: text(),
                payer: payer.map(|()| Payer {
                    id: text(),
                    openid: text(),
                    logon_masked: text(),
                    name_masked: text(),
                }),
                channel: channel.map(|()| Channel {
                    code: text().unwrap_or_default(),
                    trade_type: text(),
                    bank_type: text(),
                    funding: text(),
                    channel_transaction_id: text(),
                }),
                failure: failure.map(|()| Failure { code: text().unwrap_or_default(), message: text() }),
                passthrough: text(),
                livemode,
                extra,
                raw_json: "{}".to_owned(),
            }
        },
    )
}

/// An attempt at any moment that a gateway may live to see.
pub fn attempt() -> impl Strategy<Value = Attempt> {
    (1_u32..100, 0..4_102_444_800_000_i64, any::<[u8; 32]>()).prop_map(|(number, now, entropy)| Attempt {
        number,
        now,
        entropy: entropy.to_vec(),
    })
}

/// A reply: of any status, with any bytes, with beginnings of what formats look for.
pub fn response() -> impl Strategy<Value = HttpResponse> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            "success",
            "<xml>",
            "</xml>",
            "<return_code>",
            "SUCCESS",
            "</return_code>",
            "<![CDATA[",
            "]]>",
            "&#",
            ";",
            "{",
            "}",
            "[",
            "\"code\":",
            "\"FAIL\"",
            ",",
            "<!--",
            "<?",
            "<!DOCTYPE",
        ])
        .prop_map(|piece| piece.as_bytes().to_vec()),
        text().prop_map(String::into_bytes),
        vec(any::<u8>(), 0..20),
    ];
    let body = vec(piece, 0..12).prop_map(|pieces| pieces.concat());
    let headers = vec(("[a-z-]{1,24}", vec(any::<u8>(), 0..20)), 0..4);
    (prop_oneof![200..600_u16, any::<u16>()], headers, body, any::<bool>()).prop_map(
        |(status, headers, body, truncated)| HttpResponse {
            status,
            headers: headers.into_iter().map(|(name, value)| Header { name, value }).collect(),
            body,
            truncated,
        },
    )
}

/// Holds a request to the contract's rules: a method that there is, this URL to the byte, header names that are tokens and
/// not the gateway's own, header values of visible ASCII and single blanks within.
///
/// # Panics
///
/// When the request breaks one.
pub fn assert_valid(request: &HttpRequest, url: &str) {
    const GATEWAYS: [&str; 9] = [
        "host",
        "content-length",
        "transfer-encoding",
        "connection",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "upgrade",
    ];
    assert!(["POST", "GET", "PUT", "PATCH", "DELETE", "OPTIONS"].contains(&request.method.as_str()));
    assert_eq!(request.url, url);
    for Header { name, value } in &request.headers {
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        assert!(!name.is_empty() && name.bytes().all(is_token), "header {name:?}");
        assert!(!GATEWAYS.contains(&name.to_ascii_lowercase().as_str()), "header {name}");
        assert!(value.iter().all(|byte| (0x20..=0x7E).contains(byte)), "{name}: {value:?}");
        assert_eq!(value.trim_ascii(), value, "{name}");
    }
}
