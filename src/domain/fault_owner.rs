//! Whose fault it is that a notification is not confirmed yet: who is to be asked to mend it.

use super::{Happened, HoldReason, TransportFailure, Verdict};

/// Who has to do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultOwner {
    /// The merchant, or the network between it and the gateway.
    Merchant,
    /// The author of the merchant's plugin.
    Plugin,
    /// Whoever runs the gateway: configuration, proxy, name service.
    Operator,
    /// The gateway itself: it was cut off, or has too much to do.
    Gateway,
}

impl FaultOwner {
    /// A short name for metrics and traces.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Merchant => "merchant",
            Self::Plugin => "plugin",
            Self::Operator => "operator",
            Self::Gateway => "gateway",
        }
    }

    /// Whose fault that is; nobody's, when it was a confirmation.
    #[must_use]
    pub fn of(happened: &Happened) -> Option<Self> {
        match happened {
            Happened::Replied(Verdict::Confirmed { .. }) => None,
            Happened::Replied(Verdict::Retry { .. } | Verdict::Stop { .. }) => Some(Self::Merchant),
            Happened::NoReply(failure) => Some((*failure).into()),
            Happened::Held(reason) => Some(reason.into()),
        }
    }
}

impl From<TransportFailure> for FaultOwner {
    fn from(failure: TransportFailure) -> Self {
        match failure {
            TransportFailure::AddressRefused | TransportFailure::ProxyRefused => Self::Operator,
            TransportFailure::Interrupted => Self::Gateway,
            TransportFailure::NameNotResolved
            | TransportFailure::ConnectFailed
            | TransportFailure::ConnectTimedOut
            | TransportFailure::TlsFailed
            | TransportFailure::FirstByteTimedOut
            | TransportFailure::TotalTimedOut
            | TransportFailure::ConnectionLost
            | TransportFailure::InvalidResponse
            | TransportFailure::HeadersTooLarge => Self::Merchant,
        }
    }
}

impl From<&HoldReason> for FaultOwner {
    fn from(reason: &HoldReason) -> Self {
        match reason {
            HoldReason::UnknownMerchant | HoldReason::Paused | HoldReason::AddressRefused => Self::Operator,
            HoldReason::PluginFault(_) | HoldReason::BreakerOpen { .. } => Self::Plugin,
            HoldReason::MerchantBusy { .. }
            | HoldReason::OverRate { .. }
            | HoldReason::EndpointDown { .. } => Self::Merchant,
            HoldReason::GatewayBusy => Self::Gateway,
        }
    }
}
