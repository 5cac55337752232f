//! What a plugin is: the trait, and its way into the contract.
//!
//! The contract's functions are written here once for all plugins: they read the settings and hand the keys over. The
//! same functions serve a plugin's tests, with another [`Crypto`].

use crate::bindings::exports::paynotify::merchant::plugin::Guest;
use crate::settings::{self, Settings};
use crate::sign::{Crypto, Gateway, Keys};
use crate::{
    Algorithm, Attempt, Description, Endpoint, HttpRequest, HttpResponse, KeyNeed, LadderPreset,
    Notification, PluginError, Verdict,
};

/// A merchant-facing format.
///
/// The same arguments must give the same result, always, and nothing is remembered from one call to the next.
pub trait Plugin {
    /// The settings that a merchant's file gives to this format.
    type Settings: Settings;

    /// Says what the format is: see [`description!`](crate::description), [`key`] and [`ladder`].
    fn describe() -> Description;

    /// Writes, and has signed, the request of one attempt.
    ///
    /// # Errors
    ///
    /// The format cannot express this record, or the settings or keys do not do. The notification is held without
    /// spending the attempt; the text says what to change, and names the field, setting or role.
    fn format(call: &Call<'_, Self::Settings>) -> Result<HttpRequest, PluginError>;

    /// Says what the merchant's reply means. The record is the one that was told.
    ///
    /// # Errors
    ///
    /// Never for a reply that is merely wrong: that is [`Verdict::Retry`]. An error holds the notification.
    fn judge(
        settings: &Self::Settings,
        notification: &Notification,
        response: &HttpResponse,
    ) -> Result<Verdict, PluginError>;
}

/// All that a request may be made of.
pub struct Call<'a, S> {
    /// What is to be told.
    pub notification: &'a Notification,
    /// Whom to tell: the URL as configured. Its settings are in `settings`, its keys in `keys`.
    pub endpoint: &'a Endpoint,
    /// The attempt: its number, the moment, 32 random bytes.
    pub attempt: &'a Attempt,
    /// The merchant's settings, read and checked.
    pub settings: S,
    /// The merchant's keys, by role.
    pub keys: Keys<'a>,
}

/// A key that the format cannot do without. Without algorithms it seals with AES-256-GCM.
#[must_use]
pub fn key(role: &str, summary: &str, algorithms: &[Algorithm]) -> KeyNeed {
    KeyNeed {
        role: role.to_owned(),
        summary: summary.to_owned(),
        algorithms: algorithms.to_vec(),
        required: true,
    }
}

/// A ladder for merchants' files to name: the waits between attempts, in seconds.
#[must_use]
pub fn ladder(name: &str, delays_seconds: &[u32]) -> LadderPreset {
    LadderPreset { name: name.to_owned(), delays_seconds: delays_seconds.to_vec() }
}

/// Writes the request as the gateway would have it written: the settings are read from the endpoint.
///
/// # Errors
///
/// What [`Plugin::format`] says, or [`PluginError::UnusableSettings`].
pub fn format<P: Plugin>(
    notification: &Notification,
    endpoint: &Endpoint,
    attempt: &Attempt,
    crypto: &dyn Crypto,
) -> Result<HttpRequest, PluginError> {
    let settings = usable_settings::<P>(endpoint)?;
    P::format(&Call { notification, endpoint, attempt, settings, keys: Keys::new(&endpoint.keys, crypto) })
}

/// Judges the reply as the gateway would have it judged.
///
/// # Errors
///
/// What [`Plugin::judge`] says, or [`PluginError::UnusableSettings`].
pub fn judge<P: Plugin>(
    notification: &Notification,
    endpoint: &Endpoint,
    response: &HttpResponse,
) -> Result<Verdict, PluginError> {
    P::judge(&usable_settings::<P>(endpoint)?, notification, response)
}

/// Says whether the settings do, as the gateway asks it.
///
/// # Errors
///
/// Names the setting, and what is wrong with it.
pub fn check_settings<P: Plugin>(settings_json: &str) -> Result<(), String> {
    settings::read::<P::Settings>(&P::describe().name, settings_json).map(drop)
}

fn usable_settings<P: Plugin>(endpoint: &Endpoint) -> Result<P::Settings, PluginError> {
    settings::read(&P::describe().name, &endpoint.settings_json).map_err(PluginError::UnusableSettings)
}

impl<P: Plugin> Guest for P {
    fn describe() -> Description {
        P::describe()
    }

    fn check_settings(settings_json: String) -> Result<(), String> {
        check_settings::<P>(&settings_json)
    }

    fn format(
        notification: Notification,
        endpoint: Endpoint,
        attempt: Attempt,
    ) -> Result<HttpRequest, PluginError> {
        format::<P>(&notification, &endpoint, &attempt, &Gateway)
    }

    fn judge(
        notification: Notification,
        endpoint: Endpoint,
        response: HttpResponse,
    ) -> Result<Verdict, PluginError> {
        judge::<P>(&notification, &endpoint, &response)
    }
}
