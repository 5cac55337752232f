//! What came of an attempt, without what is withheld from people. The transcript stays as it is: nobody is shown it.

use super::attempt::Attempted;
use crate::domain::{Happened, HoldReason, Verdict, Withheld};

impl Attempted {
    /// The same, where merchant and plugin were quoted without what of the merchant's own is withheld.
    pub(super) fn withholding(self, withheld: &Withheld) -> Self {
        let mask = |text| withheld.mask(text);
        let happened = match self.happened {
            Happened::Replied(Verdict::Confirmed { detail }) => {
                Happened::Replied(Verdict::Confirmed { detail: detail.map(mask) })
            }
            Happened::Replied(Verdict::Retry { after, reason }) => {
                Happened::Replied(Verdict::Retry { after, reason: mask(reason) })
            }
            Happened::Replied(Verdict::Stop { reason }) => {
                Happened::Replied(Verdict::Stop { reason: mask(reason) })
            }
            Happened::Held(HoldReason::PluginFault(fault)) => {
                Happened::Held(HoldReason::PluginFault(mask(fault)))
            }
            other @ (Happened::Held(_) | Happened::NoReply(_)) => other,
        };
        let record = self.record.map(|mut record| {
            record.reply = record.reply.map(mask);
            record.detail = record.detail.map(mask);
            record
        });
        Self { happened, record, ..self }
    }
}
