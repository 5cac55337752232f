//! Formats whose signature is over fields, and stands among them: forms and XML.

use serde_json::{Value, json};

use super::judge::{Captured, Judge, altered};
use super::support::merchant::Answer;
use super::{RICH, key, record, test_key, test_key_file, told};

async fn alipay(mut judge: Judge, other: Value) {
    let settings = "[settings]\napp_id = \"2019073166072302\"\nseller_id = \"2088531891668739\"\n";
    let rsa = format!("secret = \"{}\"", test_key_file("rsa-2048.pkcs8.pem"));
    let file = format!("{settings}{}", key("signing", "rsa-pkcs1v15-sha256", &rsa));
    let mut record = record();
    record["extra"] = json!({"fund_bill_list": [{"amount": "129.50", "fundChannel": "ALIPAYACCOUNT"}]});
    let answer = Answer::Reply(200, Vec::new(), b"success".to_vec());
    let requests = told("alipay", &file, &record, answer).await;
    for request in &requests {
        let fields = judge.accepts(request);
        let expected = [
            ("notify_id", "n-judged-1"),
            ("app_id", "2019073166072302"),
            ("trade_no", "2026112222001468450512505578"),
            ("out_trade_no", "order-1001"),
            ("trade_status", "TRADE_SUCCESS"),
            ("total_amount", "129.50"),
            ("buyer_pay_amount", "120.00"),
            ("subject", RICH),
            ("passback_params", RICH),
            ("gmt_payment", "2026-11-23 01:30:01"),
        ];
        for (name, value) in expected {
            assert_eq!(fields[name], value, "{name}");
        }
        let bills: Value =
            serde_json::from_str(fields["fund_bill_list"].as_str().expect("text")).expect("JSON");
        assert_eq!(bills, record["extra"]["fund_bill_list"]);
    }
    let request = &requests[1];
    judge.refuses_with(&other, request);
    let fields = fields(request);
    for at in 0..fields.len() {
        let (name, value) = &fields[at];
        let mut changed = fields.clone();
        changed[at].1 = if name == "sign" { altered(value) } else { format!("{value}0") };
        judge.refuses(&format!("another {name}"), &with_fields(request, &changed));
        if name != "sign_type" {
            changed.remove(at);
            judge.refuses(&format!("no {name}"), &with_fields(request, &changed));
        }
    }
    let mut more = fields;
    more.push(("refund_fee".to_owned(), "129.50".to_owned()));
    judge.refuses("one more field", &with_fields(request, &more));
}

fn fields(request: &Captured) -> Vec<(String, String)> {
    url::form_urlencoded::parse(&request.body).into_owned().collect()
}

fn with_fields(request: &Captured, fields: &[(String, String)]) -> Captured {
    request.with_body(url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alipay_by_its_own_sdk() {
    // Bare Base64, as Alipay hands keys out.
    let bare = |name: &str| test_key(name).lines().filter(|line| !line.starts_with('-')).collect::<String>();
    let judge = Judge::start("alipay-sdk-python", json!({"public_key": bare("rsa-2048.public.pem")}));
    // The example of the published notification.
    let other = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAk6DCsBIUhWriFohzRV8Fic6oQWNnLKKILNk97VU5qcHEuxYzCujKoyva5gy1170mFJw4IcgJF8AyS7iDUwzAwF4Pp9CpWxDhUhe7mdQJhjBmvTcPLGFFrzlj6unO5lAcbdwaxPUtSxOaNxPJGrTK/wnKQSbjTMMltp1J68q2Tfgrsn/NdZ6lrxO9rvmky8kowqaH5NjntyHO59jCGabMj5sI14z8N61wB/QuIJrDuzIPMPrSNbq0cOWcSCDG09oUHTp9fk7suDB8UiFcmVTXOvK3d4HbeX8V9YsEMxrwxEoYgRRj6K2qrC6oxw480cqf2ueumCmHg6xrcgkyXK81hwIDAQAB";
    alipay(judge, json!({"public_key": other})).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alipay_by_python_alipay_sdk() {
    let keys = |public_key: &str| {
        let any = test_key("rsa-2048-other.pkcs8.pem");
        json!({"app_id": "2019073166072302", "public_key": test_key(public_key), "any_private_key": any})
    };
    let judge = Judge::start("python-alipay-sdk", keys("rsa-2048.public.pem"));
    // It takes a private key for its public half.
    alipay(judge, keys("rsa-2048-other.pkcs8.pem")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wechat_v2_with_md5() {
    wechat_v2("MD5").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wechat_v2_with_hmac_sha256() {
    wechat_v2("HMAC-SHA256").await;
}

async fn wechat_v2(sign_type: &str) {
    const API_KEY: &str = "192006250b4c09247ec02edce69f6a2d";
    let settings = format!(
        "[settings]\nappid = \"wxd930ea5d5a258f4f\"\nmch_id = \"10000100\"\nsign_type = \"{sign_type}\"\n"
    );
    let file = settings + &key("api-key", "md5-or-hmac-sha256", &format!("secret = \"{API_KEY}\""));
    let mut record = record();
    record["extra"] = json!({"device_info": "013467007045764", "coupon_fee": 950});
    let answer =
        "<xml><return_code><![CDATA[SUCCESS]]></return_code><return_msg><![CDATA[OK]]></return_msg></xml>";
    let requests =
        told("wechat-v2", &file, &record, Answer::Reply(200, Vec::new(), answer.as_bytes().to_vec())).await;
    let keys =
        |api_key: &str| json!({"api_key": api_key, "app_id": "wxd930ea5d5a258f4f", "mch_id": "10000100"});
    let mut judge = Judge::start("wechatpy", keys(API_KEY));
    let mut names = Vec::new();
    for request in &requests {
        let elements = judge.accepts(request);
        // The SDK makes numbers of amounts where it has a function for the whole notification.
        let text = |name: &str| elements[name].to_string().trim_matches('"').to_owned();
        assert_eq!((text("total_fee"), text("cash_fee")), ("12950".to_owned(), "12000".to_owned()));
        assert_eq!((text("time_end"), text("coupon_fee")), ("20261123013001".to_owned(), "950".to_owned()));
        assert_eq!(elements["attach"], RICH);
        assert_eq!(elements["out_trade_no"], "order-1001");
        assert_eq!(elements["transaction_id"], "2026112222001468450512505578");
        names = elements.as_object().expect("elements").keys().cloned().collect();
    }
    assert_ne!(requests[0].body, requests[1].body, "each attempt has a nonce of its own");
    let request = &requests[1];
    judge.refuses_with(&keys("00000000000000000000000000000000"), request);
    let text = String::from_utf8(request.body.clone()).expect("UTF-8");
    names.extend((!names.contains(&"sign".to_owned())).then(|| "sign".to_owned()));
    for name in &names {
        let open = format!("<{name}>");
        let (before, after) = text.split_once(&open).unwrap_or_else(|| panic!("no {name}: {text}"));
        let changed = match after.strip_prefix("<![CDATA[") {
            Some(rest) => format!("{before}{open}<![CDATA[1{rest}"),
            None => format!("{before}{open}1{after}"),
        };
        judge.refuses(&format!("another {name}"), &request.with_body(changed));
        let close = format!("</{name}>");
        let (_, rest) = after.split_once(&close).expect("it ends");
        judge.refuses(&format!("no {name}"), &request.with_body(format!("{before}{rest}")));
    }
    judge.refuses(
        "one more element",
        &request.with_body(text.replace("</xml>", "<err_code>1</err_code></xml>")),
    );
}
