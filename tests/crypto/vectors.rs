//! Published vectors, through a guest: what comes out is what the world has agreed on.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use paynotify::plugin::{Encoding, Key, KeyAlgorithm, KeyText};
use serde_json::Value;

use super::guest::{Algorithm, BAD_INPUT, Call, NO_SUCH_KEY, NOT_ALLOWED, Part, call};
use super::{file, key, test_key, text};

/// A key whose secret is given as hexadecimal digits.
fn hex_key(algorithm: KeyAlgorithm, digits: &str) -> Key {
    key(KeyText { encoding: Some(Encoding::Hex), ..text("k", algorithm, digits) })
}

async fn sign(key: Key, algorithm: Algorithm, parts: &[Part<'_>]) -> Result<Vec<u8>, u8> {
    call(vec![key], "k", Call::Sign(algorithm, parts)).await
}

async fn signed(key: Key, algorithm: Algorithm, message: &[u8]) -> Vec<u8> {
    sign(key, algorithm, &[Part::Bytes(message)]).await.expect("signed")
}

fn bytes(digits: &str) -> Vec<u8> {
    hex::decode(digits).expect("hexadecimal")
}

/// An entry of `vectors.json`.
fn vector(id: &str) -> Value {
    let all: Vec<Value> = serde_json::from_str(&file("vectors.json")).expect("JSON");
    all.into_iter().find(|vector| vector["id"] == id).expect(id)
}

fn field<'a>(vector: &'a Value, name: &str) -> &'a str {
    vector[name].as_str().expect(name)
}

/// RFC 4231, sections 4.2 to 4.8, without 4.6, which is about a shortened result.
#[tokio::test]
async fn hmac_sha256_of_rfc_4231() {
    let long = "aa".repeat(131);
    let cases: [(&str, Vec<u8>, &str); 6] = [
        (
            &"0b".repeat(20),
            b"Hi There".to_vec(),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
        ),
        (
            "4a656665",
            b"what do ya want for nothing?".to_vec(),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        ),
        (
            &"aa".repeat(20),
            vec![0xdd; 50],
            "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
        ),
        (
            "0102030405060708090a0b0c0d0e0f10111213141516171819",
            vec![0xcd; 50],
            "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
        ),
        (
            &long,
            b"Test Using Larger Than Block-Size Key - Hash Key First".to_vec(),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
        ),
        (
            &long,
            b"This is a test using a larger than block-size key and a larger than block-size data. The key needs to be hashed before being used by the HMAC algorithm.".to_vec(),
            "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
        ),
    ];
    for (secret, message, wanted) in cases {
        let key = hex_key(KeyAlgorithm::HmacSha256, secret);
        assert_eq!(hex::encode(signed(key, Algorithm::HmacSha256, &message).await), wanted);
    }
}

/// The test suite of RFC 1321, section A.5, and FIPS 180's `abc`; the secret is the end, the beginning or all of the text.
#[tokio::test]
async fn hashes_over_text_with_the_secret_in_it() {
    let key_of = |algorithm, secret: &str| key(text("k", algorithm, secret));
    for (before, secret, after, wanted) in [
        ("", "a", "", "0cc175b9c0f1b6a831c399e269772661"),
        ("a", "bc", "", "900150983cd24fb0d6963f7d28e17f72"),
        ("", "message", " digest", "f96b697d7cb7938d525a2f31aaf161d0"),
        ("abcdefghijklmno", "pqrst", "uvwxyz", "c3fcd3d76192e4007dfb496cca67e13b"),
    ] {
        let parts = [Part::Bytes(before.as_bytes()), Part::Secret, Part::Bytes(after.as_bytes())];
        let digest = sign(key_of(KeyAlgorithm::Md5, secret), Algorithm::Md5, &parts).await;
        assert_eq!(digest.map(hex::encode), Ok(wanted.to_owned()));
    }
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let sha256 = || key_of(KeyAlgorithm::Sha256, "bc");
    let digest = sign(sha256(), Algorithm::Sha256, &[Part::Bytes(b"a"), Part::Secret]).await;
    assert_eq!(digest.map(hex::encode), Ok(abc.to_owned()));
    // UnionPay's way: the hash of a text that ends in the hash of the secret, as Python's hashlib has it.
    let digest = sign(
        key_of(KeyAlgorithm::Sha256, "abc"),
        Algorithm::Sha256,
        &[Part::Bytes(b"x="), Part::SecretSha256Hex],
    );
    let whole = hex_key(KeyAlgorithm::Sha256, &hex::encode(format!("x={abc}")));
    assert_eq!(digest.await, sign(whole, Algorithm::Sha256, &[Part::Secret]).await);
    // A hash that anybody could have made is none.
    for parts in [&[][..], &[Part::Bytes(b"abc")]] {
        assert_eq!(sign(sha256(), Algorithm::Sha256, parts).await, Err(BAD_INPUT));
        assert_eq!(sign(key_of(KeyAlgorithm::Md5, "x"), Algorithm::Md5, parts).await, Err(BAD_INPUT));
    }
    // Nor may the secret be hashed without end.
    let parts: Vec<_> = (0..17).map(|_| Part::Secret).collect();
    assert!(sign(sha256(), Algorithm::Sha256, &parts[..16]).await.is_ok());
    assert_eq!(sign(sha256(), Algorithm::Sha256, &parts).await, Err(BAD_INPUT));
}

