//! Records, attempts and replies of every kind, for property tests (feature `arbitrary`).
//!
//! Everything is boxed, or the values in the making would be too much for a test's stack.
//!
//! Texts are what breaks formats: empty, long, of every plane of Unicode, with line breaks and NUL, with the characters
//! that delimit queries, XML, JSON and headers. What the gateway itself guarantees is kept: the forms of `id`, `currency`
//! and `exponent`, and that the values of `extra` are JSON.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use crate::{
    Attempt, Channel, Failure, Header, HttpRequest, HttpResponse, Money, Notification, Payer, PaymentStatus,
};

/// Any text.
pub fn text() -> BoxedStrategy<String> {
    const ODD: [&str; 16] = [
        "",
        "\r\nx: y",
        "\n",
        "\0",
        "&a=b",
        "=",
        "%41+%",
        "]]>",
        "<a>&lt;",
        "\"}\\",
        ":",
        " x ",
        "支付",
        "\u{10FFFD}",
        "\u{FEFF}\u{202E}",
        "x.y",
    ];
    prop_oneof![
        4 => vec(any::<char>(), 0..12).prop_map(|characters| characters.into_iter().collect()),
        4 => vec(prop::sample::select(&ODD[..]), 0..5).prop_map(|pieces| pieces.concat()),
        4 => "[ -~]{0,40}",
        1 => (vec(any::<char>(), 1..4), 1_000..5_000_usize)
            .prop_map(|(characters, times)| characters.into_iter().collect::<String>().repeat(times)),
    ]
    .boxed()
}

/// Any amount: both ends of what can be said, and currencies of 0, 2 and 3 decimals.
pub fn money() -> BoxedStrategy<Money> {
    let minor = prop_oneof![Just(i64::MIN), Just(i64::MAX), Just(0), -1_000..1_000_i64, any::<i64>()];
    let currency = prop::sample::select(
        &[("CNY", 2), ("JPY", 0), ("KWD", 3), ("ISK", 0), ("UGX", 0), ("MGA", 2), ("CLP", 0), ("IDR", 2)][..],
    );
    (minor, currency)
        .prop_map(|(minor, (currency, exponent))| Money { minor, currency: currency.to_owned(), exponent })
        .boxed()
}

/// Any record: each field there or not.
pub fn notification() -> BoxedStrategy<Notification> {
    let id = "[A-Za-z0-9_-]{1,36}";
    let kind = prop_oneof![
        Just("payment".to_owned()),
        Just("refund".to_owned()),
        Just("capture".to_owned()),
        text()
    ];
    let status = option::of(prop::sample::select(
        &[
            PaymentStatus::Succeeded,
            PaymentStatus::Failed,
            PaymentStatus::Pending,
            PaymentStatus::Closed,
            PaymentStatus::Finished,
        ][..],
    ));
    let some = || option::weighted(0.8, text());
    let texts = (some(), some(), some(), some(), some(), some());
    let amounts = vec(option::weighted(0.8, money()), 6);
    let moments = vec(option::of(moment()), 3);
    let json = prop_oneof![Just("1.50"), Just("null"), Just(" {\"a\" : [\"\\u0000\", 1e3]}\n"), Just("\"\"")];
    let extra = prop::collection::btree_map(text(), json.prop_map(str::to_owned), 0..3);
    let people = (option::of(payer()), option::of(channel()), option::of((text(), option::of(text()))));
    (id, kind, status, texts, amounts, moments, people, any::<bool>(), extra)
        .prop_map(
            |(id, kind, status, texts, amounts, moments, (payer, channel, failure), livemode, extra)| {
                let (payment_id, original_payment_id, merchant_order_id, subject, description, passthrough) =
                    texts;
                let amount = |index: usize| amounts[index].clone();
                Notification {
                    id,
                    merchant_id: "shop".to_owned(),
                    endpoint_id: None,
                    kind,
                    status,
                    payment_id,
                    original_payment_id,
                    merchant_order_id,
                    amount: amount(0),
                    payer_amount: amount(1),
                    net_amount: amount(2),
                    settle_amount: amount(3),
                    refunded_amount: amount(4),
                    fee: amount(5),
                    created_at: moments[0],
                    completed_at: moments[1],
                    closed_at: moments[2],
                    subject,
                    description,
                    payer,
                    channel,
                    failure: failure.map(|(code, message)| Failure { code, message }),
                    passthrough,
                    livemode,
                    extra: extra.into_iter().collect(),
                    raw_json: "{}".to_owned(),
                }
            },
        )
        .boxed()
}

/// Records like any other, most of which have what formats cannot do without: one of these kinds, a status, numbers that are
/// not empty, an amount that is not negative. Without that a property test looks at little but refusals.
pub fn notification_of(kinds: &'static [&'static str]) -> BoxedStrategy<Notification> {
    let filled = (notification(), prop::sample::select(kinds), money(), text()).prop_map(
        |(record, kind, money, text)| {
            let number =
                |field: Option<String>| field.filter(|field| !field.is_empty()).or(Some(format!("{text}-1")));
            let amount = Money { minor: money.minor.checked_abs().unwrap_or(i64::MAX), ..money };
            Notification {
                kind: kind.to_owned(),
                status: record.status.or(Some(PaymentStatus::Succeeded)),
                payment_id: number(record.payment_id),
                original_payment_id: number(record.original_payment_id),
                merchant_order_id: number(record.merchant_order_id),
                amount: Some(amount),
                ..record
            }
        },
    );
    prop_oneof![1 => notification(), 3 => filled].boxed()
}

