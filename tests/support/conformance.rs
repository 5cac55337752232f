//! What every broker must do, whatever it is built on: one suite, and the fixture that its cases are told with.
//!
//! `conformance_suite!(start)` makes a test of every case; `start` is an `async fn(Options) -> Box<dyn Probe>` that
//! opens the broker on data of its own. A case does things through the [`Fixture`], which keeps account of them; when
//! the case is over, [`Fixture::end`] closes the broker and holds it to the account: every ending told exactly once,
//! every poisoned message kept whole with its reason, and nothing else left anywhere.
//!
//! No case sleeps, except until something is truly due, and where it must show that nothing comes.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use paynotify::broker::{Broker, Content, Delivery};
use paynotify::domain::{Envelope, Moment, Notification, Outcome, OutcomeEvent, Recorded, Standing};
use paynotify::journal::{Entry, Journal, Recording, Settings, SqliteJournal, State};
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::timeout;

/// How a broker is to be opened for a case.
#[derive(Clone, Debug)]
pub struct Options {
    /// The most deliveries that may be out at a time.
    pub prefetch: usize,
    /// The same of the slow lane.
    pub slow_prefetch: usize,
    /// The waits that notifications are parked for, for a broker that must know them beforehand.
    pub rungs: Vec<Duration>,
}

impl Default for Options {
    fn default() -> Self {
        Self { prefetch: 64, slow_prefetch: 64, rungs: RUNGS.to_vec() }
    }
}

/// The waits that the cases use.
pub const RUNGS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(2)];
/// How late a message may be.
const LATEST: Duration = Duration::from_millis(100);
/// How long a message that is there may take to come. Only a test that fails waits for so long.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long nothing must come, where nothing may.
const SILENCE: Duration = Duration::from_millis(300);
/// As the real caller does: a message that is due within this is waited for, with the delivery in hand.
const WORTH_WAITING: Duration = Duration::from_millis(250);

/// What a case must see of a broker, and do to it, from outside.
#[async_trait]
pub trait Probe: Send + Sync {
    /// The broker as it is open now.
    fn broker(&self) -> Arc<dyn Broker>;

    /// Closes it and opens it again on the same data. It may have been closed already.
    async fn restart(&mut self);

    /// The payment centre's events so far, in any order: routing key and body.
    async fn outcome_events(&self) -> Vec<(String, Value)>;

    /// The messages in the poison queue, in any order: body and reason.
    async fn poisoned(&self) -> Vec<(Bytes, String)>;

    /// How many messages wait, wherever they do, but for the poison queue and the events. Asked when the broker is
    /// closed.
    async fn waiting(&self) -> usize;