/// RFC 8032, section 7.1: tests 1 to 3 and the one named SHA(abc). The keys as seed, and as seed and public half.
#[tokio::test]
async fn ed25519_of_rfc_8032() {
    for (seed, public, message, wanted) in [
        (
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
        ),
        (
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        ),
        (
            "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            "af82",
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
        ),
        (
            "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
            "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
            "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
        ),
    ] {
        for digits in [seed.to_owned(), format!("{seed}{public}")] {
            let key = hex_key(KeyAlgorithm::Ed25519, &digits);
            let signature = signed(key, Algorithm::Ed25519, &bytes(message)).await;
            assert_eq!(hex::encode(signature), wanted);
        }
        let key = hex_key(KeyAlgorithm::Ed25519, seed);
        let info = call(vec![key], "k", Call::PublicKey).await.expect("described");
        // RFC 8410, section 4: the prefix never changes.
        assert_eq!(hex::encode(info), format!("302a300506032b6570032100{public}"));
    }
}

#[tokio::test]
async fn rsa_of_nist() {
    let case: Value = serde_json::from_str(&file("nist-siggen15-186-3.json")).expect("JSON");
    let der = STANDARD.encode(bytes(field(&case, "key_pkcs1_der_hex")));
    let message = bytes(field(&case, "message_hex"));
    let rsa = || key(text("k", KeyAlgorithm::RsaPkcs1v15Sha256, &der));
    let wanted = field(&case, "signature_hex");
    assert_eq!(hex::encode(signed(rsa(), Algorithm::Rsa, &message).await), wanted);
    let (head, tail) = message.split_at(77);
    let parts = [Part::Bytes(head), Part::Bytes(b""), Part::Bytes(tail)];
    assert_eq!(sign(rsa(), Algorithm::Rsa, &parts).await.map(hex::encode), Ok(wanted.to_owned()));
}

/// The test cases 13 to 16 of McGrew and Viega, "The Galois/Counter Mode of Operation (GCM)", appendix B.
#[tokio::test]
async fn aes_256_gcm_of_mcgrew_and_viega() {
    let zeros = "00".repeat(32);
    let real = "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308";
    let plaintext = "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255";
    let ciphertext = "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad";
    let additional = "feedfacedeadbeeffeedfacedeadbeefabaddad2";
    let nonce = "cafebabefacedbaddecaf888";
    let short = plaintext.len() - 8;
    for (secret, nonce, additional, plaintext, wanted) in [
        (&*zeros, &zeros[..24], "", "", "530f8afbc74536b9a963b4f1c4cb738b".to_owned()),
        (
            &zeros,
            &zeros[..24],
            "",
            &zeros[..32],
            "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919".to_owned(),
        ),
        (real, nonce, "", plaintext, format!("{ciphertext}b094dac5d93471bdec1a502270e3cc6c")),
        (
            real,
            nonce,
            additional,
            &plaintext[..short],
            format!("{}76fc6ece0f4e1768cddf8853bb2d551b", &ciphertext[..short]),
        ),
    ] {
        let key = hex_key(KeyAlgorithm::Aes256Gcm, secret);
        let [nonce, additional, plaintext] = [nonce, additional, plaintext].map(bytes);
        let seal = Call::Seal { nonce: &nonce, additional: &additional, plaintext: &plaintext };
        assert_eq!(call(vec![key], "k", seal).await.map(hex::encode), Ok(wanted));
    }
}

