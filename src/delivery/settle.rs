//! How a message that was taken up is settled: its successor is parked, or its end is told, and only then is it forgotten.
//!
//! The rule: what is carried out here is recorded already ([`Recorded`]), so that a message whose settling fails comes again and is
//! settled by what the journal knows.

use crate::broker::{BrokerError, Receipt};
use crate::domain::{Behind, Ending, Envelope, Moment, NextStep, Outcome, OutcomeEvent, Progress, Recorded};

use super::in_hand::InHand;
use super::measures::Poisoned;
use super::{Deliverer, spans};

/// Beside a message in the poison queue.
const ANOTHER_TEXT: &str = "another notification has this id: it is known with other content, and an id names one notification for ever";

impl Deliverer {
    /// Carries out what follows an attempt, which is recorded.
    pub(super) async fn carry_out(&self, in_hand: InHand, step: NextStep, at: Moment, recorded: Recorded) {
        let InHand { envelope, receipt, .. } = in_hand;
        let result = match step {
            NextStep::Retry(progress) | NextStep::Hold(progress, _) => {
                receipt.park(&self.successor(&envelope, progress)).await
            }
            NextStep::Finish(outcome) => {
                let attempts = outcome.attempts(envelope.progress.attempt);
                let Progress { first_seen, replay, .. } = envelope.progress;
                let ending = Ending { outcome, attempts, first_seen, at, replay, recorded };
                self.finish(&envelope, receipt, ending).await
            }
        };
        settled(result, Some(&envelope));
    }

    /// Settles a message that makes no attempt, because its notification has come further.
    pub(super) async fn catch_up(&self, in_hand: InHand, step: Behind) {
        let InHand { envelope, receipt, redelivered, .. } = in_hand;
        let (notification, attempt) = (envelope.notification.id(), envelope.progress.attempt.get());
        tracing::info!(%notification, attempt, redelivered, step = step.name(), "a message whose attempt was made already");
        let result = match step {
            Behind::Follow(progress) => receipt.park(&self.successor(&envelope, progress)).await,
            Behind::Finish(ending) => self.finish(&envelope, receipt, ending).await,
            Behind::Forget(recorded) => receipt.forget(recorded).await,
            Behind::Refuse => {
                self.measures.count_poisoned(Poisoned::Conflict);
                receipt.poison(ANOTHER_TEXT, None).await
            }
        };
        settled(result, Some(&envelope));
    }

    /// Tells the payment centre and forgets the message. That all have been told is noted here, or by who tells the endpoint.
    async fn finish(
        &self,
        envelope: &Envelope,
        receipt: Box<dyn Receipt>,
        ending: Ending,
    ) -> Result<(), BrokerError> {
        let Ending { outcome, attempts, first_seen, at, replay, recorded } = ending;
        let event = OutcomeEvent::new(&envelope.notification, &outcome, attempts, first_seen, at);
        let event = event.of_replay(replay);
        match outcome {
            Outcome::Abandoned { reason } => {
                self.measures.count_poisoned(Poisoned::Abandoned);
                receipt.poison(&reason, Some(&event)).await?;
            }
            Outcome::Confirmed { .. } | Outcome::Stopped { .. } | Outcome::Exhausted { .. } => {
                receipt.finish(&event, recorded).await?;
            }
        }
        if let Some(traces) = &self.traces {
            spans::end(traces, &event);
        }
        match &self.outcomes {
            Some(outcomes) => outcomes.hand_over(event),
            None => self.journal.told(envelope.notification.id(), replay).await,
        }
        Ok(())
    }

    /// The same notification with that progress, in the lane where it belongs.
    fn successor(&self, envelope: &Envelope, progress: Progress) -> Envelope {
        Envelope { progress, lane: self.lane_of(envelope), notification: envelope.notification.clone() }
    }
}

/// Logs why it was not, if it was not.
pub(super) fn settled(result: Result<(), BrokerError>, envelope: Option<&Envelope>) {
    if let Err(error) = result {
        let notification = envelope.map(|envelope| envelope.notification.id().as_str());
        tracing::warn!(notification, %error, "a message was not settled and will come again");
    }
}