    /// Puts a message in, due at once, as a producer would that keeps no rules. Nothing is out; the broker may be
    /// opened again for it.
    async fn inject(&self, body: Bytes, headers: &[(&'static str, &str)]);
}

/// A broker, a journal to record endings in, and the account of what a case did.
pub struct Fixture {
    /// The way to the broker.
    pub probe: Box<dyn Probe>,
    journal: SqliteJournal,
    events: Mutex<Vec<String>>,
    poison: Mutex<Vec<(Bytes, String)>>,
    _folder: TempDir,
}

impl Fixture {
    pub async fn new(probe: Box<dyn Probe>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let settings = Settings::new(folder.path().join("journal.db"));
        let journal = SqliteJournal::open(settings).await.expect("a journal");
        Self { probe, journal, events: Mutex::default(), poison: Mutex::default(), _folder: folder }
    }

    /// Closes the broker and compares what it holds with the account.
    pub async fn end(self) {
        self.broker().close().await;
        let mut events: Vec<_> = self.probe.outcome_events().await.iter().map(told).collect();
        let mut expected = self.events.into_inner().expect("not poisoned");
        events.sort();
        expected.sort();
        assert_eq!(events, expected, "each ending is told exactly once");
        let mut poisoned = self.probe.poisoned().await;
        let mut expected = self.poison.into_inner().expect("not poisoned");
        poisoned.sort();
        expected.sort();
        assert_eq!(poisoned, expected, "each poisoned message is kept whole");
        assert_eq!(self.probe.waiting().await, 0, "nothing is left unsettled");
        self.journal.close().await;
    }

    pub fn broker(&self) -> Arc<dyn Broker> {
        self.probe.broker()
    }

    pub async fn publish(&self, envelope: &Envelope) {
        self.broker().publish(envelope).await.expect("published");
    }

    /// The next delivery, whatever it is.
    pub async fn take(&self) -> Delivery {
        let next = timeout(PATIENCE, self.broker().next()).await;
        next.expect("a message comes").expect("the broker is taking")
    }

    /// The next delivery, which is readable.
    pub async fn take_readable(&self) -> (Envelope, Delivery) {
        let delivery = self.take().await;
        (readable(&delivery), delivery)
    }

    /// The next delivery that is due, as the real caller takes it: one that is early is waited for in hand when it
    /// is nearly due, and parked again otherwise. The moment is the one at which it was ready to be worked on.
    pub async fn take_due(&self) -> (Envelope, Delivery, Moment) {
        loop {
            let (envelope, delivery) = self.take_readable().await;
            let early = envelope.progress.due.since(now());
            if early > WORTH_WAITING {
                delivery.receipt.park(&envelope).await.expect("parked again");
                continue;
            }
            tokio::time::sleep(early).await;
            return (envelope, delivery, now());
        }
    }

    /// Shows that no message comes.
    pub async fn nothing_comes(&self) {
        assert!(timeout(SILENCE, self.broker().next()).await.is_err(), "nothing more may come");
    }

    /// Ends a delivery as confirmed.
    pub async fn finish(&self, envelope: &Envelope, delivery: Delivery) {
        let event = event(envelope, &Outcome::Confirmed { detail: None });
        let recorded = self.recorded(envelope, &event).await;
        delivery.receipt.finish(&event, recorded).await.expect("finished");
        self.expect_event(&event);
    }

    /// Poisons a delivery, with an event if it was abandoned.
    pub async fn poison(&self, body: Bytes, reason: &str, event: Option<&OutcomeEvent>, delivery: Delivery) {
        delivery.receipt.poison(reason, event).await.expect("poisoned");
        self.poison.lock().expect("not poisoned").push((body, reason.to_owned()));
        if let Some(event) = event {
            self.expect_event(event);
        }
    }

    /// One of those is to be there no more.
    pub fn expect_unpoisoned(&self, reason: &str) {
        let mut poison = self.poison.lock().expect("not poisoned");
        let place = poison.iter().position(|(_, poisoned)| poisoned == reason).expect("it was poisoned");
        poison.remove(place);
    }

    /// The proof that the journal knows of an ending, which only a journal gives.
    pub async fn recorded(&self, envelope: &Envelope, event: &OutcomeEvent) -> Recorded {
        recorded(&self.journal, envelope, event).await
    }

    fn expect_event(&self, event: &OutcomeEvent) {
        let body = serde_json::to_value(event).expect("JSON");
        self.events.lock().expect("not poisoned").push(told(&(event.routing_key(), body)));
    }
}

/// The proof that a journal knows of an ending.
pub async fn recorded(journal: &SqliteJournal, envelope: &Envelope, event: &OutcomeEvent) -> Recorded {
    let at = now();
    let entry = Entry {
        notification_id: envelope.notification.id().clone(),
        merchant_id: envelope.notification.merchant().clone(),
        merchant_order_id: None,
        raw: envelope.notification.raw.clone(),
        first_seen: envelope.progress.first_seen,
        at,
        state: State::Ended {
            outcome: event.outcome.to_owned(),
            detail: None,
            attempts_made: event.attempts,
            ended_at: at,
            replay: envelope.progress.replay,
        },
        attempt: None,
        transcript: None,
    };
    match journal.record(entry).await.expect("recorded") {
        Recording::Current(recorded) => recorded,
        // Ended before, by another message.
        Recording::Behind(Standing::Ended(ending)) => ending.recorded,
        Recording::Behind(Standing::Waiting(progress)) => {
            panic!("an ending is never behind {progress:?}")
        }
    }
}

fn told((routing_key, body): &(String, Value)) -> String {
    format!("{routing_key} {body}")
}

/// The moment, by the clock on the wall.
pub fn now() -> Moment {
    Moment::EPOCH.after(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970"))
}

/// A new notification of that name.
pub fn envelope(id: &str) -> Envelope {
    envelope_with(id, "")
}

/// The same, with more fields in its record, each beginning with a comma.
pub fn envelope_with(id: &str, more: &str) -> Envelope {
    let body = format!(
        r#"{{"schema":"payment-result/1","notification_id":"{id}","merchant_id":"m","kind":"payment"{more}}}"#
    );
    Envelope::new(Notification::parse(body.into()).expect("a record"), now())
}

/// What a message holds.
pub fn readable(delivery: &Delivery) -> Envelope {
    match &delivery.content {
        Content::Readable(envelope) => (**envelope).clone(),
        Content::Unreadable(reason) => panic!("unreadable: {reason}"),
    }
}

pub fn event(envelope: &Envelope, outcome: &Outcome) -> OutcomeEvent {
    let progress = &envelope.progress;
    OutcomeEvent::new(&envelope.notification, outcome, progress.attempt.get(), progress.first_seen, now())
}

pub fn assert_same(left: &Envelope, right: &Envelope) {
    assert_eq!(left.notification.raw, right.notification.raw);
    assert_eq!((left.progress, left.lane), (right.progress, right.lane));
}

/// Not before it was due, and at most [`LATEST`] after.
pub fn assert_on_time(envelope: &Envelope, at: Moment) {
    let (due, late) = (envelope.progress.due, at.since(envelope.progress.due));
    assert!(at >= due, "{} came {:?} early", envelope.notification.id(), due.since(at));
    assert!(late <= LATEST, "{} came {late:?} late", envelope.notification.id());
}

/// Makes a test of every case: `conformance_suite!(start)` or, for a broker that is not always there,
/// `conformance_suite!(#[ignore = "why"] start)`.
macro_rules! conformance_suite {
    ($(#[$meta:meta])* $start:path) => {
        $crate::support::conformance::conformance_suite! { @ [$(#[$meta])*] $start:
            a_message_that_is_finished_leaves_one_event
            content_and_progress_come_back_as_they_were
            one_who_waits_is_woken_by_a_message
            a_parked_message_comes_back_on_time
            a_message_that_is_hastened_comes_now
            a_longer_wait_does_not_delay_a_shorter_one
            a_new_message_waits_for_its_moment
            a_parked_message_survives_a_restart
            parking_replaces_the_message
            a_dropped_delivery_comes_again
            a_delivery_that_is_handed_back_comes_again
            a_delivery_lost_in_a_panic_rests_and_comes_again
            only_what_is_unsettled_comes_again_after_a_restart
            no_more_is_out_than_the_prefetch
            each_lane_has_slots_of_its_own
            only_what_was_out_before_is_redelivered
            a_further_message_is_forgotten_without_an_event
            an_unreadable_body_is_poisoned_whole
            an_unreadable_header_is_poisoned_whole
            a_bare_record_is_a_new_notification
            an_abandoned_notification_is_poisoned_and_told
            what_is_poisoned_is_seen_put_back_and_thrown_away
            operators_at_once_do_not_hurt_each_other
            what_is_out_can_be_settled_after_taking_has_stopped
            closing_ends_everything_and_can_be_done_twice
            thousands_at_once_add_up
        }
    };
    (@ $metas:tt $start:path: $($case:ident)+) => {
        $($crate::support::conformance::conformance_suite! { @@ $metas $start, $case })+
    };
    (@@ [$(#[$meta:meta])*] $start:path, $case:ident) => {
        #[tokio::test(flavor = "multi_thread")]
        $(#[$meta])*
        async fn $case() {
            use $crate::support::{conformance, conformance_cases};
            let probe = $start(conformance_cases::options(stringify!($case))).await;
            let mut fixture = conformance::Fixture::new(probe).await;
            conformance_cases::$case(&mut fixture).await;
            fixture.end().await;
        }
    };
}
pub(crate) use conformance_suite;