/// What each of the formats signs, from the vendors' own pages and libraries.
#[tokio::test]
async fn the_formats_own_vectors() {
    let hmac =
        |encoding, secret: &str| key(KeyText { encoding, ..text("k", KeyAlgorithm::HmacSha256, secret) });
    for id in ["sw-v1-a", "sw-v1a-a"] {
        let vector = vector(id);
        let secret = field(&vector, "secret");
        let [msg, time, body] = ["webhook_id", "webhook_timestamp", "body"].map(|name| field(&vector, name));
        let message = format!("{msg}.{time}.{body}");
        let (prefix, signature) = if id == "sw-v1-a" {
            let key = hmac(Some(Encoding::Whsec), secret);
            ("v1", signed(key, Algorithm::HmacSha256, message.as_bytes()).await)
        } else {
            let key = || key(text("k", KeyAlgorithm::Ed25519, secret));
            let public = call(vec![key()], "k", Call::PublicKey).await.expect("described");
            let wanted = field(&vector, "public_key");
            assert_eq!(format!("whpk_{}", STANDARD.encode(&public[12..])), wanted);
            ("v1a", signed(key(), Algorithm::Ed25519, message.as_bytes()).await)
        };
        assert_eq!(format!("{prefix},{}", STANDARD.encode(signature)), field(&vector, "expected"), "{id}");
    }
    let stripe = vector("stripe-a");
    let message = format!("{}.{}", field(&stripe, "timestamp"), file(field(&stripe, "body_file")));
    let signature =
        signed(hmac(None, field(&stripe, "secret")), Algorithm::HmacSha256, message.as_bytes()).await;
    assert!(field(&stripe, "expected_header").ends_with(&format!(",v1={}", hex::encode(signature))));
    let paddle = vector("paddle-a");
    let message = format!("{}:{}", field(&paddle, "ts"), field(&paddle, "body"));
    let signature =
        signed(hmac(None, field(&paddle, "secret")), Algorithm::HmacSha256, message.as_bytes()).await;
    assert!(field(&paddle, "expected_header").ends_with(&format!(";h1={}", hex::encode(signature))));
    for id in ["adyen-a", "adyen-backslash", "adyen-forwardslash", "adyen-payload"] {
        let vector = vector(id);
        let message = match vector["body_file"].as_str() {
            Some(name) => file(name),
            None => field(&vector, "signing_string").to_owned(),
        };
        let key = hmac(Some(Encoding::Hex), field(&vector, "hmac_key_hex"));
        let signature = signed(key, Algorithm::HmacSha256, message.as_bytes()).await;
        assert_eq!(STANDARD.encode(signature), field(&vector, "expected"), "{id}");
    }
}

/// One key, two algorithms, and the secret at the end of the text.
#[tokio::test]
async fn the_vectors_of_wechat() {
    let v2 = vector("wechat-v2-official");
    let secret = field(&v2, "key");
    let message = field(&v2, "signing_string").strip_suffix(secret).expect("the secret comes last");
    let parts = [Part::Bytes(message.as_bytes()), Part::Secret];
    let api_key = || key(text("k", KeyAlgorithm::Md5OrHmacSha256, secret));
    for (algorithm, wanted) in
        [(Algorithm::Md5, "expected_md5"), (Algorithm::HmacSha256, "expected_hmac_sha256")]
    {
        let signature = sign(api_key(), algorithm, &parts).await.map(hex::encode_upper);
        assert_eq!(signature.as_deref(), Ok(field(&v2, wanted)));
    }
    assert_eq!(sign(api_key(), Algorithm::Sha256, &parts).await, Err(NOT_ALLOWED));
    for (id, wanted) in [
        ("wechat-v3-gcm-a", Ok(())),
        // Sealed under a nonce of 16 bytes, which no merchant's library makes and the contract does not take.
        ("wechat-v3-gcm-b(16-byte iv)", Err(BAD_INPUT)),
        ("wechat-v3-gcm-c(16-byte iv, empty)", Err(BAD_INPUT)),
    ] {
        let vector = vector(id);
        let key = key(text("k", KeyAlgorithm::Aes256Gcm, field(&vector, "apiv3_key")));
        let [nonce, additional, plaintext] =
            ["nonce", "associated_data", "plaintext"].map(|name| field(&vector, name).as_bytes());
        let sealed = call(vec![key], "k", Call::Seal { nonce, additional, plaintext }).await;
        let wanted = wanted.map(|()| field(&vector, "expected_ciphertext_b64").to_owned());
        assert_eq!(sealed.map(|bytes| STANDARD.encode(bytes)), wanted, "{id}");
    }
}

