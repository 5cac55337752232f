//! HTTP Basic authentication (RFC 7617). The password is never in an error.

use paynotify_plugin::encode::base64;
use paynotify_plugin::settings::at_most;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// Longer than any that Adyen takes.
const LONGEST: usize = 200;

/// Not `Debug`, so that it cannot be printed.
pub(crate) struct Password(String);

impl<'de> Deserialize<'de> for Password {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The usual error would show what stands there instead of a text.
        String::deserialize(deserializer)
            .map(Self)
            .map_err(|_| D::Error::custom("must be a text in quotation marks"))
    }
}

/// A user and the password.
pub(crate) struct Credentials<'a> {
    pub(crate) user: &'a str,
    pub(crate) password: &'a Password,
}

impl Credentials<'_> {
    /// Refuses what Basic authentication cannot carry.
    pub(crate) fn check(&self) -> Result<(), String> {
        let Self { user, password: Password(password) } = self;
        at_most("basic_user", user, LONGEST)?;
        at_most("basic_password", password, LONGEST)?;
        if user.contains(':') {
            return Err("basic_user: a colon ends the user's name, so there can be none in it".to_owned());
        }
        for (name, text) in [("basic_user", *user), ("basic_password", password.as_str())] {
            if text.contains(char::is_control) {
                return Err(format!("{name}: has a line break or another control character"));
            }
        }
        Ok(())
    }

    /// What stands in `authorization`: ASCII, whatever the two are.
    pub(crate) fn header_value(&self) -> String {
        format!("Basic {}", base64(format!("{}:{}", self.user, self.password.0).as_bytes()))
    }
}
