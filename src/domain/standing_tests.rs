//! Several messages of one notification, gateways that crash, and an operator: held against a model.

use super::*;
use crate::domain::{
    Happened, Ladder, NextStep, Policy, ReplayRoute, TransportFailure, Verdict, begin_anew, next_step,
};
use proptest::prelude::*;

const LAG: Duration = Duration::from_secs(30);

/// A message, in a queue or out at a gateway.
struct Message {
    progress: Progress,
    redelivered: bool,
    /// At which gateway it is out, and how far that has come with it.
    out: Option<(usize, Stage)>,
}

/// The moments between which a crash can come.
enum Stage {
    Taken,
    Sent(Happened),
    /// What is to be done is decided and recorded.
    Decided(Todo),
    /// The successor or the event is confirmed; the acknowledgement is missing.
    Published,
}

enum Todo {
    Park(Progress),
    /// The end of that replay.
    Tell(u32),
    Forget,
}

struct Orphan {
    gateway: usize,
    progress: Progress,
    redelivered: bool,
    happened: Happened,
}

/// One notification, all its messages, the journal's word on it, the gateways, and a merchant that refuses so often.
struct World {
    now: Moment,
    messages: Vec<Message>,
    latest: Option<Progress>,
    /// How it ended, and as which replay; nothing while it is under way.
    ended: Option<(Outcome, u32)>,
    /// Whether the payment centre is known to have been told of that.
    told: bool,
    /// How often it was begun anew.
    replays: u32,
    begun: Option<Beginning>,
    /// Attempts whose message was lost with the connection, under way at gateways that live.
    orphans: Vec<Orphan>,
    /// How often each gateway has been started anew: one that comes up again is another one.
    lives: [u64; 3],
    refusals: usize,
    sent: Vec<(u32, u32, u32)>,
    events: usize,
    /// The most messages there were at a time.
    most: usize,
    /// Messages that were out at a crash.
    cut_off: usize,
    /// No time passes while an attempt is under way.
    prompt: bool,
}

impl World {
    fn new(refusals: usize) -> Self {
        let now = Moment::from_unix_milliseconds(1_000_000);
        let (messages, sent) = (Vec::new(), Vec::new());
        let mut world = Self {
            now,
            messages,
            latest: None,
            ended: None,
            told: false,
            replays: 0,
            begun: None,
            orphans: Vec::new(),
            lives: [0; 3],
            refusals,
            sent,
            events: 0,
            most: 1,
            cut_off: 0,
            prompt: false,
        };
        world.publish();
        world
    }

    fn publish(&mut self) {
        let attempt = crate::domain::AttemptNumber::FIRST;
        let progress = Progress { attempt, due: self.now, first_seen: self.now, held: None, replay: 0 };
        self.messages.push(Message { progress, redelivered: false, out: None });
    }

    fn known(&self) -> Known {
        match (&self.ended, self.latest) {
            (Some((outcome, replay)), _) => Known::Standing(Standing::Ended(Ending {
                outcome: outcome.clone(),
                replay: *replay,
                attempts: 0,
                first_seen: self.now,
                at: self.now,
                recorded: Recorded::after_commit(),
            })),
            (None, Some(latest)) => Known::Standing(Standing::Waiting(latest)),
            (None, None) => Known::Nothing,
        }
    }

    fn take_up(&self, progress: Progress, redelivered: bool, gateway: usize) -> TakeUp {
        let number = |gateway: usize| self.lives[gateway] * 10 + gateway as u64;
        let taken = Taken { progress, redelivered, gateway: number(gateway), at: self.now, lag: LAG };
        take_up(&taken, self.known(), self.begun, |asked| number((asked % 10) as usize) == asked)
    }

    fn todo(behind: Behind) -> Todo {
        match behind {
            Behind::Follow(progress) => Todo::Park(progress),
            Behind::Finish(ending) => Todo::Tell(ending.replay),
            Behind::Forget(_) => Todo::Forget,
            Behind::Refuse => panic!("it is the same text"),
        }
    }

