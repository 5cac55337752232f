//! Every way in which a key can be written, and every way in which it can be wrong.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use paynotify::plugin::{Encoding, Key, KeyAlgorithm, KeyText, Keys};

use super::guest::{Algorithm, Call, Part, call};
use super::{key, problem, test_key, text};

const HMAC: KeyAlgorithm = KeyAlgorithm::HmacSha256;
const RSA: KeyAlgorithm = KeyAlgorithm::RsaPkcs1v15Sha256;
const ED25519: KeyAlgorithm = KeyAlgorithm::Ed25519;
const AES: KeyAlgorithm = KeyAlgorithm::Aes256Gcm;

fn encoded(algorithm: KeyAlgorithm, encoding: impl Into<Option<Encoding>>, secret: &str) -> KeyText {
    KeyText { encoding: encoding.into(), ..text("k", algorithm, secret) }
}

/// What the public half says, or the signature of a text: the same for the same key.
async fn mark(key: Key) -> Vec<u8> {
    let sign = key.algorithm() == HMAC;
    let parts = [Part::Bytes(b"x"), Part::Secret];
    let ask = if sign { Call::Sign(Algorithm::HmacSha256, &parts) } else { Call::PublicKey };
    call(vec![key], "k", ask).await.expect("answered")
}

#[tokio::test]
async fn one_key_in_every_form_is_one_key() {
    let pkcs8 = test_key("rsa-2048.pkcs8.pem");
    let bare = test_key("rsa-2048.pkcs8.b64");
    let wrapped: Vec<&str> =
        bare.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).expect("ASCII")).collect();
    let public = mark(key(text("k", RSA, &pkcs8))).await;
    for (encoding, secret) in [
        (Some(Encoding::Pem), pkcs8.clone()),
        (None, test_key("rsa-2048.pkcs1.pem")),
        (None, pkcs8.replace('\n', "\r\n")),
        (None, format!("Private-Key: (2048 bit)\n{pkcs8}\n")),
        (None, format!("{}{pkcs8}", test_key("rsa-2048.certificate.pem"))),
        (None, bare.clone()),
        (Some(Encoding::Der), test_key("rsa-2048.pkcs1.b64")),
        (None, wrapped.join("\r\n")),
        (None, format!(" {}\n", bare.trim_end_matches('='))),
    ] {
        assert_eq!(mark(key(encoded(RSA, encoding, &secret))).await, public, "{encoding:?}");
    }
    let public = mark(key(text("k", ED25519, &test_key("ed25519.pem")))).await;
    let der = STANDARD.decode(test_key("ed25519.b64")).expect("base64");
    let seed = &der[der.len() - 32..];
    let both = [seed, &public[public.len() - 32..]].concat();
    for (encoding, secret) in [
        (None, test_key("ed25519.b64")),
        (None, format!("whsk_{}", STANDARD.encode(&both))),
        (Some(Encoding::Whsk), format!("whsk_{}\n", STANDARD_NO_PAD.encode(seed))),
        (Some(Encoding::Hex), hex::encode_upper(seed)),
        (Some(Encoding::Base64), STANDARD.encode(both)),
    ] {
        assert_eq!(mark(key(encoded(ED25519, encoding, &secret))).await, public, "{encoding:?}");
    }
    let secret = "a secret with = and ü, long enough";
    let signature = mark(key(text("k", HMAC, secret))).await;
    for (encoding, secret) in [
        (Encoding::Raw, secret.to_owned()),
        (Encoding::Hex, hex::encode(secret)),
        (Encoding::Hex, format!("{}\n", hex::encode_upper(secret))),
        (Encoding::Base64, STANDARD.encode(secret)),
        (Encoding::Base64, STANDARD_NO_PAD.encode(secret)),
        (Encoding::Whsec, format!("whsec_{}", STANDARD.encode(secret))),
    ] {
        assert_eq!(mark(key(encoded(HMAC, encoding, &secret))).await, signature, "{encoding:?}");
    }
    // Stripe's secrets look like those of Standard Webhooks, and are the text itself.
    let stripe = mark(key(encoded(HMAC, Encoding::Raw, "whsec_YQ=="))).await;
    assert_ne!(stripe, mark(key(text("k", HMAC, "a"))).await);
}

