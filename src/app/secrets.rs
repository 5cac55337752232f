//! Where the merchants' secrets stand in a text that is to be shown. They stay where they are; only the places are told.
//!
//! It knows the secrets that the merchants have now. One that was replaced since is not known any more.

use std::ops::Range;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::api::Secrets;
use crate::delivery::Merchants;
use crate::domain::MerchantId;
use crate::plugin::find_secret;

/// The secrets of all merchants: their keys, and the `authorization` that the gateway sends.
pub(super) struct OfMerchants(pub(super) Merchants);

impl Secrets for OfMerchants {
    fn find(&self, merchant: &MerchantId, text: &str) -> Vec<Range<usize>> {
        let Some(merchant) = self.0.get(merchant) else { return Vec::new() };
        let mut found = merchant.endpoint.keys.find_in(text);
        let authorization = merchant.authorization.as_ref().and_then(|value| value.to_str().ok());
        if let Some((scheme, credentials)) = authorization.and_then(|value| value.split_once(' ')) {
            found.extend(find_secret(credentials.as_bytes(), text));
            // User and password (RFC 7617).
            if let (true, Ok(both)) = (scheme.eq_ignore_ascii_case("basic"), STANDARD.decode(credentials)) {
                let both = Zeroizing::new(both);
                let colon = both.iter().position(|byte| *byte == b':').map_or(0, |colon| colon + 1);
                found.extend(find_secret(both.get(colon..).unwrap_or_default(), text));
            }
        }
        found
    }
}
