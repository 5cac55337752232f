//! The settings of a merchant who is told in this format.

use paynotify_plugin::Settings;
use paynotify_plugin::settings::{at_most, currency, visible_ascii};

/// What a merchant's file says under `settings`.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WechatV3Settings {
    pub(crate) appid: String,
    pub(crate) mchid: String,
    #[serde(default = "cny")]
    pub(crate) currency: String,
    pub(crate) trade_type: Option<String>,
    pub(crate) bank_type: Option<String>,
    #[serde(default = "paid")]
    pub(crate) summary: String,
    #[serde(default = "transaction")]
    pub(crate) associated_data: String,
    #[serde(default)]
    pub(crate) heed_code: bool,
}

fn cny() -> String {
    "CNY".to_owned()
}

fn paid() -> String {
    "支付成功".to_owned()
}

fn transaction() -> String {
    "transaction".to_owned()
}

impl Settings for WechatV3Settings {
    const SCHEMA: &'static str = include_str!("settings.schema.json");

    fn check(&self) -> Result<(), String> {
        visible_ascii("appid", &self.appid, 32)?;
        visible_ascii("mchid", &self.mchid, 32)?;
        currency("currency", &self.currency)?;
        if let Some(trade_type) = &self.trade_type {
            visible_ascii("trade_type", trade_type, 16)?;
        }
        if let Some(bank_type) = &self.bank_type {
            visible_ascii("bank_type", bank_type, 32)?;
        }
        at_most("summary", &self.summary, 64)?;
        if self.associated_data.is_empty() {
            return Ok(());
        }
        visible_ascii("associated_data", &self.associated_data, 15)
    }
}