/// What is wrong, and where, without a word of the key.
#[test]
fn every_wrong_key_is_refused_with_what_to_do() {
    let seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
    let pkcs8 = test_key("rsa-2048.pkcs8.pem");
    let damaged = pkcs8.replacen("MIIEv", "MI*Ev", 1);
    let cut = &pkcs8[..800];
    // One digit in the middle of the private half is another.
    let mut der = STANDARD.decode(test_key("rsa-2048.pkcs1.b64")).expect("base64");
    let middle = der.len() / 2;
    der[middle] ^= 1;
    let broken = STANDARD.encode(&der);
    der.truncate(600);
    let short = STANDARD.encode(&der);
    let aes = "0123456789abcdef0123456789abcdef";
    let twice = format!("{pkcs8}{}", test_key("rsa-2048-other.pkcs8.pem"));
    let escaped = pkcs8.replace('\n', "\\n");
    let long = "x".repeat(1_025);
    let openssh =
        "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEA\n-----END OPENSSH PRIVATE KEY-----\n";
    let cases: Vec<(KeyAlgorithm, Option<Encoding>, &str, &str, &str)> = vec![
        // The form of the text.
        (
            RSA,
            Some(Encoding::Raw),
            "x",
            "encoding",
            "`raw` is not for `rsa-pkcs1v15-sha256`, which takes `pem`, `der`;",
        ),
        (
            ED25519,
            Some(Encoding::Whsec),
            "whsec_YQ==",
            "encoding",
            "`whsec` is not for `ed25519`, which takes",
        ),
        (
            AES,
            Some(Encoding::Pem),
            "x",
            "encoding",
            "`pem` is not for `aes-256-gcm`, which takes `raw`, `hex`, `base64`;",
        ),
        (KeyAlgorithm::Md5, Some(Encoding::Whsec), "whsec_YQ==", "encoding", "`whsec` is not for `md5`"),
        (
            HMAC,
            None,
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "encoding",
            "is needed for a secret that begins with `whsec_`",
        ),
        (HMAC, None, &pkcs8, "secret", "is PEM, and `hmac-sha256` takes a secret text"),
        (HMAC, None, "hunter2hunter2 ", "secret", "begins or ends with a blank"),
        (HMAC, None, "hunter2hunter2\r", "secret", "begins or ends with a blank"),
        (HMAC, None, "hunter2\nhunter2", "secret", "begins or ends with a blank, or holds a line break"),
        (HMAC, None, "\u{feff}hunter2hunter2", "secret", "begins or ends with a blank"),
        (HMAC, Some(Encoding::Hex), "0x44782DEF547AAA", "secret", "is not hexadecimal"),
        (HMAC, Some(Encoding::Hex), "44:78:2D:EF:54:7A", "secret", "is not hexadecimal"),
        (HMAC, Some(Encoding::Hex), "44782DEF547AAA0", "secret", "is not hexadecimal"),
        (HMAC, Some(Encoding::Base64), "aHVudGVyMg-_", "secret", "is not base64"),
        (HMAC, Some(Encoding::Base64), "aHVudGVy Mmh1", "secret", "is not base64"),
        (HMAC, Some(Encoding::Base64), "aHVudGVyMg===", "secret", "is not base64"),
        (
            HMAC,
            Some(Encoding::Whsec),
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "secret",
            "does not begin with `whsec_`",
        ),
        (
            HMAC,
            Some(Encoding::Whsec),
            "whsec_aHVudGVyMg==",
            "secret",
            "decodes to 7 bytes by `encoding = \"whsec\"`, and `hmac-sha256` takes 24 to 64",
        ),
        (HMAC, Some(Encoding::Hex), "", "secret", "decodes to 0 bytes"),
        (
            HMAC,
            None,
            &long,
            "secret",
            "decodes to 1025 bytes by `encoding = \"raw\"`, and `hmac-sha256` takes 1 to 1024",
        ),
        // AES.
        (
            AES,
            None,
            &aes[1..],
            "secret",
            "decodes to 31 bytes by `encoding = \"raw\"`, and `aes-256-gcm` takes exactly 32",
        ),
        (
            AES,
            Some(Encoding::Hex),
            aes,
            "secret",
            "decodes to 16 bytes by `encoding = \"hex\"`, and `aes-256-gcm` takes exactly 32",
        ),
        (AES, Some(Encoding::Base64), aes, "secret", "decodes to 24 bytes"),
        // Ed25519.
        (
            ED25519,
            Some(Encoding::Hex),
            &seed[2..],
            "secret",
            "decodes to 31 bytes by `encoding = \"hex\"`, and `ed25519` takes 32 (the seed) or 64",
        ),
        (ED25519, None, "whsk_aHVudGVyMg==", "secret", "decodes to 7 bytes by `encoding = \"whsk\"`"),
        (
            ED25519,
            None,
            seed,
            "secret",
            "is no private key in DER (PKCS#1 or PKCS#8), and `ed25519` needs an Ed25519 private key",
        ),
        (
            ED25519,
            None,
            &pkcs8,
            "secret",
            "is an RSA private key, and `ed25519` needs an Ed25519 private key",
        ),
        // PEM and DER.
        (RSA, Some(Encoding::Pem), "hunter2hunter2", "secret", "is not PEM"),
        (RSA, None, cut, "secret", "is not PEM"),
        (RSA, None, &damaged, "secret", "is not base64"),
        (RSA, None, &escaped, "secret", "is not base64"),
        (RSA, None, "hunter2hunter2", "secret", "is not base64"),
        (RSA, None, "aHVudGVyMmh1bnRlcjI=", "secret", "is no private key in DER"),
        (RSA, None, &twice, "secret", "holds 2 private keys"),
        (RSA, None, &broken, "secret", "is not a sound private key: "),
        (RSA, None, &short, "secret", "is no private key in DER"),
        (RSA, None, openssh, "secret", "is a private key of another kind"),
    ];
    for (algorithm, encoding, secret, key, wanted) in cases {
        refused(algorithm, encoding, secret, key, wanted);
    }
    for (file, wanted) in [
        (
            "rsa-2048.public.pem",
            "holds a PEM block `PUBLIC KEY` and no private key; `rsa-pkcs1v15-sha256` needs the private key",
        ),
        ("rsa-2048.public-pkcs1.pem", "holds a PEM block `RSA PUBLIC KEY` and no private key"),
        ("rsa-2048.certificate.pem", "holds a PEM block `CERTIFICATE` and no private key"),
        ("rsa-2048.encrypted.pem", "is encrypted with a password; `openssl pkey -in FILE`"),
        ("rsa-2048.encrypted-pkcs8.pem", "is encrypted with a password"),
        ("rsa-1024.pem", "is an RSA key of 1024 bits; 2048 to 4096 are taken"),
        ("rsa-8192.pem", "is an RSA key of 8192 bits; 2048 to 4096 are taken"),
        (
            "rsa-pss.pem",
            "is an RSA key for RSASSA-PSS only, and `rsa-pkcs1v15-sha256` needs an RSA private key",
        ),
        ("ed25519.pem", "is an Ed25519 private key, and `rsa-pkcs1v15-sha256` needs an RSA private key"),
        ("ec-p256.sec1.pem", "is an elliptic curve private key"),
        ("ec-p256.pkcs8.pem", "is an elliptic curve private key"),
    ] {
        let pem = test_key(file);
        refused(RSA, None, &pem, "secret", wanted);
        // The same as bare base64, which has no label to go by.
        let body: String = pem.lines().filter(|line| !line.starts_with('-') && !line.contains(':')).collect();
        let wanted = match file {
            "rsa-2048.public.pem" | "rsa-2048.public-pkcs1.pem" => {
                "is a public key, and `rsa-pkcs1v15-sha256`"
            }
            "rsa-2048.certificate.pem" => "is a certificate, and `rsa-pkcs1v15-sha256`",
            "rsa-2048.encrypted.pem" => "is no private key in DER",
            _ => wanted,
        };
        refused(RSA, None, &body, "secret", wanted);
    }
    // The two halves of a key that are not of one key.
    let mixed = format!("{seed}{}", "00".repeat(32));
    refused(
        ED25519,
        Some(Encoding::Hex),
        &mixed,
        "secret",
        "holds a public half that is not that of its seed",
    );
}

