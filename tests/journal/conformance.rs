//! What every journal must do, whatever it is built on: one suite.
//!
//! `conformance_suite!(start)` makes a test of every case; `start` is an `async fn() -> impl Ground` that makes an empty place for a
//! journal.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::future::join_all;
use paynotify::domain::{AttemptNumber, Envelope, Held, NotificationId, Outcome, Progress, Taken};
use paynotify::journal::{
    Acceptance, Attempt, Bounds, Entry, Journal, Kept, Lookup, Recording, Retention, State, Story, Transcript,
};

pub use crate::keeping::*;
pub use crate::operating::*;
pub use crate::searching::*;
pub use crate::seeking::*;
use crate::telling::*;

/// A place for a journal, which several gateways can open at once.
#[async_trait]
pub trait Ground: Send + Sync {
    /// Opens the journal, as one more gateway.
    async fn open_with(&self, bounds: Bounds) -> Arc<dyn Journal>;

    /// What `plugin replay` finds there.
    async fn look_up(&self, id: &NotificationId, number: Option<u32>) -> Lookup;

    /// Changes something behind the journals' backs.
    async fn execute(&self, sql: &'static str);

    /// [`open_with`](Self::open_with) the default bounds.
    async fn open(&self) -> Arc<dyn Journal> {
        self.open_with(Bounds::default()).await
    }
}

macro_rules! conformance_suite {
    ($start:path) => {
        crate::conformance::conformance_suite!(@ $start:
            a_story_comes_out_as_it_went_in
            each_state_comes_out_as_it_went_in
            a_state_never_goes_back
            a_message_is_held_against_how_far_its_notification_has_come
            an_entry_that_comes_too_late_is_told_what_is_there
            entries_of_one_notification_at_once_make_one_current
            a_beginning_is_known_to_every_process_at_once
            of_many_gateways_at_once_one_makes_the_attempt
            a_state_that_cannot_be_read_harms_nobody_else
            a_notification_is_accepted_once
            senders_at_once_get_one_answer_each
            what_nothing_was_heard_of_for_long_is_missing_once
            an_ending_is_untold_until_it_is_told
            what_is_held_is_released_by_pages
            what_has_ended_is_begun_anew_once
            what_is_not_to_be_begun_anew_stays_as_it_is
            a_message_of_an_earlier_replay_is_behind
            a_pause_and_its_end_are_known_to_every_gateway_and_audited_once
            the_audit_is_read_by_pages
            what_waits_is_counted_by_what_it_waits_for
            a_transcript_is_found_by_its_attempt_also_when_the_journal_is_closed
            transcripts_that_are_too_old_go_and_nothing_else_does
            a_text_with_a_nul_harms_nobody
            what_has_ended_long_ago_goes_and_nothing_else_does
            of_what_is_too_much_the_oldest_transcripts_go_first
            a_list_is_told_page_by_page_newest_first
            no_row_comes_twice_or_is_missing_while_rows_are_added
            all_conditions_hold_together_as_a_model_has_it
            a_row_is_found_by_what_it_is_now
            a_row_that_cannot_be_read_is_passed_over
            a_transcript_is_found_beside_the_writer
        );
    };
    (@ $start:path: $($case:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                crate::conformance::$case(&$start().await).await;
            }
        )*
    };
}
pub(crate) use conformance_suite;

pub async fn a_story_comes_out_as_it_went_in(ground: &dyn Ground) {
    let journal = &*ground.open().await;
    assert_eq!(journal.story(&id("n1")).await.expect("readable"), None);
    record(journal, entry("n1", 1_200, waiting(2), Some(attempt(1)))).await;
    record(journal, entry("n1", 1_300, held(), None)).await;
    // The same number again, as after a crash; and an attempt without a reply.
    let broken = Attempt { status: None, reply: None, detail: Some("reset".to_owned()), ..attempt(1) };
    record(journal, entry("n1", 1_400, waiting(2), Some(broken.clone()))).await;
    record(journal, entry("n2", 1_450, waiting(9), Some(attempt(8)))).await;
    record(journal, entry("n1", 1_500, ended(2), Some(attempt(2)))).await;
    let expected = Story {
        notification_id: id("n1"),
        merchant_id: "shop".parse().expect("an id"),
        merchant_order_id: Some("order-1".to_owned()),
        first_seen: at(0),
        updated_at: at(1_500),
        state: ended(2),
        attempts: vec![attempt(1), broken, attempt(2)],
        replays: Vec::new(),
    };
    assert_eq!(story(journal, "n1").await, expected);
    journal.close().await;
}

