//! What is told of the gates before merchants, in log and metrics.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use super::way::Entered;
use super::{Attempted, Merchants};
use crate::domain::{Change, Evidence, Happened, HoldReason, Lane, MerchantId, NotificationId};
use crate::plugin::CallError;

/// What is counted. No label is a merchant's.
#[derive(Clone, Debug, Default)]
pub(super) struct Traffic {
    opened: Counter,
    holds: Family<Cause, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Cause {
    cause: &'static str,
}

impl Traffic {
    /// Puts the counts into the registry, and a look at these merchants' gates.
    pub(super) fn registered(registry: &mut Registry, merchants: &Merchants) -> Self {
        let this = Self::default();
        let help = "Breakers of merchants' endpoints that have opened";
        registry.register("endpoint_breaker_opened", help, this.opened.clone());
        let help = "Notifications that were held, by the cause, each time";
        registry.register("holds", help, this.holds.clone());
        for cause in HoldReason::NAMES {
            drop(this.holds.get_or_create(&Cause { cause }));
        }
        registry.register_collector(Box::new(Gates(merchants.clone())));
        this
    }

    pub(super) fn count_hold(&self, reason: &HoldReason) {
        self.holds.get_or_create(&Cause { cause: reason.name() }).inc();
    }

    /// The attempt leaves the gate.
    pub(super) fn leave(
        &self,
        entered: Entered,
        merchant: &MerchantId,
        notification: &NotificationId,
        attempted: &Attempted,
    ) {
        if matches!(attempted.failed, Some(CallError::Busy)) {
            // Others were to blame.
            return drop(entered);
        }
        let changed = entered.leave(notification, evidence(attempted));
        match changed.breaker {
            Some(Change::Opened { until }) => {
                self.opened.inc();
                let failure = match &attempted.happened {
                    Happened::NoReply(failure) => Some(failure.name()),
                    Happened::Replied(_) | Happened::Held(_) => None,
                };
                tracing::warn!(%merchant, %until, failure,
                    "the merchant's breaker has opened: it could not be reached too often in a row, and is tried again then");
            }
            Some(Change::Closed) => {
                tracing::info!(%merchant, "the merchant's breaker has closed: it replies again");
            }
            Some(Change::StaysOpen { until }) => {
                tracing::debug!(%merchant, %until, "the merchant's breaker stays open");
            }
            None => {}
        }
        match changed.lane {
            Some(Lane::Slow) => {
                tracing::info!(%merchant, "the merchant takes long or fails, and goes into the slow lane");
            }
            Some(Lane::Main) => {
                tracing::info!(%merchant, "the merchant is quick again, and leaves the slow lane");
            }
            None => {}
        }
    }
}

/// What an attempt says of the endpoint: any reply is one.
fn evidence(attempted: &Attempted) -> Evidence {
    match (&attempted.happened, &attempted.record) {
        (_, None) => Evidence::None,
        (Happened::NoReply(_), Some(_)) => Evidence::Fault,
        (Happened::Replied(_) | Happened::Held(_), Some(_)) => Evidence::Works,
    }
}

/// Counted when somebody looks: a gate that is no more is not counted.
#[derive(Debug)]
struct Gates(Merchants);

impl Collector for Gates {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let merchants = self.0.all();
        let down = merchants.values().filter(|merchant| merchant.way.is_down()).count();
        let slow = merchants.values().filter(|merchant| merchant.way.lane() == Lane::Slow).count();
        for (name, help, count) in [
            ("endpoint_breaker_open", "Merchants whose endpoint's breaker is open.", down),
            ("merchants_in_slow_lane", "Merchants that are in the slow lane.", slow),
        ] {
            let gauge = ConstGauge::new(i64::try_from(count).unwrap_or(i64::MAX));
            let metric = encoder.encode_descriptor(name, help, None, gauge.metric_type())?;
            gauge.encode(metric)?;
        }
        Ok(())
    }
}