    fn crash(&mut self, gateway: usize) {
        self.lives[gateway] += 1;
        self.orphans.retain(|orphan| orphan.gateway != gateway);
        for message in &mut self.messages {
            if message.out.take_if(|(holder, _)| *holder == gateway).is_some() {
                message.redelivered = true;
                self.cut_off += 1;
            }
        }
    }

    /// The gateway loses its connection to the broker, and goes on with what it is at.
    fn cut(&mut self, gateway: usize) {
        for message in &mut self.messages {
            let Some((_, stage)) = message.out.take_if(|(holder, _)| *holder == gateway) else { continue };
            let (progress, redelivered) = (message.progress, message.redelivered);
            message.redelivered = true;
            self.cut_off += 1;
            if let Stage::Sent(happened) = stage {
                self.orphans.push(Orphan { gateway, progress, redelivered, happened });
            }
        }
    }

    /// An attempt without a message comes to its end: it is recorded, and nothing can be settled.
    fn end_orphan(&mut self) {
        if let Some(Orphan { progress, redelivered, happened, .. }) = self.orphans.pop() {
            self.record(&progress, redelivered, happened);
        }
    }

    /// Hands the message out, or takes it one stage further; its turn comes when no other one of the same gateway
    /// is beyond the first stage.
    fn step(&mut self, index: usize, gateway: usize) {
        let Some(message) = self.messages.get_mut(index) else { return };
        let (progress, redelivered) = (message.progress, message.redelivered);
        let Some((holder, stage)) = message.out.take() else {
            if progress.due <= self.now {
                message.out = Some((gateway, Stage::Taken));
            }
            return;
        };
        let is_at_it = self.orphans.iter().any(|orphan| orphan.gateway == holder);
        let has_turn = |other: &Message| !matches!(&other.out, Some((at, stage)) if *at == holder && !matches!(stage, Stage::Taken));
        let next = match stage {
            Stage::Taken if is_at_it || !self.messages.iter().all(has_turn) => Stage::Taken,
            Stage::Taken => match self.take_up(progress, redelivered, holder) {
                TakeUp::Wait => Stage::Taken,
                TakeUp::Behind(behind) => Stage::Decided(Self::todo(behind)),
                TakeUp::Interrupted => Stage::Sent(Happened::NoReply(TransportFailure::Interrupted)),
                TakeUp::Attempt(beginning) => Stage::Sent(self.attempt(beginning)),
            },
            Stage::Sent(happened) => Stage::Decided(self.record(&progress, redelivered, happened)),
            Stage::Decided(todo) => {
                match todo {
                    Todo::Park(progress) => {
                        self.messages.push(Message { progress, redelivered: false, out: None });
                    }
                    Todo::Tell(replay) => {
                        self.events += 1;
                        self.told |= self.ended.as_ref().is_some_and(|(_, ended)| *ended == replay);
                    }
                    Todo::Forget => {}
                }
                Stage::Published
            }
            Stage::Published => {
                self.messages.remove(index);
                return;
            }
        };
        self.messages[index].out = Some((holder, next));
    }

    fn attempt(&mut self, beginning: Beginning) -> Happened {
        self.begun = Some(beginning);
        self.sent.push(beginning.place);
        let refused = self.sent.len() <= self.refusals;
        let retry = Verdict::Retry { after: None, reason: "no".to_owned() };
        Happened::Replied(if refused { retry } else { Verdict::Confirmed { detail: None } })
    }

    fn record(&mut self, progress: &Progress, redelivered: bool, happened: Happened) -> Todo {
        let ladder = Ladder::default();
        match next_step(*progress, &ladder, &Policy::default(), happened, self.now, 0) {
            NextStep::Finish(outcome) if self.is_to_end(progress.replay) => {
                self.ended = Some((outcome, progress.replay));
                self.told = false;
                Todo::Tell(progress.replay)
            }
            NextStep::Retry(next) | NextStep::Hold(next, _)
                if self.is_to_end(next.replay)
                    && self.latest.is_none_or(|latest| latest.place() < next.place()) =>
            {
                self.latest = Some(next);
                Todo::Park(next)
            }
            NextStep::Finish(_) | NextStep::Retry(_) | NextStep::Hold(..) => {
                let Known::Standing(standing) = self.known() else { panic!("it has come somewhere") };
                Self::todo(behind(progress, redelivered, standing, LAG).expect("it is behind"))
            }
        }
    }

