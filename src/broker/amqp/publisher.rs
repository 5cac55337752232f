//! A publisher: one task that owns one channel, and the maker of [`Settled`].
//!
//! lapin pairs a returned message with the wrong confirm when several publishes are under way on a channel, and swaps
//! confirms when several tasks publish on clones of one. So no other task touches the channel; a batch is published
//! in sequence, every confirm of it is awaited before the next (a barrier), and which messages came back is told by
//! the number that each of them carries as its correlation id, never by the confirm that lapin hung it on.
//!
//! What is not answered in time is unknown, and ends the generation: it must not be acknowledged.
//!
//! RabbitMQ is relied on for two things. It gives a message back before it confirms it; a return after the last confirm
//! of its batch comes too late, and is only told. And its confirms name a tag: lapin would take an ack of everything
//! (tag 0) for a confirm of the message, too, that it is only about to write.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use lapin::message::BasicReturnMessage;
use lapin::options::BasicPublishOptions;
use lapin::types::ShortString;
use lapin::{Channel, Confirmation, PublisherConfirm};
use tokio::sync::{mpsc, oneshot};

use super::generation::{GaveUp, Generation, patiently};
use super::message::Outgoing;
use crate::broker::BrokerError;
use crate::domain::Recorded;

/// The most messages that are under way on one channel at once.
pub(super) const BATCH: usize = 128;

/// Proof that the broker has confirmed a message, or that there is nothing to publish. Whoever acknowledges must bring
/// one.
#[derive(Debug)]
#[must_use]
pub(super) struct Settled {
    /// Private, so that it is made here alone.
    _made_here: (),
}

impl Settled {
    /// Nothing is to be published: the ending is recorded, and another message brings its event.
    pub(super) fn already(_recorded: Recorded) -> Self {
        Self { _made_here: () }
    }
}

/// A message to publish, and whom to tell.
pub(super) struct Job {
    pub(super) message: Outgoing,
    pub(super) reply: oneshot::Sender<Result<Settled, BrokerError>>,
}

/// The task's state.
pub(super) struct Publisher {
    /// In confirm mode, and nobody else's.
    pub(super) channel: Channel,
    pub(super) jobs: mpsc::Receiver<Job>,
    pub(super) generation: Arc<Generation>,
    /// How long publishing a message, and confirming a batch, may take.
    pub(super) limit: Duration,
    /// The number of the last message; each has its own.
    pub(super) sequence: u64,
}

/// What became of one message of a batch.
enum Answer {
    Confirmed,
    /// It came back: no queue is bound where it went.
    Unroutable(String),
    Refused,
}

impl Publisher {
    /// Publishes until the generation ends or something goes wrong; says what.
    pub(super) async fn run(mut self) -> String {
        let mut jobs = Vec::with_capacity(BATCH);
        let generation = self.generation.clone();
        loop {
            tokio::select! {
                biased;
                reason = generation.ended() => return self.dismiss(&reason),
                taken = self.jobs.recv_many(&mut jobs, BATCH) => {
                    if taken == 0 {
                        return "every caller of a publisher is gone".to_owned();
                    }
                }
            }
            let (messages, replies): (Vec<_>, Vec<_>) =
                jobs.drain(..).map(|Job { message, reply }| (message, reply)).unzip();
            // What nobody is bound for is confirmed by any node, even by one that has lost its cluster.
            let proves_life = messages.iter().any(|message| message.must_arrive);
            match self.publish(messages).await {
                Ok(answers) => {
                    if proves_life && answers.iter().any(|answer| matches!(answer, Answer::Confirmed)) {
                        generation.note_confirmed();
                    }
                    if answers.iter().any(|answer| matches!(answer, Answer::Unroutable(_))) {
                        generation.ask_for_mending();
                    }
                    tell(replies, answers);
                }
                Err(Failure { error, reason }) => {
                    generation.end_because(reason.clone());
                    for reply in replies {
                        let _caller_is_gone = reply.send(Err(again(&error)));
                    }
                    return self.dismiss(&reason);
                }
            }
        }
    }

    /// Tells everybody in the queue that their messages were not published.
    fn dismiss(&mut self, reason: &str) -> String {
        self.jobs.close();
        while let Ok(job) = self.jobs.try_recv() {
            let _caller_is_gone = job.reply.send(Err(BrokerError::Away(reason.to_owned())));
        }
        reason.to_owned()
    }

    /// One batch: all out, all confirmed, then the answers in the order of the messages.
    async fn publish(&mut self, messages: Vec<Outgoing>) -> Result<Vec<Answer>, Failure> {
        let first = self.sequence + 1;
        let mut confirms = Vec::with_capacity(messages.len());
        for message in messages {
            confirms.push(self.send(message).await?);
        }
        let confirmations = async {
            let mut confirmations = Vec::with_capacity(confirms.len());
            for confirm in confirms {
                confirmations.push(confirm.await?);
            }
            lapin::Result::Ok(confirmations)
        };
        let confirmations = patiently(&self.generation, self.limit, confirmations).await??;
        sort_out(first, confirmations)
    }