pub async fn each_state_comes_out_as_it_went_in(ground: &dyn Ground) {
    let journal = &*ground.open().await;
    for (name, state_in) in [
        ("a", State::Received),
        ("b", State::Accepted),
        ("c", waiting(u32::MAX)),
        ("d", held()),
        (
            "e",
            State::Ended {
                outcome: "confirmed".to_owned(),
                detail: None,
                attempts_made: 0,
                ended_at: at(7),
                replay: 0,
            },
        ),
    ] {
        record(journal, entry(name, 0, state_in.clone(), None)).await;
        assert_eq!(state(journal, name).await, state_in);
    }
}

pub async fn a_state_never_goes_back(ground: &dyn Ground) {
    let journal = &*ground.open().await;
    let (received, accepted, waiting, ended) = (State::Received, State::Accepted, waiting(2), ended(2));
    for (from, to, becomes) in [
        (&received, &accepted, &accepted),
        (&received, &waiting, &waiting),
        (&accepted, &received, &accepted),
        (&waiting, &accepted, &waiting),
        (&waiting, &received, &waiting),
        (&waiting, &held(), &held()),
        (&ended, &received, &ended),
        (&ended, &accepted, &ended),
        (&ended, &waiting, &ended),
        (&ended, &held(), &ended),
    ] {
        let name = format!("n-{}", uuid::Uuid::now_v7().simple());
        record(journal, entry(&name, 1_000, from.clone(), Some(attempt(1)))).await;
        record(journal, entry(&name, 2_000, to.clone(), Some(attempt(2)))).await;
        let story = story(journal, &name).await;
        assert_eq!(&story.state, becomes, "{from:?} then {to:?}");
        assert_eq!(story.attempts.len(), 2, "a late duplicate's attempt is kept all the same");
        assert_eq!(story.updated_at, at(2_000));
    }
}

pub async fn a_message_is_held_against_how_far_its_notification_has_come(ground: &dyn Ground) {
    let journal = &*ground.open().await;
    let (sent, other) = (envelope("n1", ""), envelope("n1", " "));
    let first = taken(sent.progress);
    assert_eq!(journal.accept(&sent).await.expect("an answer"), Acceptance::Publish);
    assert_eq!(take_up(journal, &sent, first).await, "attempt", "it has only come in");
    assert_eq!(take_up(journal, &other, first).await, "another text");
    record(journal, entry("n1", 1, waiting(2), Some(attempt(1)))).await;
    let behind = at(60_000).after(LAG);
    assert_eq!(take_up(journal, &sent, first).await, progress(2, behind, None));
    let again = Taken { redelivered: true, ..first };
    assert_eq!(take_up(journal, &sent, again).await, progress(2, at(60_000), None));
    record(journal, entry("n1", 2, held(), None)).await;
    let row = Held { since: at(4_000), count: NonZeroU32::MIN };
    assert_eq!(take_up(journal, &sent, again).await, progress(2, at(64_000), Some(row)));
    let next = Progress { attempt: AttemptNumber::FIRST.next(), held: Some(row), ..sent.progress };
    assert_eq!(take_up(journal, &sent, taken(next)).await, "attempt");
    record(journal, entry("n1", 3, ended(2), None)).await;
    let stopped = Outcome::Stopped { reason: "genug".to_owned() };
    let ending = format!("finish {stopped:?} 2 {} {}", at(0), at(1_500));
    assert_eq!(take_up(journal, &sent, again).await, ending);
    assert_eq!(take_up(journal, &sent, first).await, "forget");
    assert_eq!(take_up(journal, &other, first).await, "another text");
}