    /// Whether the replay of that number has not ended, and no later one was begun.
    fn is_to_end(&self, replay: u32) -> bool {
        self.ended.is_none() && self.latest.map_or(0, |latest| latest.replay) <= replay
    }

    /// An operator wants it told once more: the journal is told first, and then, unless that is `cut_off`, a message is published.
    fn begin_anew(&mut self, cut_off: bool) {
        let Known::Standing(standing) = self.known() else { return };
        let Ok(progress) = begin_anew(Some(&standing), self.told, ReplayRoute::Id, self.now) else { return };
        assert!(self.told, "an end that was never told would be forgotten");
        (self.ended, self.latest, self.told) = (None, Some(progress), false);
        self.replays += 1;
        if !cut_off {
            self.put_back();
        }
    }

    /// Publishes what is under way from the journal: at once, or because it was missing.
    fn put_back(&mut self) {
        if let (None, Some(latest)) = (&self.ended, self.latest) {
            let progress = Progress { due: self.now, ..latest };
            self.messages.push(Message { progress, redelivered: false, out: None });
        }
    }

    fn attempting(&self) -> bool {
        let sent = |message: &Message| matches!(message.out, Some((_, Stage::Sent(_))));
        !self.orphans.is_empty() || self.messages.iter().any(sent)
    }

    /// Without further crashes everything comes to its end.
    fn settle(&mut self) {
        for _ in 0..10_000 {
            self.end_orphan();
            if self.messages.is_empty() && self.ended.is_none() {
                // Nothing has been heard of it for long.
                self.put_back();
            }
            if self.messages.is_empty() {
                return;
            }
            for index in (0..self.messages.len()).rev() {
                self.step(index, 0);
            }
            if self.messages.iter().all(|message| message.out.is_none()) {
                let due = self.messages.iter().map(|message| message.progress.due).min();
                self.now = due.map_or(self.now, |due| due.max(self.now));
            }
        }
        panic!("it never ends");
    }
}

#[derive(Clone, Debug)]
enum Event {
    Step {
        message: usize,
        gateway: usize,
    },
    Crash {
        gateway: usize,
    },
    Cut {
        gateway: usize,
    },
    EndOrphan,
    Publish,
    /// The search for what is missing finds it.
    PutBack,
    BeginAnew {
        cut_off: bool,
    },
    Pass(u64),
    /// An operator deletes a queue.
    Delete {
        message: usize,
    },
}

fn any_event(gateways: usize) -> impl Strategy<Value = Event> {
    prop_oneof![
        20 => (0..6usize, 0..gateways).prop_map(|(message, gateway)| Event::Step { message, gateway }),
        2 => (0..gateways).prop_map(|gateway| Event::Crash { gateway }),
        2 => (0..gateways).prop_map(|gateway| Event::Cut { gateway }),
        2 => Just(Event::EndOrphan),
        1 => Just(Event::Publish),
        1 => Just(Event::PutBack),
        2 => any::<bool>().prop_map(|cut_off| Event::BeginAnew { cut_off }),
        4 => (0..200_000u64).prop_map(Event::Pass),
        1 => (0..6usize).prop_map(|message| Event::Delete { message }),
    ]
}

/// What may happen beside the ordinary.
#[derive(Clone, Copy, PartialEq)]
enum Trouble {
    None,
    Cuts,
    CutsAndCrashes,
}

