//! Which names say that what stands under them is a secret, or about a person. README.md tells the most of it.
//!
//! A name is taken apart where it changes from one case to another, and at everything that is no letter or digit: `payerName`,
//! `payer_name` and `payer[name]` are all `payer` and `name`. Better one too many than one too few: what is hidden can be
//! had by `plugin replay`, on the gateway's machine.

/// Words that say it wherever they stand in a name. In the plural, too.
const WORDS: [&str; 62] = [
    // Secrets.
    "authorization",
    "auth",
    "cookie",
    "credential",
    "cvc",
    "cvn",
    "cvv",
    "jwt",
    "key",
    "otp",
    "passphrase",
    "passwd",
    "password",
    "pin",
    "pwd",
    "secret",
    "session",
    "sig",
    "sign",
    "signature",
    "token",
    // Persons: what they are called, and where they are.
    "addr",
    "address",
    "birth",
    "birthday",
    "birthdate",
    "cardholder",
    "cell",
    "cellphone",
    "city",
    "contact",
    "dob",
    "email",
    "fax",
    "firstname",
    "fullname",
    "holder",
    "ip",
    "lastname",
    "mail",
    "mobile",
    "msisdn",
    "name",
    "nickname",
    "phone",
    "postcode",
    "realname",
    "street",
    "surname",
    "tel",
    "telephone",
    "username",
    "zip",
    "zipcode",
    // What they hold.
    "account",
    "acct",
    "card",
    "iban",
    "identity",
    "passport",
    "pan",
    "ssn",
];

/// What is one word, and means it, when a name's words are written together.
const TOGETHER: [&str; 34] = [
    "accountno",
    "accno",
    "acctno",
    "bankaccount",
    "bankcard",
    "bankcardno",
    "buyerid",
    "buyeruserid",
    "cardno",
    "cardnum",
    "cardnumber",
    "certid",
    "certno",
    "certificateno",
    "driverlicense",
    "idcard",
    "idcardno",
    "idno",
    "idnum",
    "idnumber",
    "idcode",
    "identityno",
    "licenseno",
    "loginid",
    "logonid",
    "nationalid",
    "openid",
    "payerid",
    "personalid",
    "postalcode",
    "suburb",
    "unionid",
    "userid",
    "logonmasked",
];

/// How a word may end that says it: `apikey`, `paysign`, `accesstoken`.
const ENDINGS: [&str; 9] =
    ["key", "sign", "token", "secret", "password", "signature", "phone", "email", "address"];

/// The same in Chinese, anywhere in a name: name, telephone, mobile, mail, address, identity card, card number, account,
/// password, signature, key.
const CHINESE: [&str; 13] = [
    "姓名",
    "名字",
    "电话",
    "手机",
    "邮箱",
    "地址",
    "身份证",
    "卡号",
    "账号",
    "账户",
    "密码",
    "签名",
    "密钥",
];

/// What a header's name has in it that holds a secret.
const IN_HEADERS: [&str; 9] =
    ["auth", "cookie", "credential", "key", "password", "secret", "session", "sign", "token"];

/// Whether what stands under that name is left out.
pub(super) fn is_sensitive(name: &str) -> bool {
    let words = words(name);
    let singular = |word: &str| -> String { word.strip_suffix('s').unwrap_or(word).to_owned() };
    let says = |word: &String| {
        let one = singular(word);
        WORDS.contains(&word.as_str())
            || WORDS.contains(&one.as_str())
            || ENDINGS.iter().any(|ending| one.ends_with(ending))
    };
    words.iter().any(says)
        || TOGETHER.iter().any(|together| ends_with(&words, together))
        || CHINESE.iter().any(|part| name.contains(part))
}

/// Whether a header's value is left out.
#[must_use]
pub fn is_secret_header(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    IN_HEADERS.iter().any(|part| name.contains(part))
}

/// Whether the last of the words, written together, are that.
fn ends_with(words: &[String], together: &str) -> bool {
    (0..words.len()).any(|from| words.get(from..).is_some_and(|last| last.concat() == together))
}

/// The name's words, in small letters.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for letter in name.chars() {
        let begins = letter.is_uppercase() && before.is_lowercase();
        if !letter.is_alphanumeric() || begins {
            words.push(String::new());
        }
        if let (true, Some(word)) = (letter.is_alphanumeric(), words.last_mut()) {
            word.extend(letter.to_lowercase());
        }
        before = letter;
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets_and_of_persons_are_known_however_they_are_written() {
        for name in [
            "name",
            "payer_name",
            "payerName",
            "payer[name]",
            "Phone Number",
            "mobiles",
            "E-Mail",
            "email",
            "shipping.address",
            "cardNo",
            "card_no",
            "CARDNO",
            "id_card",
            "idCard",
            "certNo",
            "openid",
            "payer.openid",
            "buyer_user_id",
            "API_KEY",
            "apikey",
            "appSecret",
            "paySign",
            "sign",
            "access_token",
            "clientIp",
            "收款人姓名",
            "DateOfBirth",
            "bank-account",
        ] {
            assert!(is_sensitive(name), "{name}");
        }
        for name in [
            "",
            "amount",
            "status",
            "payment_id",
            "merchant_order_id",
            "kind",
            "description",
            "currency",
            "notify_time",
            "trade_no",
            "id",
            "company",
            "subject",
            "code",
            "message",
            "订单号",
            "result",
        ] {
            assert!(!is_sensitive(name), "{name}");
        }
    }

    #[test]
    fn headers_that_may_hold_secrets_are_known() {
        for name in [
            "Authorization",
            "cookie",
            "set-cookie",
            "x-api-key",
            "wechatpay-signature",
            "Stripe-Signature",
            "x-access-token",
            "hmac-sign",
            "proxy-authenticate",
            "x-secret",
        ] {
            assert!(is_secret_header(name), "{name}");
        }
        for name in ["content-type", "date", "user-agent", "retry-after", "webhook-id", "server"] {
            assert!(!is_secret_header(name), "{name}");
        }
    }
}