fn refused(algorithm: KeyAlgorithm, encoding: Option<Encoding>, secret: &str, key: &str, wanted: &str) {
    let problem = problem(encoded(algorithm, encoding, secret));
    let message = problem.to_string();
    assert!(message.starts_with(wanted), "{message:?}, wanted {wanted:?}");
    assert_eq!(problem.key(), key, "{message}");
    let lines = secret.lines().filter(|line| !line.starts_with("-----") && line.len() >= 8);
    for part in lines.flat_map(|line| line.as_bytes().windows(8)) {
        let part = String::from_utf8_lossy(part);
        assert!(!message.contains(&*part) && !format!("{problem:?}").contains(&*part), "{message}");
    }
}

#[test]
fn a_wrong_certificate_or_id_is_refused() {
    let rsa = || text("k", RSA, &test_key("rsa-2048.pkcs8.pem"));
    let with = |certificate: &str| KeyText { certificate: Some(certificate.to_owned()), ..rsa() };
    let certificate = test_key("rsa-2048.certificate.pem");
    assert!(Key::decode(with(&certificate)).is_ok());
    for (text, wanted) in [
        (with(&test_key("rsa-2048-other.certificate.pem")), "is for another key"),
        (with(&test_key("ed25519.certificate.pem")), "is for another key"),
        (with(&test_key("rsa-2048.public.pem")), "is not a PEM certificate"),
        (with(&certificate.replacen("MII", "MIJ", 1)), "is not a PEM certificate"),
        (with(&certificate.replacen("MII", "M*I", 1)), "is not a PEM certificate"),
        (with("hello"), "is not a PEM certificate"),
        (
            KeyText { certificate: Some(certificate.clone()), ..text("k", HMAC, "s") },
            "is for asymmetric keys only, and `hmac-sha256` is none",
        ),
    ] {
        let problem = problem(text);
        assert_eq!(problem.key(), "certificate");
        assert!(problem.to_string().starts_with(wanted), "{problem}");
    }
    for id in ["", "a b", "ü", "x\r\ny: z", &"x".repeat(129)] {
        let problem = problem(KeyText { id: Some(id.to_owned()), ..rsa() });
        assert_eq!((problem.key(), problem.to_string().contains("1 to 128")), ("id", true));
    }
    // The name stands for it.
    assert_eq!(problem(text("a b", HMAC, "s")).key(), "id");
}