pub async fn an_entry_that_comes_too_late_is_told_what_is_there(ground: &dyn Ground) {
    let journal = &*ground.open().await;
    let due = |milliseconds| State::Waiting { next_attempt: 2, due: at(milliseconds), replay: 0 };
    let behind = async |state: State| match journal.record(entry("n1", 1, state, None)).await {
        Ok(Recording::Current(_)) => "current".to_owned(),
        Ok(Recording::Behind(standing)) => told(&standing),
        Err(error) => panic!("{error}"),
    };
    assert_eq!(behind(due(1)).await, "current");
    assert_eq!(behind(due(1)).await, "current", "the same entry again, because its answer was lost");
    assert_eq!(behind(due(2)).await, progress(2, at(1), None), "another message was as far as this one");
    assert_eq!(behind(waiting(3)).await, "current");
    assert_eq!(behind(due(2)).await, progress(3, at(60_000), None));
    assert_eq!(behind(ended(3)).await, "current");
    assert_eq!(behind(ended(3)).await, "current");
    assert!(behind(waiting(4)).await.starts_with("Stopped"));
    assert!(behind(ended(4)).await.starts_with("Stopped"));
    assert_eq!(state(journal, "n1").await, ended(3));
}

pub async fn entries_of_one_notification_at_once_make_one_current(ground: &dyn Ground) {
    let journal = &*ground.open().await;
    let due = |number| State::Waiting { next_attempt: 2, due: at(number), replay: 0 };
    let entries = (0..40).map(|number| journal.record(entry("n1", 1, due(number), None)));
    let current = join_all(entries).await.into_iter().filter(|recording| match recording {
        Ok(Recording::Current(_)) => true,
        Ok(Recording::Behind(_)) => false,
        Err(error) => panic!("{error}"),
    });
    assert_eq!(current.count(), 1);
}

pub async fn a_beginning_is_known_to_every_process_at_once(ground: &dyn Ground) {
    let (here, there) = (&*ground.open().await, &*ground.open().await);
    let sent = envelope("n1", "");
    let first = Taken { gateway: here.gateway(), ..taken(sent.progress) };
    let other = Taken { gateway: there.gateway(), at: at(2_500), ..first };
    let later = Taken { at: at(2_000).after(LAG), ..other };
    let wait = progress(1, at(2_000).after(LAG), None);
    assert_eq!(take_up(here, &sent, first).await, "attempt");
    assert_eq!(state(there, "n1").await, State::Accepted);
    assert_eq!(take_up(there, &sent, other).await, wait);
    let lost = Taken { redelivered: true, ..other };
    assert_eq!(take_up(there, &sent, lost).await, "wait", "the first one lives, and may be at it");
    assert_eq!(take_up(here, &sent, first).await, "attempt", "the answer was lost, and it asks once more");
    assert_eq!(take_up(there, &sent, other).await, wait);
    assert_eq!(take_up(there, &sent, later).await, "attempt again", "nothing was heard of it");
    there.close().await;
    let there = &*ground.open().await;
    let last = Taken { redelivered: true, gateway: there.gateway(), ..later };
    assert_eq!(
        once_nobody_lives(there, &sent, last).await,
        "interrupted",
        "it was cut off twice, and nobody is at it"
    );
    // A hold or an attempt comes between: it is another place.
    record(here, entry("n1", 2, held(), None)).await;
    let row = Held { since: at(4_000), count: NonZeroU32::MIN };
    let next = Progress { attempt: AttemptNumber::FIRST.next(), held: Some(row), ..sent.progress };
    assert_eq!(take_up(there, &sent, Taken { progress: next, ..last }).await, "attempt");
}

