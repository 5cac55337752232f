//! What is measured. A point's module says in its `about` what it does, with every setting that is not the default.

mod calls;
mod drain;
mod embedded;
mod growth;
mod lateness;
mod neighbours;
mod throughput;

use std::time::Instant;

use anyhow::Result;

use crate::support::context::Context;
use crate::support::report::Point;

/// The points' names on the command line, in their order.
pub(crate) const NAMES: [&str; 8] =
    ["pipe", "languages", "embedded", "calls", "lateness", "neighbours", "growth", "drain"];

/// What is measured together.
pub(crate) struct Measurement {
    /// The points that come of it.
    pub(crate) names: &'static [&'static str],
}

/// All of them.
pub(crate) const ALL: [Measurement; 7] = [
    // They take turns with each other.
    Measurement { names: &["pipe", "languages"] },
    Measurement { names: &["embedded"] },
    Measurement { names: &["calls"] },
    Measurement { names: &["lateness"] },
    Measurement { names: &["neighbours"] },
    Measurement { names: &["growth"] },
    Measurement { names: &["drain"] },
];

impl Measurement {
    /// Measures; of several points those that are wanted.
    pub(crate) async fn run(&self, context: &Context, wanted: &impl Fn(&str) -> bool) -> Result<Vec<Point>> {
        let name = self.names.first().copied().unwrap_or_default();
        context.say(format!("{}…", self.names.join(" and ")));
        let begin = Instant::now();
        let mut points = match name {
            "pipe" => throughput::measure(context, wanted("pipe"), wanted("languages")).await?,
            "embedded" => vec![embedded::measure(context).await?],
            "calls" => vec![calls::measure(context).await?],
            "lateness" => vec![lateness::measure(context).await?],
            "neighbours" => vec![neighbours::measure(context).await?],
            "growth" => vec![growth::measure(context).await?],
            _ => vec![drain::measure(context).await?],
        };
        points.iter_mut().for_each(|point| point.took(begin.elapsed()));
        Ok(points)
    }
}