fn run(world: &mut World, events: Vec<Event>, trouble: Trouble) {
    for event in events {
        match event {
            Event::Step { message, gateway } => world.step(message, gateway),
            Event::Crash { gateway } if trouble == Trouble::CutsAndCrashes => world.crash(gateway),
            Event::Cut { gateway } if trouble != Trouble::None => world.cut(gateway),
            Event::EndOrphan => world.end_orphan(),
            Event::Publish => world.publish(),
            Event::PutBack => world.put_back(),
            Event::BeginAnew { cut_off } => world.begin_anew(cut_off),
            Event::Pass(_) if world.prompt && world.attempting() => {}
            Event::Pass(milliseconds) => world.now = world.now.after(Duration::from_millis(milliseconds)),
            // The message of an attempt that is under way without it would have to tell its end. When that is deleted, the
            // search for endings that nobody was told of tells it, which is not modelled here.
            Event::Delete { message } if world.ended.is_none() && world.orphans.is_empty() => {
                // One that is out is not in the queue, and one that waits elsewhere is what saves the notification.
                let waits = |message: &Message| message.out.is_none();
                let others = world.messages.iter().filter(|message| waits(message)).count();
                if others > 1 && world.messages.get(message).is_some_and(waits) {
                    world.messages.remove(message);
                }
            }
            Event::Crash { .. } | Event::Cut { .. } | Event::Delete { .. } => {}
        }
        // What was begun anew and never published is found missing, as long as the journal says that it is under way.
        let replayed = world.ended.is_none() && world.latest.is_some_and(|latest| latest.replay > 0);
        assert!(!world.messages.is_empty() || world.told || replayed, "lost");
        let replaced = |message: &&Message| matches!(message.out, Some((_, Stage::Published)));
        world.most = world.most.max(world.messages.len() - world.messages.iter().filter(replaced).count());
    }
    world.settle();
    assert!(world.ended.is_some() && world.told, "it ended and was told");
    let (_, replay) = world.ended.as_ref().expect("it has ended");
    assert_eq!(*replay, world.replays, "the last replay is the one that ended");
}

/// How many attempts a merchant that refuses so often gets to see, in the first run and so many replays.
fn attempts_in_all(refusals: usize, replays: u32) -> usize {
    let runs = 0..=replays;
    runs.fold(0, |made, _| made + (refusals.saturating_sub(made) + 1).min(7))
}

#[test]
fn one_that_was_cut_off_goes_on_in_time_and_a_further_one_waits_behind() {
    let at = |milliseconds| Moment::from_unix_milliseconds(milliseconds);
    let attempt = crate::domain::AttemptNumber::FIRST;
    let first = Progress { attempt, due: at(1_000), first_seen: at(1_000), held: None, replay: 0 };
    let latest = Progress { attempt: attempt.next(), due: at(4_000), ..first };
    let followed = |redelivered| {
        let step = behind(&first, redelivered, Standing::Waiting(latest), LAG);
        let Some(Behind::Follow(progress)) = step else { panic!("{step:?}") };
        progress
    };
    assert_eq!(followed(true), latest);
    assert_eq!(followed(false), Progress { due: at(34_000), ..latest });
}

