//! The settings of a merchant who is told in this format.

use paynotify_plugin::settings::{currency, visible_ascii};
use paynotify_plugin::{Algorithm, Settings};

/// What a merchant's file says under `settings`.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WechatV2Settings {
    pub(crate) appid: String,
    pub(crate) mch_id: String,
    #[serde(default)]
    pub(crate) sign_type: SignType,
    pub(crate) send_sign_type: Option<bool>,
    #[serde(default = "cny")]
    pub(crate) currency: String,
    pub(crate) trade_type: Option<String>,
    pub(crate) bank_type: Option<String>,
}

/// How it is signed, in the vendor's words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
pub(crate) enum SignType {
    #[default]
    #[serde(rename = "MD5")]
    Md5,
    #[serde(rename = "HMAC-SHA256")]
    HmacSha256,
}

impl SignType {
    /// The same for the gateway.
    pub(crate) fn algorithm(self) -> Algorithm {
        match self {
            Self::Md5 => Algorithm::Md5,
            Self::HmacSha256 => Algorithm::HmacSha256,
        }
    }

    /// The vendor's word for it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::HmacSha256 => "HMAC-SHA256",
        }
    }
}

fn cny() -> String {
    "CNY".to_owned()
}

impl Settings for WechatV2Settings {
    const SCHEMA: &'static str = include_str!("settings.schema.json");

    fn check(&self) -> Result<(), String> {
        visible_ascii("appid", &self.appid, 32)?;
        visible_ascii("mch_id", &self.mch_id, 32)?;
        currency("currency", &self.currency)?;
        if let Some(trade_type) = &self.trade_type {
            visible_ascii("trade_type", trade_type, 16)?;
        }
        if let Some(bank_type) = &self.bank_type {
            visible_ascii("bank_type", bank_type, 32)?;
        }
        Ok(())
    }
}

impl WechatV2Settings {
    /// The element `sign_type`, if it is sent. Its absence means MD5, the vendor says; but its notifications of orders that
    /// were signed with HMAC-SHA256 have been seen without it (github.com/binarywang/WxJava/issues/1585) and with it (1407).
    pub(crate) fn sign_type_element(&self) -> Option<&'static str> {
        let is_sent = self.send_sign_type.unwrap_or(self.sign_type == SignType::HmacSha256);
        is_sent.then(|| self.sign_type.word())
    }
}
