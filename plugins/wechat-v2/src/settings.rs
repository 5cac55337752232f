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

    /// The element `sign_type`. MD5 is what its absence means, and the vendor's own notifications leave it out then.
    pub(crate) fn element(self) -> Option<&'static str> {
        match self {
            Self::Md5 => None,
            Self::HmacSha256 => Some("HMAC-SHA256"),
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
