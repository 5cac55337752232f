//! What is told in the metrics of the gateway as a whole: its version, its merchants and files, and the room on its disk.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use crate::api::Plugins;
use crate::delivery::{Merchants, Pauses};

/// Everything is looked at when somebody asks.
pub(super) struct Surroundings {
    pub(super) merchants: Merchants,
    pub(super) pauses: Arc<Pauses>,
    pub(super) plugins: Arc<dyn Plugins>,
    /// The folder for what the gateway writes.
    pub(super) data: PathBuf,
}

impl fmt::Debug for Surroundings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Surroundings").field("data", &self.data).finish_non_exhaustive()
    }
}

impl Surroundings {
    /// Puts all of it into the registry.
    pub(super) fn register(self, registry: &mut Registry) {
        registry.register_collector(Box::new(self));
    }
}

impl Collector for Surroundings {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let gauge = ConstGauge::new(0_u64).metric_type();
        let mut metric = encoder.encode_descriptor("build_info", "The gateway's version.", None, gauge)?;
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        ConstGauge::new(1_u64).encode(metric.encode_family(&version)?)?;
        let all = self.merchants.all();
        let paused = all.keys().filter(|id| self.pauses.of(id).is_some()).count();
        for (name, help, count) in [
            ("merchants", "Merchants that are served.", all.len()),
            ("merchants_paused", "Merchants that an operator has paused.", paused),
            (
                "files_refused",
                "Files of plugins and merchants that are not in effect, because something is wrong with them.",
                self.plugins.report().refused.len(),
            ),
        ] {
            ConstGauge::new(count).encode(encoder.encode_descriptor(name, help, None, gauge)?)?;
        }
        let (free, size) = room(&self.data).unzip();
        for (name, help, bytes) in [
            ("disk_free_bytes", "Bytes that the gateway may still write where its data folder is.", free),
            ("disk_size_bytes", "Bytes of the file system that the data folder is on.", size),
        ] {
            let Some(bytes) = bytes else { continue };
            ConstGauge::new(bytes).encode(encoder.encode_descriptor(name, help, None, gauge)?)?;
        }
        Ok(())
    }
}

/// Free and all bytes of the folder's file system; none when it does not tell.
fn room(folder: &std::path::Path) -> Option<(u64, u64)> {
    let told = rustix::fs::statvfs(folder).ok()?;
    Some((told.f_bavail.saturating_mul(told.f_frsize), told.f_blocks.saturating_mul(told.f_frsize)))
}