pub async fn of_many_gateways_at_once_one_makes_the_attempt(ground: &dyn Ground) {
    let gateways = [ground.open().await, ground.open().await, ground.open().await];
    // At first the row is written by who comes first; then it is there already, and all of them may read it before one writes.
    for round in ["unknown", "accepted"] {
        let sent: Vec<_> = (0..100).map(|number| envelope(&format!("{round}{number}"), "")).collect();
        if round == "accepted" {
            let accepted = join_all(sent.iter().map(|sent| gateways[0].accept(sent))).await;
            assert!(accepted.into_iter().all(|answer| answer.expect("an answer") == Acceptance::Publish));
        }
        let asked = gateways.iter().zip(1..).flat_map(|(journal, gateway)| {
            sent.iter().map(move |sent| async move {
                take_up(&**journal, sent, Taken { gateway, ..taken(sent.progress) }).await
            })
        });
        let answers = join_all(asked).await;
        for number in 0..100 {
            let attempts =
                (0..3).filter(|gateway| answers[gateway * 100 + number].starts_with("attempt")).count();
            assert_eq!(attempts, 1, "{round}{number}");
        }
    }
}

pub async fn a_state_that_cannot_be_read_harms_nobody_else(ground: &dyn Ground) {
    let journal = &*ground.open().await;
    record(journal, entry("n1", 1, waiting(2), None)).await;
    ground.execute("UPDATE notification SET state = '{\"state\":\"odd\"}'").await;
    let sent = envelope("n1", "");
    assert_eq!(take_up(journal, &sent, taken(sent.progress)).await, "attempt");
    record(journal, entry("n2", 1, waiting(2), None)).await;
    record(journal, entry("n1", 1, waiting(3), None)).await;
    assert_eq!(state(journal, "n1").await, waiting(3), "the next entry mends it");
}