    async fn send(&mut self, message: Outgoing) -> Result<PublisherConfirm, Failure> {
        self.sequence += 1;
        let Outgoing { address, mut properties, body, must_arrive } = message;
        if must_arrive {
            properties = properties.with_correlation_id(self.sequence.to_string().into());
        }
        let options = BasicPublishOptions { mandatory: must_arrive, immediate: false };
        let publish =
            self.channel.basic_publish(address.exchange, address.routing_key, options, &body, properties);
        Ok(patiently(&self.generation, self.limit, publish).await??)
    }
}

/// Gives each message its own confirm and its own return.
fn sort_out(first: u64, confirmations: Vec<Confirmation>) -> Result<Vec<Answer>, Failure> {
    let mut returned = HashMap::new();
    let mut acknowledged = Vec::with_capacity(confirmations.len());
    for confirmation in confirmations {
        let (ack, message) = match confirmation {
            Confirmation::Ack(message) => (true, message),
            Confirmation::Nack(message) => (false, message),
            Confirmation::NotRequested => return Err(Failure::fatal("the channel confirms nothing")),
        };
        acknowledged.push(ack);
        if let Some(message) = message {
            returned.insert(number_of(&message), message);
        }
    }
    let answers = (first..).zip(acknowledged).map(|(number, ack)| match returned.remove(&Some(number)) {
        Some(message) => Answer::Unroutable(message.reply_text.to_string()),
        None if ack => Answer::Confirmed,
        None => Answer::Refused,
    });
    let answers = answers.collect();
    if returned.is_empty() {
        return Ok(answers);
    }
    Err(strays(first, &returned))
}

/// Messages came back that are none of the batch. RabbitMQ gives a message back before it confirms it
/// (<https://www.rabbitmq.com/docs/confirms>); should it ever do so after, the delivery that the message replaced is
/// gone, and all that can be done is to tell which it was.
fn strays(first: u64, returned: &HashMap<Option<u64>, BasicReturnMessage>) -> Failure {
    let answered = |number: &Option<u64>| number.is_some_and(|number| (1..first).contains(&number));
    let late: Vec<&str> = returned
        .iter()
        .filter(|(number, _)| answered(number))
        .map(|(_, message)| message.properties.message_id().as_ref().map_or("(none)", ShortString::as_str))
        .collect();
    if late.is_empty() {
        return Failure::fatal("a message came back that nobody sent");
    }
    Failure::fatal(&format!(
        "RabbitMQ gave messages back that it had confirmed before, so these notifications may be lost: {}; \
         send them again",
        late.join(", ")
    ))
}

fn number_of(message: &BasicReturnMessage) -> Option<u64> {
    message.properties.correlation_id().as_ref()?.as_str().parse().ok()
}

/// Gives the answers.
fn tell(replies: Vec<oneshot::Sender<Result<Settled, BrokerError>>>, answers: Vec<Answer>) {
    for (reply, answer) in replies.into_iter().zip(answers) {
        let _caller_is_gone = reply.send(match answer {
            Answer::Confirmed => Ok(Settled { _made_here: () }),
            Answer::Unroutable(why) => {
                Err(BrokerError::Refused(format!("no queue takes the message ({why}): one is missing")))
            }
            Answer::Refused => {
                Err(BrokerError::Refused("a queue did not take the message; is one full?".to_owned()))
            }
        });
    }
}

/// Why a whole batch is unknown: for its callers, and for the generation that ends with it.
struct Failure {
    error: BrokerError,
    reason: String,
}

impl Failure {
    fn fatal(reason: &str) -> Self {
        Self { error: BrokerError::Away(reason.to_owned()), reason: reason.to_owned() }
    }
}

impl From<GaveUp> for Failure {
    fn from(gave_up: GaveUp) -> Self {
        let error = BrokerError::from(gave_up);
        let reason = match &error {
            BrokerError::Away(reason) => reason.clone(),
            BrokerError::Refused(_) | BrokerError::Unknown(_) => error.to_string(),
        };
        Self { error, reason }
    }
}

impl From<lapin::Error> for Failure {
    fn from(error: lapin::Error) -> Self {
        Self::fatal(&format!("publishing failed: {error}"))
    }
}

/// The same error for one more caller.
fn again(error: &BrokerError) -> BrokerError {
    match error {
        BrokerError::Away(reason) => BrokerError::Away(reason.clone()),
        BrokerError::Refused(reason) => BrokerError::Refused(reason.clone()),
        BrokerError::Unknown(limit) => BrokerError::Unknown(*limit),
    }
}