/// The record with one field replaced by anything: what becomes of an odd value where all else can be told.
pub fn nearly(record: Notification) -> BoxedStrategy<Notification> {
    (0..12_usize, text(), money())
        .prop_map(move |(which, text, money)| {
            let mut record = record.clone();
            let (payer, channel) = (record.payer.as_mut(), record.channel.as_mut());
            match which {
                0 => record.kind = text,
                1 => record.payment_id = Some(text),
                2 => record.merchant_order_id = Some(text),
                3 => record.subject = Some(text),
                4 => record.failure = Some(Failure { code: text.clone(), message: Some(text) }),
                5 => record.amount = Some(money),
                6 => record.payer_amount = Some(money),
                7 => record.extra = vec![(text, "0".to_owned())],
                8 => _ = payer.map(|payer| payer.openid = Some(text)),
                9 => _ = channel.map(|channel| channel.trade_type = Some(text)),
                _ => record.passthrough = Some(text),
            }
            record
        })
        .boxed()
}

/// Any moment: most of them in this century, and both ends.
pub fn moment() -> BoxedStrategy<i64> {
    prop_oneof![8 => 0..4_102_444_800_000_i64, 1 => Just(i64::MIN), 1 => Just(i64::MAX), 1 => any::<i64>()]
        .boxed()
}

/// Any attempt.
pub fn attempt() -> BoxedStrategy<Attempt> {
    (1..=u32::MAX, moment(), vec(any::<u8>(), 32))
        .prop_map(|(number, now, entropy)| Attempt { number, now, entropy })
        .boxed()
}

/// Any reply, its bodies like words that merchants answer with, or noise.
pub fn response() -> BoxedStrategy<HttpResponse> {
    let status =
        prop_oneof![prop::sample::select(&[200_u16, 204, 302, 410, 429, 500, 503][..]), any::<u16>()];
    let body = prop_oneof![
        text().prop_map(String::into_bytes),
        vec(any::<u8>(), 0..100),
        Just(b"success".to_vec()),
        Just(b"[accepted]".to_vec()),
        pieces(),
    ];
    let name = prop_oneof![Just("retry-after".to_owned()), "[a-z-]{1,10}"];
    let header = (name, prop_oneof![Just(b"120".to_vec()), vec(any::<u8>(), 0..20)])
        .prop_map(|(name, value)| Header { name, value });
    (status, vec(header, 0..4), body, any::<bool>())
        .prop_map(|(status, headers, body, truncated)| HttpResponse { status, headers, body, truncated })
        .boxed()
}

/// Bodies like the XML and JSON that merchants answer with, mostly broken.
fn pieces() -> BoxedStrategy<Vec<u8>> {
    const PIECES: [&str; 20] = [
        "<xml>",
        "</xml>",
        "<return_code>",
        "</return_code>",
        "SUCCESS",
        "FAIL",
        "<![CDATA[",
        "]]>",
        "&#",
        ";",
        "<!--",
        "<?",
        "<!DOCTYPE",
        "{",
        "}",
        "\"code\":",
        "\"FAIL\"",
        ",",
        "[",
        "\u{FEFF}",
    ];
    let pieces = vec(prop::sample::select(&PIECES[..]), 0..12);
    pieces.prop_map(|pieces| pieces.concat().into_bytes()).boxed()
}

fn payer() -> BoxedStrategy<Payer> {
    let some = || option::of(text());
    (some(), some(), some(), some())
        .prop_map(|(id, openid, logon_masked, name_masked)| Payer { id, openid, logon_masked, name_masked })
        .boxed()
}

fn channel() -> BoxedStrategy<Channel> {
    let some = || option::of(text());
    (text(), some(), some(), some(), some())
        .prop_map(|(code, trade_type, bank_type, funding, channel_transaction_id)| Channel {
            code,
            trade_type,
            bank_type,
            funding,
            channel_transaction_id,
        })
        .boxed()
}

/// Holds a request to what the gateway refuses otherwise: an unchanged URL is the plugin's affair, and so is asked for.
///
/// # Panics
///
/// When the URL is another, a header's name is no token or one of the gateway's, or its value is not visible ASCII and
/// blanks.
pub fn assert_sendable(request: &HttpRequest, url: &str) {
    const FRAMING: [&str; 9] = [
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
    assert_eq!(request.url, url, "the URL is the merchant's");
    for header in &request.headers {
        let name = header.name.to_ascii_lowercase();
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        assert!(
            !name.is_empty() && name.bytes().all(is_token) && !FRAMING.contains(&name.as_str()),
            "{name}"
        );
        let value = &header.value;
        assert!(value.iter().all(|byte| (0x20..=0x7E).contains(byte)), "{name}: {value:?}");
        assert_eq!(value.trim_ascii(), value.as_slice(), "{name}");
    }
}
