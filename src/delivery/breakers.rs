//! The breakers of all merchants: one for each version of a plugin and each merchant.
//!
//! [`crate::domain::Breaker`] decides, and says why there is one for each merchant; this keeps them, holds what
//! becomes of calls against them, and says in log and metrics what they do. A breaker is kept only while it has
//! something to remember, so there are at most as many as merchants. A new version of a plugin, also an old one that
//! is taken back, begins with a closed one.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::Merchants;
use super::measures::Measures;
use super::traffic::Traffic;
use super::versions::Versions;
use crate::clock;
use crate::domain::{Breaker, BreakerPolicy, Change, Evidence, MerchantId, Moment, NotificationId, Pass};
use crate::plugin::{CallError, Fault, Plugin};

/// What is counted of deliveries. Labels are the names of formats, of faults and of causes: few, and none a merchant's.
#[derive(Clone, Debug)]
pub struct Metrics {
    open: Family<OfPlugin, Gauge>,
    pub(super) traffic: Traffic,
    pub(super) measures: Measures,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfPlugin {
    plugin: String,
}

impl Metrics {
    /// Puts them into the registry, with a look at these merchants.
    #[must_use]
    pub fn new(registry: &mut Registry, merchants: &Merchants) -> Self {
        let (traffic, measures) = (Traffic::registered(registry, merchants), Measures::registered(registry));
        let metrics = Self { open: Family::default(), traffic, measures };
        let help = "Merchants whose breaker is open for the plugin, so that it is not called for them";
        registry.register("plugin_breaker_open", help, metrics.open.clone());
        registry.register_collector(Box::new(Versions(merchants.clone())));
        metrics
    }

    /// Shows a plugin before anything goes wrong with it, so that the first breaker is seen as an increase.
    pub(super) fn show(&self, plugin: &str) {
        drop(self.open.get_or_create(&OfPlugin { plugin: plugin.to_owned() }));
    }

    fn change_open(&self, plugin: &str, by: i64) {
        self.open.get_or_create(&OfPlugin { plugin: plugin.to_owned() }).inc_by(by);
    }
}

/// See the module.
pub(super) struct Breakers {
    policy: BreakerPolicy,
    metrics: Metrics,
    kept: Mutex<HashMap<MerchantId, Kept>>,
}

struct Kept {
    plugin: Plugin,
    breaker: Breaker,
}

impl Breakers {
    pub(super) fn new(policy: BreakerPolicy, metrics: Metrics) -> Self {
        Self { policy, metrics, kept: Mutex::default() }
    }

    /// Whether an attempt may be made with that plugin for that merchant.
    ///
    /// # Errors
    /// Not before that moment.
    pub(super) fn admit<'a>(
        &'a self,
        merchant: &'a MerchantId,
        plugin: &'a Plugin,
        now: Moment,
    ) -> Result<Admitted<'a>, Moment> {
        let mut kept = self.kept();
        let pass = match kept.get_mut(merchant) {
            Some(kept) if kept.plugin.hash() == plugin.hash() => kept.breaker.admit(now)?,
            Some(_) => {
                self.forget_one(&mut kept, merchant);
                Pass::default()
            }
            None => Pass::default(),
        };
        Ok(Admitted { breakers: self, merchant, plugin, pass, noted: false })
    }

    /// Something else than the version has changed for these: they begin anew.
    pub(super) fn forget(&self, merchants: &[MerchantId]) {
        let mut kept = self.kept();
        for merchant in merchants {
            self.forget_one(&mut kept, merchant);
        }
    }

    fn forget_one(&self, kept: &mut HashMap<MerchantId, Kept>, merchant: &MerchantId) {
        if let Some(Kept { plugin, breaker }) = kept.remove(merchant)
            && breaker.is_open()
        {
            self.metrics.change_open(&plugin.description().name, -1);
        }
    }

    fn note(&self, admitted: &Admitted<'_>, notification: &NotificationId, failed: Option<&CallError>) {
        let Admitted { merchant, plugin, pass, .. } = admitted;
        let name = plugin.description().name.as_str();
        let fault = failed.and_then(CallError::fault);
        if let Some(fault) = fault {
            plugin.note_fault(fault);
        }
        let evidence = evidence(failed);
        let mut kept = self.kept();
        if evidence == Evidence::Fault && !kept.contains_key(*merchant) {
            let breaker = Breaker::new(self.policy);
            kept.insert((*merchant).clone(), Kept { plugin: (*plugin).clone(), breaker });
        }
        // What another version does says nothing of this one.
        let Some(Kept { breaker, .. }) =
            kept.get_mut(*merchant).filter(|kept| kept.plugin.hash() == plugin.hash())
        else {
            return;
        };
        let change = breaker.note(pass, notification, evidence, clock::now());
        if breaker.is_pristine() {
            kept.remove(*merchant);
        }
        match change {
            Some(Change::Opened { until }) => {
                self.metrics.change_open(name, 1);
                let fault = fault.map(ToString::to_string);
                tracing::warn!(plugin = name, hash = plugin.hash(), %merchant, %until, fault,
                    "the plugin's breaker has opened: it failed too often in a row for this merchant, and is tried again then");
            }
            Some(Change::Closed) => {
                self.metrics.change_open(name, -1);
                tracing::info!(plugin = name, hash = plugin.hash(), %merchant, "the plugin's breaker has closed: it works again");
            }
            Some(Change::StaysOpen { until }) => {
                tracing::debug!(plugin = name, hash = plugin.hash(), %merchant, %until, "the plugin's breaker stays open");
            }
            None => {}
        }
    }

    fn give_back(&self, admitted: &Admitted<'_>) {
        if let Some(kept) = self.kept().get_mut(admitted.merchant)
            && kept.plugin.hash() == admitted.plugin.hash()
        {
            kept.breaker.give_back(&admitted.pass);
        }
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<MerchantId, Kept>> {
        // A map whose holder panicked is as good as it was: nothing is done with it halfway.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An attempt may be made. One that is never noted, because its task was ended, says nothing of the plugin.
pub(super) struct Admitted<'a> {
    breakers: &'a Breakers,
    merchant: &'a MerchantId,
    plugin: &'a Plugin,
    pass: Pass,
    noted: bool,
}

impl Admitted<'_> {
    /// What came of the attempt at that notification: why the plugin failed, if it did.
    pub(super) fn note(mut self, notification: &NotificationId, failed: Option<&CallError>) {
        self.noted = true;
        self.breakers.note(&self, notification, failed);
    }
}

impl Drop for Admitted<'_> {
    fn drop(&mut self) {
        if !self.noted {
            self.breakers.give_back(self);
        }
    }
}

/// A plugin that answers with an error, or with a request that is not allowed, is at work, and has a reason that lies in
/// the record or the settings. It is no proof of health either: a plugin that is broken may do nothing else.
fn evidence(failed: Option<&CallError>) -> Evidence {
    match failed {
        None => Evidence::Works,
        Some(CallError::Busy) => Evidence::None,
        Some(CallError::Fault(fault)) => match fault {
            Fault::Trapped(_) | Fault::TimedOut(_) | Fault::OverLimit(_) | Fault::Panicked(_) => {
                Evidence::Fault
            }
            Fault::Refused { .. } | Fault::InvalidRequest(_) => Evidence::None,
        },
    }
}
