//! The SDK for paynotify's plugins in Rust.
//!
//! A plugin knows one merchant-facing format: how a payment result is written as an HTTP request, and which reply means
//! that the merchant has heard it. It is a library crate of type `cdylib` with a [`Plugin`], exported:
//!
//! ```no_run
//! use paynotify_plugin::{
//!     Call, Description, HttpRequest, HttpResponse, NoSettings, Notification, Plugin, PluginError, Verdict,
//!     description, form::Fields, ladder, percent::Style, reply, request, verdict,
//! };
//!
//! struct Tiny;
//!
//! impl Plugin for Tiny {
//!     type Settings = NoSettings;
//!
//!     fn describe() -> Description {
//!         Description { ladders: vec![ladder("tiny", &[60, 600])], ..description!(NoSettings) }
//!     }
//!
//!     fn format(call: &Call<'_, NoSettings>) -> Result<HttpRequest, PluginError> {
//!         let fields = Fields::new().with("id", &call.notification.id);
//!         Ok(request::post_form(&call.endpoint.url, &fields, Style::Form))
//!     }
//!
//!     fn judge(_: &NoSettings, _: &Notification, response: &HttpResponse) -> Result<Verdict, PluginError> {
//!         Ok(if reply::is_success(response) { verdict::confirmed() } else { verdict::unexpected(response, "a 2xx status") })
//!     }
//! }
//!
//! paynotify_plugin::export!(Tiny);
//! # fn main() {}
//! ```
//!
//! What the modules are for:
//!
//! | module | for |
//! |---|---|
//! | [`settings`] | the merchant's settings as a struct, with errors that name the setting |
//! | [`record`] | fields of the record that the format cannot do without, and bounds on texts |
//! | [`money`], [`time`] | amounts as exact decimal text; moments in Beijing and UTC |
//! | [`form`], [`percent`], [`xml`], [`encode`] | writing: queries and forms, percent-encoding, flat XML, hex and base64 |
//! | [`json`] | objects with their members in order, and the record as one |
//! | [`event`] | what an event is called, and when it happened |
//! | [`canonical`] | the text that a signature is over: sorted `k=v&...` |
//! | [`sign`] | signing and sealing with the merchant's keys, which stay in the gateway |
//! | [`request`] | the request's parts |
//! | [`reply`], [`verdict`] | looking at a reply, and saying what it means |
//! | `testing` | records, replies and keys for a plugin's own tests (feature `testing`) |
//! | `real_crypto`, `arbitrary` | real signatures, and arbitrary records, for the same (features of these names) |
//!
//! Rules. Everything here is pure: it depends on its arguments alone, has no clock and no randomness, and so can be tested
//! natively with plain unit tests. Only [`sign::Gateway`] reaches outside, and a test puts another [`sign::Crypto`] in its
//! place. Nothing panics, whatever a record or a reply holds. Deliberately absent: parsing of other people's requests,
//! HTTP of any kind, cryptography.

#[cfg(feature = "arbitrary")]
pub mod arbitrary;
pub mod canonical;
pub mod encode;
pub mod event;
pub mod form;
pub mod json;
#[cfg(all(feature = "memory", target_arch = "wasm32", not(target_feature = "atomics")))]
mod memory;
pub mod money;
pub mod percent;
mod plugin;
#[cfg(feature = "real-crypto")]
pub mod real_crypto;
pub mod record;
pub mod reply;
pub mod request;
pub mod settings;
pub mod sign;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod time;
pub mod verdict;
pub mod xml;

/// What wit-bindgen writes from the contract. The lints are for code that people write.
#[allow(
    missing_docs,
    unreachable_pub,
    unsafe_code,
    clippy::all,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm
)]
#[doc(hidden)]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "merchant-plugin",
        additional_derives: [PartialEq],
        pub_export_macro: true,
    });
}

pub use bindings::exports::paynotify::merchant::plugin::{Description, KeyNeed, LadderPreset};
pub use bindings::paynotify::merchant::crypto::{Algorithm, CryptoError, KeyInfo, Part};
pub use bindings::paynotify::merchant::log;
pub use bindings::paynotify::merchant::types::{
    Attempt, Channel, Endpoint, Failure, Header, HttpRequest, HttpResponse, KeyBinding, Money, Notification,
    Payer, PaymentStatus, PluginError, RetryAdvice, Verdict,
};
pub use plugin::{Call, Plugin, check_settings, format, judge, key, ladder};
pub use settings::{NoSettings, Settings};

/// Exports a type that implements [`Plugin`] as the component's plugin. Once in a crate.
#[macro_export]
macro_rules! export {
    ($plugin:ident) => {
        // The exported functions are unsafe by nature; what they run is not.
        #[allow(unsafe_code)]
        const _: () = {
    $crate::bindings::export!($plugin with_types_in $crate::bindings);
        };
    };
}

/// A [`Description`] with the crate's name, version and description, and the schema of the given settings. It names no
/// keys and no ladders: write them before it, as in `Description { keys: vec![…], ..description!(MySettings) }`.
#[macro_export]
macro_rules! description {
    ($settings:ty) => {
        $crate::Description {
            name: env!("CARGO_PKG_NAME").to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            summary: env!("CARGO_PKG_DESCRIPTION").to_owned(),
            settings_schema: <$settings as $crate::Settings>::SCHEMA.to_owned(),
            keys: Vec::new(),
            ladders: Vec::new(),
        }
    };
}
