//! Every format as a merchant would have it: settings, keys, URL.

use std::path::Path;

use paynotify::plugin::{
    Encoding, Endpoint, Host, Key, KeyAlgorithm, KeyText, Keys, Plugin, Secret, Settings,
};

/// A format and a merchant's ways with it.
pub(crate) struct Format {
    /// The plugin's name.
    pub(crate) plugin: &'static str,
    pub(crate) settings: &'static str,
    pub(crate) keys: fn() -> Vec<Key>,
    /// The vendor's ladder, by its name in the plugin; `None` if the plugin brings none.
    pub(crate) ladder: Option<&'static str>,
}

pub(crate) const URL: &str = "https://shop.example/notify";

pub(crate) const ALL: &[Format] = &[
    Format { plugin: "plain", settings: "{}", keys: Vec::new, ladder: Some("original") },
    Format { plugin: "alipay", settings: r#"{"app_id":"2021"}"#, keys: rsa, ladder: Some("alipay") },
    Format {
        plugin: "alipay-query",
        settings: r#"{"app_id":"2021"}"#,
        keys: rsa,
        ladder: Some("alipay-query"),
    },
    Format {
        plugin: "epay",
        settings: r#"{"pid":"1001"}"#,
        keys: || vec![text("signing", KeyAlgorithm::Md5)],
        ladder: Some("epay"),
    },
    Format {
        plugin: "wechat-v2",
        settings: r#"{"appid":"wx1","mch_id":"100","trade_type":"NATIVE","bank_type":"OTHERS"}"#,
        keys: || vec![text("api-key", KeyAlgorithm::Md5OrHmacSha256)],
        ladder: Some("wechat"),
    },
    Format {
        plugin: "wechat-v2",
        settings: r#"{"appid":"wx1","mch_id":"100","sign_type":"HMAC-SHA256","trade_type":"NATIVE","bank_type":"OTHERS"}"#,
        keys: || vec![text("api-key", KeyAlgorithm::Md5OrHmacSha256)],
        ladder: Some("wechat"),
    },
    Format {
        plugin: "wechat-v3",
        settings: r#"{"appid":"wx1","mchid":"100","trade_type":"NATIVE","bank_type":"OTHERS"}"#,
        keys: || vec![rsa().remove(0), text("api-v3-key", KeyAlgorithm::Aes256Gcm)],
        ladder: Some("wechat"),
    },
    Format {
        plugin: "standard-webhooks",
        settings: "{}",
        keys: || vec![ed25519(), text("signing", KeyAlgorithm::HmacSha256)],
        ladder: Some("standard-webhooks"),
    },
    Format { plugin: "stripe", settings: "{}", keys: hmac, ladder: Some("exponential-3-days") },
    Format { plugin: "adyen", settings: r#"{"merchant_account":"Shop"}"#, keys: hmac, ladder: Some("adyen") },
    Format { plugin: "paddle", settings: "{}", keys: hmac, ladder: Some("exponential-3-days") },
    Format { plugin: "cloudevents", settings: r#"{"source":"/payments"}"#, keys: Vec::new, ladder: None },
    Format {
        plugin: "cloudevents",
        settings: r#"{"source":"/payments","mode":"structured","token_algorithm":"HS256"}"#,
        keys: || vec![text("token", KeyAlgorithm::HmacSha256)],
        ladder: None,
    },
];

/// The secret of every symmetric key here: as long as AES-256 wants it.
pub(crate) const SECRET: &str = "0123456789abcdef0123456789ABCDEF";

fn hmac() -> Vec<Key> {
    vec![text("signing", KeyAlgorithm::HmacSha256)]
}

fn rsa() -> Vec<Key> {
    vec![key("signing", KeyAlgorithm::RsaPkcs1v15Sha256, None, &file("keys/test-rsa-2048.pkcs8.pem"))]
}

fn ed25519() -> Key {
    let mut text = key_text("signing", KeyAlgorithm::Ed25519, None, &file("keys/test-ed25519.pem"));
    text.name = "signing-ed25519".to_owned();
    Key::decode(text).expect("a key")
}

fn text(role: &str, algorithm: KeyAlgorithm) -> Key {
    key(role, algorithm, Some(Encoding::Raw), SECRET)
}

fn key(role: &str, algorithm: KeyAlgorithm, encoding: Option<Encoding>, secret: &str) -> Key {
    Key::decode(key_text(role, algorithm, encoding, secret)).expect("a key")
}

fn key_text(role: &str, algorithm: KeyAlgorithm, encoding: Option<Encoding>, secret: &str) -> KeyText {
    KeyText {
        role: role.to_owned(),
        name: role.to_owned(),
        algorithm,
        encoding,
        secret: Secret::new(secret.to_owned()),
        id: None,
        certificate: None,
    }
}

/// A file of this folder.
pub(crate) fn file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats").join(name);
    std::fs::read_to_string(path).expect(name)
}

impl Format {
    pub(crate) fn endpoint(&self) -> Endpoint {
        Endpoint {
            url: URL.to_owned(),
            origins: vec!["https://shop.example".parse().expect("an origin")],
            settings_json: self.settings.to_owned(),
            keys: Keys::new((self.keys)()),
        }
    }

    pub(crate) async fn load(&self, host: &Host) -> Plugin {
        let file = xtask::guests::built(self.plugin).expect("`cargo xtask plugins` has been run");
        host.load(&file).await.expect("a plugin")
    }
}

pub(crate) fn host() -> Host {
    Host::new(Settings::default()).expect("plugins can be run")
}

/// Each takes its settings, has a schema for them and the ladder that it is known for; and there is no plugin that is not
/// looked at here.
#[tokio::test]
async fn every_plugin_is_here_and_says_what_it_is() {
    let host = host();
    for format in ALL {
        let plugin = format.load(&host).await;
        plugin.check_settings(format.settings).await.expect(format.plugin);
        assert!(plugin.check_settings(r#"{"no such setting": 1}"#).await.is_err(), "{}", format.plugin);
        let description = plugin.description();
        assert_eq!(description.name, format.plugin);
        let ladders: Vec<_> = description.ladders.iter().map(|ladder| ladder.name.as_str()).collect();
        assert_eq!(ladders, format.ladder.into_iter().collect::<Vec<_>>(), "{}", format.plugin);
    }
    let plugins = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("plugins")).expect("there");
    for plugin in plugins.map(|entry| entry.expect("readable").file_name().into_string().expect("text")) {
        assert!(plugin == "sdk" || ALL.iter().any(|format| format.plugin == plugin), "{plugin}");
    }
}

/// The README's table has a line for each, with every setting, role and ladder.
#[tokio::test]
async fn the_readme_tells_of_each() {
    let readme =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).expect("there");
    let host = host();
    for format in ALL {
        let line = readme.lines().find(|line| line.starts_with(&format!("| `{}` |", format.plugin)));
        let line = line.unwrap_or_else(|| panic!("{}: has no line", format.plugin));
        let plugin = format.load(&host).await;
        let description = plugin.description();
        let schema: serde_json::Value = serde_json::from_str(&description.settings_schema).expect("JSON");
        let settings = schema["properties"].as_object().expect("properties").keys().map(String::as_str);
        let roles = description.keys.iter().map(|key| key.role.as_str());
        let ladders = description.ladders.iter().map(|ladder| ladder.name.as_str());
        for word in settings.chain(roles).chain(ladders) {
            assert!(line.contains(&format!("`{word}`")), "{}: `{word}` is missing", format.plugin);
        }
    }
}