pub async fn a_notification_is_accepted_once(ground: &dyn Ground) {
    let journal = &*ground.open().await;
    let (sent, other) = (envelope("n1", ""), envelope("n1", r#","payment_id":"p""#));
    let accept = async |envelope: &Envelope| journal.accept(envelope).await.expect("an answer");
    assert_eq!(accept(&sent).await, Acceptance::Publish);
    assert_eq!(state(journal, "n1").await, State::Received);
    assert_eq!(accept(&sent).await, Acceptance::Publish, "it never reached the broker");
    assert_eq!(accept(&other).await, Acceptance::Conflict);
    journal.accepted(&id("n1")).await;
    // The note is not waited for, and whoever asks after it finds it all the same.
    assert_eq!(accept(&sent).await, Acceptance::AlreadyThere);
    assert_eq!(state(journal, "n1").await, State::Accepted);
    assert_eq!(accept(&other).await, Acceptance::Conflict);
    for state_in in [waiting(2), ended(1)] {
        record(journal, entry("n1", 1, state_in.clone(), None)).await;
        journal.accepted(&id("n1")).await;
        assert_eq!(accept(&sent).await, Acceptance::AlreadyThere);
        assert_eq!(state(journal, "n1").await, state_in, "it does not go back");
        assert_eq!(accept(&other).await, Acceptance::Conflict);
    }
    journal.accepted(&id("unknown")).await;
    // One that came by the broker, and was never accepted here.
    record(journal, entry("n2", 1, waiting(2), None)).await;
    assert_eq!(accept(&envelope("n2", "")).await, Acceptance::AlreadyThere);
    assert_eq!(accept(&envelope("n2", " ")).await, Acceptance::Conflict, "not the same bytes");
    assert_eq!(journal.story(&id("unknown")).await.expect("readable"), None);
}

pub async fn senders_at_once_get_one_answer_each(ground: &dyn Ground) {
    let journal = &*ground.open().await;
    let (one, two) = (envelope("n1", ""), envelope("n1", r#","payment_id":"p""#));
    let senders = (0..40).map(|number| journal.accept(if number % 2 == 0 { &one } else { &two }));
    let answers: Vec<_> = join_all(senders).await.into_iter().map(|answer| answer.expect("one")).collect();
    let of = |answer| answers.iter().filter(|given| **given == answer).count();
    assert_eq!((of(Acceptance::Publish), of(Acceptance::Conflict)), (20, 20));
    assert_eq!(answers[0], answers[2], "the same content has the same answer");
}

pub async fn a_transcript_is_found_by_its_attempt_also_when_the_journal_is_closed(ground: &dyn Ground) {
    let journal = &*ground.open().await;
    record(journal, with_transcript(entry("n1", 1_000, waiting(2), Some(attempt(1))), 1, "{\"a\":1}")).await;
    record(journal, with_transcript(entry("n1", 2_000, held(), None), 2, "{\"fault\":1}")).await;
    record(journal, with_transcript(entry("n1", 3_000, ended(2), Some(attempt(2))), 2, "{\"a\":2}")).await;
    record(journal, entry("n2", 3_000, ended(1), Some(attempt(1)))).await;
    let found = |number, at_ms, content: &str| {
        Lookup::Found(Kept {
            raw: envelope("n1", "").notification.raw,
            recorded_at: at(at_ms),
            transcript: Transcript { number, replay: 0, content: content.to_owned() },
        })
    };
    for open in [true, false] {
        assert_eq!(kept(ground, "n1", None).await, found(2, 3_000, "{\"a\":2}"), "the last of the last");
        assert_eq!(kept(ground, "n1", Some(1)).await, found(1, 1_000, "{\"a\":1}"));
        assert_eq!(kept(ground, "n1", Some(3)).await, Lookup::NotKept { numbers: vec![1, 2] });
        assert_eq!(kept(ground, "n2", None).await, Lookup::NotKept { numbers: Vec::new() });
        assert_eq!(kept(ground, "n3", None).await, Lookup::Unknown);
        if open {
            journal.close().await;
        }
    }
}

pub async fn transcripts_that_are_too_old_go_and_nothing_else_does(ground: &dyn Ground) {
    let retention = Retention { transcripts: Duration::from_secs(10), ..Retention::default() };
    let journal = &*ground.open_with(Bounds { retention, ..Bounds::default() }).await;
    // A database may remove them in steps, of which there is one at 64.
    for number in 1..=64 {
        let at = i64::from(number) * 1_000;
        record(
            journal,
            with_transcript(entry("n1", at, waiting(number + 1), Some(attempt(number))), number, "{}"),
        )
        .await;
    }
    let Lookup::NotKept { numbers } = kept(ground, "n1", Some(99)).await else { panic!("there is none") };
    assert_eq!(numbers, (54..=64).collect::<Vec<_>>());
    assert_eq!(story(journal, "n1").await.attempts.len(), 64, "attempts stay");
    journal.close().await;
}

/// What a message is to do once whoever began its attempt is known to be gone, which may take a moment.
pub async fn once_nobody_lives(journal: &dyn Journal, envelope: &Envelope, message: Taken) -> String {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let step = take_up(journal, envelope, message).await;
        if step != "wait" || Instant::now() > deadline {
            return step;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub async fn kept(ground: &dyn Ground, name: &str, number: Option<u32>) -> Lookup {
    ground.look_up(&id(name), number).await
}

/// A merchant may answer with anything.
pub async fn a_text_with_a_nul_harms_nobody(ground: &dyn Ground) {
    let journal = &*ground.open().await;
    let nul = || Some("a\0b".to_owned());
    let answered = Attempt { reply: nul(), detail: nul(), ..attempt(1) };
    let State::Ended { outcome, attempts_made, ended_at, .. } = ended(1) else { panic!("it has ended") };
    let state = State::Ended { outcome, detail: nul(), attempts_made, ended_at, replay: 0 };
    let odd = Entry { merchant_order_id: nul(), ..entry("odd", 1, state, Some(answered)) };
    let (one, other) = tokio::join!(journal.record(odd), journal.record(entry("good", 1, waiting(2), None)));
    assert!(matches!((one, other), (Ok(Recording::Current(_)), Ok(Recording::Current(_)))));
    let story = story(journal, "odd").await;
    let reply = story.attempts[0].reply.as_deref().expect("a reply");
    assert!(["a\0b", "a\u{fffd}b"].contains(&reply), "{reply:?}");
}
