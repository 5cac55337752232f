//! What the journal's tests are told with: notifications, entries, and messages that are taken up.

use std::num::NonZeroU32;
use std::time::Duration;

use paynotify::domain::{
    AttemptNumber, Behind, Envelope, Held, Moment, Notification, NotificationId, Progress, Standing, TakeUp,
    Taken,
};
use paynotify::journal::{Attempt, Entry, Journal, State, Story, Transcript};

pub fn at(milliseconds: i64) -> Moment {
    Moment::from_unix_milliseconds(1_800_000_000_000 + milliseconds)
}

pub fn id(text: &str) -> NotificationId {
    text.parse().expect("an id")
}

pub fn envelope(id: &str, more: &str) -> Envelope {
    let body = format!(
        r#"{{"schema":"payment-result/1","notification_id":"{id}","merchant_id":"shop","kind":"payment"{more}}}"#
    );
    Envelope::new(Notification::parse(body.into()).expect("a record"), at(0))
}

pub fn attempt(number: u32) -> Attempt {
    Attempt {
        number,
        started_at: at(i64::from(number) * 1_000),
        duration: Duration::from_millis(120 + u64::from(number)),
        plugin: "plain 0011aabb".to_owned(),
        method: "POST".to_owned(),
        url: "https://shop.example/notify".to_owned(),
        status: Some(200),
        reply: Some("fäil".to_owned()),
        result: "retry".to_owned(),
        detail: None,
        replay: 0,
    }
}

pub fn entry(id: &str, moment: i64, state: State, attempt: Option<Attempt>) -> Entry {
    let envelope = envelope(id, "");
    Entry {
        notification_id: envelope.notification.id().clone(),
        merchant_id: envelope.notification.merchant().clone(),
        merchant_order_id: Some("order-1".to_owned()),
        raw: envelope.notification.raw,
        first_seen: at(0),
        at: at(moment),
        state,
        attempt,
        transcript: None,
    }
}

pub fn waiting(next_attempt: u32) -> State {
    State::Waiting { next_attempt, due: at(60_000), replay: 0 }
}

pub fn held() -> State {
    let (holds, since) = (NonZeroU32::MIN, at(4_000));
    State::Held {
        next_attempt: 2,
        due: at(64_000),
        cause: "plugin_fault".to_owned(),
        reason: "plugin_missing".to_owned(),
        holds,
        since,
        replay: 0,
    }
}

pub fn ended(attempts: u32) -> State {
    State::Ended {
        outcome: "stopped".to_owned(),
        detail: Some("genug".to_owned()),
        attempts_made: attempts,
        ended_at: at(1_500),
        replay: 0,
    }
}

pub async fn record(journal: &dyn Journal, entry: Entry) {
    let _recording = journal.record(entry).await.expect("recorded");
}

pub async fn story(journal: &dyn Journal, name: &str) -> Story {
    journal.story(&id(name)).await.expect("readable").expect("known")
}

pub async fn state(journal: &dyn Journal, name: &str) -> State {
    story(journal, name).await.state
}

pub const LAG: Duration = Duration::from_secs(30);

/// A message that gateway 1 takes up at moment 2,000 for the first time.
pub fn taken(progress: Progress) -> Taken {
    Taken { progress, redelivered: false, gateway: 1, at: at(2_000), lag: LAG }
}

/// What a message is to do, in a form that can be compared.
pub async fn take_up(journal: &dyn Journal, envelope: &Envelope, message: Taken) -> String {
    match journal.take_up(&envelope.notification, message).await.expect("an answer") {
        TakeUp::Attempt(beginning) if beginning.again => "attempt again".to_owned(),
        TakeUp::Attempt(_) => "attempt".to_owned(),
        TakeUp::Wait => "wait".to_owned(),
        TakeUp::Interrupted => "interrupted".to_owned(),
        TakeUp::Behind(Behind::Follow(progress)) => told(&Standing::Waiting(progress)),
        TakeUp::Behind(Behind::Finish(ending)) => format!("finish {}", told(&Standing::Ended(ending))),
        TakeUp::Behind(Behind::Forget(_)) => "forget".to_owned(),
        TakeUp::Behind(Behind::Refuse) => "another text".to_owned(),
    }
}

pub fn told(standing: &Standing) -> String {
    match standing {
        Standing::Waiting(progress) => format!("{progress:?}"),
        Standing::Ended(ending) => {
            format!("{:?} {} {} {}", ending.outcome, ending.attempts, ending.first_seen, ending.at)
        }
    }
}

pub fn progress(attempt: u32, due: Moment, held: Option<Held>) -> String {
    let attempt = AttemptNumber::new(attempt).expect("not zero");
    told(&Standing::Waiting(Progress { attempt, due, first_seen: at(0), held, replay: 0 }))
}

pub fn id_of_merchant(name: &str) -> paynotify::domain::MerchantId {
    name.parse().expect("an id")
}

pub fn with_transcript(entry: Entry, number: u32, content: &str) -> Entry {
    Entry { transcript: Some(Transcript { number, replay: 0, content: content.to_owned() }), ..entry }
}