/// Each key does what it is bound to, and nothing else; another merchant's is not there at all.
#[tokio::test]
async fn a_key_does_only_what_it_is_bound_to() {
    let keys = || {
        let aes = "0".repeat(32);
        let rsa = test_key("rsa-2048.pkcs8.pem");
        let ed25519 = test_key("ed25519.pem");
        [
            (text("h", KeyAlgorithm::HmacSha256, "s"), vec![Algorithm::HmacSha256]),
            (text("m", KeyAlgorithm::Md5, "s"), vec![Algorithm::Md5]),
            (text("s", KeyAlgorithm::Sha256, "s"), vec![Algorithm::Sha256]),
            (text("mh", KeyAlgorithm::Md5OrHmacSha256, "s"), vec![Algorithm::Md5, Algorithm::HmacSha256]),
            (text("r", KeyAlgorithm::RsaPkcs1v15Sha256, &rsa), vec![Algorithm::Rsa]),
            (text("e", KeyAlgorithm::Ed25519, &ed25519), vec![Algorithm::Ed25519]),
            (text("a", KeyAlgorithm::Aes256Gcm, &aes), vec![]),
        ]
    };
    let all = || keys().into_iter().map(|(text, _)| key(text)).collect::<Vec<_>>();
    for (text, may) in keys() {
        let name = text.name.as_str();
        let asymmetric = ["r", "e"].contains(&name);
        for algorithm in
            [Algorithm::HmacSha256, Algorithm::Md5, Algorithm::Sha256, Algorithm::Rsa, Algorithm::Ed25519]
        {
            for (part, bad) in [
                (Part::Bytes(b"x"), [Algorithm::Md5, Algorithm::Sha256].contains(&algorithm)),
                (Part::Secret, asymmetric),
                (Part::SecretSha256Hex, asymmetric),
            ] {
                let wanted = match (may.contains(&algorithm), bad) {
                    (false, _) => Err(NOT_ALLOWED),
                    (true, true) => Err(BAD_INPUT),
                    (true, false) => Ok(()),
                };
                let signed = call(all(), name, Call::Sign(algorithm, &[part])).await;
                assert_eq!(signed.map(drop), wanted, "{name} {algorithm:?}");
            }
        }
        for length in [0, 11, 12, 13, 16] {
            let wanted = match (name, length) {
                ("a", 12) => Ok(()),
                ("a", _) => Err(BAD_INPUT),
                _ => Err(NOT_ALLOWED),
            };
            let seal = Call::Seal { nonce: &vec![1; length], additional: b"", plaintext: b"x" };
            assert_eq!(call(all(), name, seal).await.map(drop), wanted, "{name} {length}");
        }
    }
    for name in ["", "other", "H"] {
        let sign = Call::Sign(Algorithm::HmacSha256, &[]);
        assert_eq!(call(all(), name, sign).await, Err(NO_SUCH_KEY));
        let seal = Call::Seal { nonce: &[0; 12], additional: b"", plaintext: b"" };
        assert_eq!(call(all(), name, seal).await, Err(NO_SUCH_KEY));
        assert_eq!(call(all(), name, Call::Id).await, Err(NO_SUCH_KEY));
    }
}

#[tokio::test]
async fn what_may_be_known_about_a_key() {
    let certificate = test_key("rsa-2048.certificate.pem");
    let rsa = |id: Option<&str>, certificate: Option<&str>| {
        let text = text("k", KeyAlgorithm::RsaPkcs1v15Sha256, &test_key("rsa-2048.pkcs8.b64"));
        key(KeyText { id: id.map(str::to_owned), certificate: certificate.map(str::to_owned), ..text })
    };
    let ask = async |key, field| {
        String::from_utf8(call(vec![key], "k", field).await.expect("described")).expect("text")
    };
    assert_eq!(ask(rsa(None, None), Call::Id).await, "k");
    assert_eq!(ask(rsa(Some("PUB_KEY_ID_01"), None), Call::Id).await, "PUB_KEY_ID_01");
    assert_eq!(ask(rsa(Some("mine"), Some(&certificate)), Call::Id).await, "mine");
    // What `openssl x509 -serial` says.
    let serial = "5157F09EFDC096DE15EBE81A47057A7200000001";
    assert_eq!(ask(rsa(None, Some(&certificate)), Call::Id).await, serial);
    assert_eq!(ask(rsa(None, None), Call::CertificatePem).await, "");
    // Text before it, a chain after it, and line breaks of another system are left out.
    let chain = format!(
        "Subject: shop\r\n{}{}",
        certificate.replace('\n', "\r\n"),
        test_key("ed25519.certificate.pem")
    );
    assert_eq!(ask(rsa(None, Some(&chain)), Call::CertificatePem).await, certificate);
    let public = call(vec![rsa(None, None)], "k", Call::PublicKey).await.expect("described");
    let pem = test_key("rsa-2048.public.pem");
    let wanted: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    assert_eq!(STANDARD.encode(public), wanted);
    let hmac = || key(text("k", KeyAlgorithm::HmacSha256, "s"));
    assert_eq!(ask(hmac(), Call::Id).await, "k");
    assert_eq!(ask(hmac(), Call::CertificatePem).await, "");
    assert_eq!(ask(hmac(), Call::PublicKey).await, "");
}
