//! What is told in the metrics of the plugins that serve merchants: of each version, what its calls cost and how often they failed.
//!
//! The plugins count for themselves; here they are asked when somebody looks. So a version is shown while it serves
//! somebody, or is somebody's shadow, and no longer: that bounds the labels.

use std::collections::BTreeMap;
use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::Merchants;
use crate::plugin::{Fault, Plugin, Tally};

/// All versions that these merchants have.
#[derive(Debug)]
pub(super) struct Versions(pub(super) Merchants);

struct Version {
    plugin: String,
    hash: String,
    merchants: i64,
    tally: Tally,
}

impl Version {
    fn labels(&self) -> [(&'static str, String); 2] {
        [("plugin", self.plugin.clone()), ("hash", self.hash.clone())]
    }
}

impl Versions {
    fn all(&self) -> Vec<Version> {
        let merchants = self.0.all();
        let mut all: BTreeMap<(&str, &str), (&Plugin, i64)> = BTreeMap::new();
        for merchant in merchants.values() {
            let shadow = merchant.shadow.as_ref().map(|shadow| (shadow.plugin(), 0));
            for (plugin, serves) in [(&merchant.plugin, 1)].into_iter().chain(shadow) {
                all.entry((&plugin.description().name, plugin.hash())).or_insert((plugin, 0)).1 += serves;
            }
        }
        let version = |((name, hash), (plugin, merchants)): ((&str, &str), (&Plugin, i64))| {
            let (plugin, tally) = (name.to_owned(), plugin.tally());
            Version { plugin, hash: hash.to_owned(), merchants, tally }
        };
        all.into_iter().map(version).collect()
    }
}

impl Collector for Versions {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let all = self.all();
        let help = "Merchants that the version of the plugin serves.";
        let gauge = ConstGauge::new(0_i64).metric_type();
        let mut metric = encoder.encode_descriptor("plugin_merchants", help, None, gauge)?;
        for version in &all {
            ConstGauge::new(version.merchants).encode(metric.encode_family(&version.labels())?)?;
        }
        let help = "Calls of the plugin: format, judge, and what it is asked while it is loaded.";
        let counter = ConstCounter::new(0_u64).metric_type();
        let mut metric = encoder.encode_descriptor("plugin_calls", help, None, counter)?;
        for version in &all {
            ConstCounter::new(version.tally.calls).encode(metric.encode_family(&version.labels())?)?;
        }
        let help = "How long processors have worked for the plugin's calls, in seconds.";
        let mut metric = encoder.encode_descriptor("plugin_running_seconds", help, None, counter)?;
        for version in &all {
            let seconds = version.tally.running.as_secs_f64();
            ConstCounter::new(seconds).encode(metric.encode_family(&version.labels())?)?;
        }
        let help = "Faults of plugins: calls that did not do what they were asked.";
        let mut metric = encoder.encode_descriptor("plugin_faults", help, None, counter)?;
        for version in &all {
            for (fault, count) in Fault::NAMES.into_iter().zip(version.tally.faults) {
                let [plugin, hash] = version.labels();
                let labels = [plugin, hash, ("fault", fault.to_owned())];
                ConstCounter::new(count).encode(metric.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}