#[test]
fn what_an_earlier_beginning_means() {
    let at = |milliseconds| Moment::from_unix_milliseconds(milliseconds);
    let attempt = crate::domain::AttemptNumber::FIRST;
    let progress = Progress { attempt, due: at(1_000), first_seen: at(1_000), held: None, replay: 0 };
    let taken = Taken { progress, redelivered: false, gateway: 1, at: at(5_000), lag: LAG };
    let again = Taken { redelivered: true, ..taken };
    let begun =
        |gateway, milliseconds, again| Beginning { place: (0, 1, 0), gateway, at: at(milliseconds), again };
    let said = |taken: &Taken, begun| match take_up(taken, Known::Nothing, begun, |gateway| gateway == 3) {
        TakeUp::Wait => "wait".to_owned(),
        TakeUp::Attempt(beginning) if beginning.again => "again".to_owned(),
        TakeUp::Attempt(_) => "attempt".to_owned(),
        TakeUp::Interrupted => "interrupted".to_owned(),
        TakeUp::Behind(Behind::Follow(next)) => format!("wait until {}", next.due.unix_milliseconds()),
        TakeUp::Behind(other) => panic!("{other:?}"),
    };
    assert_eq!(said(&taken, None), "attempt");
    assert_eq!(said(&again, None), "attempt", "it was handed out and never begun");
    assert_eq!(said(&taken, Some(Beginning { place: (0, 1, 1), ..begun(2, 4_900, true) })), "attempt");
    assert_eq!(said(&taken, Some(Beginning { place: (1, 1, 0), ..begun(2, 4_900, true) })), "attempt");
    assert_eq!(said(&taken, Some(begun(2, 4_000, false))), "wait until 34000");
    assert_eq!(said(&Taken { at: at(34_000), ..taken }, Some(begun(2, 4_000, false))), "again");
    assert_eq!(said(&taken, Some(begun(1, 5_000, false))), "attempt", "it asks once more");
    assert_eq!(said(&taken, Some(begun(1, 5_000, true))), "again", "it asks once more");
    assert_eq!(said(&taken, Some(begun(1, 4_000, false))), "again");
    assert_eq!(said(&again, Some(begun(2, 4_000, false))), "again");
    assert_eq!(said(&again, Some(begun(2, 4_000, true))), "interrupted");
    assert_eq!(said(&again, Some(begun(3, 4_000, false))), "wait", "that one lives");
    assert_eq!(said(&again, Some(begun(3, 4_000, true))), "wait");
    assert_eq!(said(&Taken { at: at(34_000), ..again }, Some(begun(3, 4_000, false))), "again");
    assert_eq!(said(&taken, Some(begun(3, 4_000, false))), "wait until 34000");
    let refused = take_up(&taken, Known::AnotherText, None, |_| true);
    assert!(matches!(refused, TakeUp::Behind(Behind::Refuse)), "{refused:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// However often it is published, one gateway that does not crash makes each attempt once and tells the end once.
    #[test]
    fn without_a_crash_there_is_one_attempt_for_each_rung_and_one_event(
        refusals in 0..9usize,
        events in proptest::collection::vec(any_event(1), 0..200),
    ) {
        let mut world = World::new(refusals);
        run(&mut world, events, Trouble::None);
        prop_assert_eq!(world.sent.len(), attempts_in_all(refusals, world.replays));
        prop_assert_eq!(world.events, 1 + world.replays as usize);
    }

    /// Crashes lose nothing; each message that one cuts off costs one more request and one more event at most; and
    /// no attempt of a notification with a single message is sent a third time.
    #[test]
    fn crashes_double_at_most_what_they_cut_off(
        refusals in 0..9usize,
        events in proptest::collection::vec(any_event(1), 0..300),
    ) {
        let mut world = World::new(refusals);
        run(&mut world, events, Trouble::CutsAndCrashes);
        prop_assert!(world.events <= 1 + world.replays as usize + world.cut_off);
        let mut places = world.sent.clone();
        places.sort_unstable();
        places.dedup();
        prop_assert!(world.sent.len() <= places.len() + world.cut_off);
        for place in places {
            let times = world.sent.iter().filter(|sent| **sent == place).count();
            prop_assert!(times <= 2 || world.most > 1, "{place:?} was sent {times} times");
        }
    }

    /// Gateways that share their queues and their journal lose nothing either.
    #[test]
    fn several_gateways_lose_nothing(
        refusals in 0..9usize,
        events in proptest::collection::vec(any_event(3), 0..300),
    ) {
        run(&mut World::new(refusals), events, Trouble::CutsAndCrashes);
    }

    /// As long as none of them crashes, and none takes longer than the lag, they make each attempt once, whatever
    /// becomes of their connections to the broker.
    #[test]
    fn several_gateways_make_each_attempt_once(
        refusals in 0..9usize,
        events in proptest::collection::vec(any_event(3), 0..300),
    ) {
        let mut world = World { prompt: true, ..World::new(refusals) };
        run(&mut world, events, Trouble::Cuts);
        prop_assert_eq!(world.sent.len(), attempts_in_all(refusals, world.replays));
        prop_assert!(world.events <= 1 + world.replays as usize + world.cut_off);
    }
}
