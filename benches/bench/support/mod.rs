//! What the points share: the gateway as a process, the merchants' side, ways to hand notifications in, and the report.

pub(crate) mod clock;
pub(crate) mod context;
pub(crate) mod figures;
pub(crate) mod gateway;
pub(crate) mod http;
pub(crate) mod machine;
pub(crate) mod process;
pub(crate) mod publish;
pub(crate) mod rabbit;
pub(crate) mod record;
pub(crate) mod report;
pub(crate) mod sink;
