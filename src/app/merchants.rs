//! What the API shows of the merchants: what they are served with, and how it is on the way to each.

use std::sync::Arc;

use crate::api::{self, Found, MerchantFacts, PluginFacts, Standing, Wanted};
use crate::delivery::{Merchant, Merchants, Pauses, WayTraffic};
use crate::domain::{Ladder, Lane, MerchantId};
use crate::journal::{JournalError, Pause};

/// The merchants as the API knows them.
pub(super) struct Shown {
    merchants: Merchants,
    pauses: Arc<Pauses>,
    ladder_ms: Vec<u64>,
}

impl Shown {
    /// `ladder` is that of merchants nobody knows.
    pub(super) fn new(merchants: Merchants, pauses: Arc<Pauses>, ladder: &Ladder) -> Self {
        Self { merchants, pauses, ladder_ms: milliseconds(ladder) }
    }

    /// Whether it stands so with it.
    fn is(&self, id: &MerchantId, merchant: &Merchant, standing: Option<Standing>) -> bool {
        match standing {
            None => true,
            Some(Standing::Paused) => self.pauses.of(id).is_some(),
            Some(Standing::Down) => merchant.way.traffic().down,
            Some(Standing::Slow) => {
                let traffic = merchant.way.traffic();
                traffic.lane == Lane::Slow && !traffic.down
            }
        }
    }

    fn facts(&self, id: &MerchantId, merchant: &Merchant) -> MerchantFacts {
        let WayTraffic { lane, down, in_flight } = merchant.way.traffic();
        let description = merchant.plugin.description();
        MerchantFacts {
            merchant_id: id.to_string(),
            plugin: PluginFacts {
                name: description.name.clone(),
                version: description.version.clone(),
                hash: merchant.plugin.hash().to_owned(),
            },
            url: without_secrets(&merchant.endpoint.url),
            lane,
            paused: self.pauses.of(id),
            endpoint: if down { "down" } else { "up" },
            in_flight,
            ladder_ms: milliseconds(&merchant.ladder),
        }
    }
}

#[async_trait::async_trait]
impl api::Merchants for Shown {
    fn after(&self, id: Option<&str>, wanted: &Wanted, most: usize) -> Found {
        let all = self.merchants.all();
        let part = wanted.part.as_deref().map(str::to_ascii_lowercase);
        let has_part = |key: &MerchantId| {
            part.as_deref().is_none_or(|part| key.as_str().to_ascii_lowercase().contains(part))
        };
        let wanted = all.iter().filter(|(key, merchant)| has_part(key) && self.is(key, merchant, wanted.is));
        let mut wanted: Vec<_> = wanted.collect();
        let total = wanted.len();
        wanted.retain(|(key, _)| id.is_none_or(|id| key.as_str() > id));
        wanted.sort_unstable_by_key(|(key, _)| key.as_str());
        wanted.truncate(most);
        Found { facts: wanted.into_iter().map(|(key, merchant)| self.facts(key, merchant)).collect(), total }
    }

    fn one(&self, id: &MerchantId) -> Option<MerchantFacts> {
        self.merchants.get(id).map(|merchant| self.facts(id, &merchant))
    }

    fn ladder_ms(&self, id: &str) -> Vec<u64> {
        let merchant = id.parse().ok().and_then(|id| self.merchants.get(&id));
        merchant.map_or_else(|| self.ladder_ms.clone(), |merchant| milliseconds(&merchant.ladder))
    }

    fn slow(&self) -> Vec<String> {
        let all = self.merchants.all();
        let slow = all.iter().filter(|(_, merchant)| merchant.way.traffic().lane == Lane::Slow);
        slow.map(|(id, _)| id.to_string()).collect()
    }

    fn pause(&self, id: &MerchantId) -> Option<Pause> {
        self.pauses.of(id)
    }

    async fn look_at_pauses(&self) -> Result<(), JournalError> {
        self.pauses.look().await
    }
}

fn milliseconds(ladder: &Ladder) -> Vec<u64> {
    let delays = ladder.delays().iter();
    delays.map(|delay| u64::try_from(delay.as_millis()).unwrap_or(u64::MAX)).collect()
}

/// A merchant's URL as people may see it: a query may hold a secret, and so may what stands before the host.
fn without_secrets(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_what_may_be_secret() {
        for (url, shown) in [
            ("https://shop.example/notify?key=s3cret#x", "https://shop.example/notify"),
            ("https://me:s3cret@shop.example:8443/a@b", "https://shop.example:8443/a@b"),
            ("https://shop.example?key=s3cret", "https://shop.example"),
        ] {
            assert_eq!(without_secrets(url), shown);
        }
    }
}