#[test]
fn a_key_never_shows() {
    for (algorithm, encoding, secret) in [
        (HMAC, None, "hunter2hunter2hunter2hunter2hunt".to_owned()),
        (KeyAlgorithm::Md5, None, "hunter2hunter2hunter2hunter2hunt".to_owned()),
        (KeyAlgorithm::Sha256, None, "hunter2hunter2hunter2hunter2hunt".to_owned()),
        (KeyAlgorithm::Md5OrHmacSha256, None, "hunter2hunter2hunter2hunter2hunt".to_owned()),
        (AES, None, "hunter2hunter2hunter2hunter2hunt".to_owned()),
        (ED25519, Some(Encoding::Hex), hex::encode("hunter2hunter2hunter2hunter2hunt")),
        (RSA, None, test_key("rsa-2048.pkcs8.pem")),
    ] {
        let text = encoded(algorithm, encoding, &secret);
        let shown = format!("{text:?} {text:#?}");
        let keys = Keys::new(vec![key(text)]);
        let shown = format!("{shown} {keys:?} {keys:#?}");
        assert!(shown.contains("***"), "{shown}");
        let bytes = secret.as_bytes();
        for hidden in ["hunter2", &hex::encode("hunter2"), "104, 117, 110", &secret[30..60.min(secret.len())]]
        {
            assert!(!hidden.is_empty() && !shown.contains(hidden), "{shown}");
        }
        assert!(!shown.contains(&format!("{:?}", &bytes[..8])), "{shown}");
    }
}
