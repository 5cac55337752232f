//! One instance of a plugin: the guest of one attempt, which formats its request and, while there is room, is kept over
//! the POST to judge the reply.
//!
//! The rule: an instance serves one attempt of one notification, and never another. Whether the call that judges gets
//! the instance that formatted or a fresh one depends on the gateway's load, so nothing may depend on it: the call that judges
//! begins with time, host calls and lines of its own, and `paynotify plugin check` has replies judged both ways.

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;
use wasmtime::Store;

use super::bindings::MerchantPlugin;
use super::bindings::paynotify::merchant::types as wit;
use super::call::AttemptContext;
use super::conditions::{Conditions, EndpointRecord};
use super::convert;
use super::crypto::Keys;
use super::host::Shared;
use super::host_calls::HostCalls;
use super::lines::Lines;
use super::sandbox::{self, Guest, Surroundings};
use super::threads::Running;
use crate::domain::{Moment, Notification, Withheld};

/// What a call is made for.
pub(super) struct Occasion {
    notification: String,
    now: Moment,
    entropy: [u8; 32],
    keys: Keys,
    recorded: Option<HostCalls>,
    withheld: Withheld,
}

impl Occasion {
    /// No attempt: always the same time and randomness, and no keys.
    pub(super) fn none() -> Self {
        let (notification, keys) = (String::new(), Keys::default());
        let (now, withheld) = (Moment::EPOCH, Withheld::default());
        Self { notification, now, entropy: [0; 32], keys, recorded: None, withheld }
    }

    pub(super) fn of(notification: &Notification, attempt: &AttemptContext, conditions: Conditions) -> Self {
        let AttemptContext { now, entropy, .. } = *attempt;
        let Conditions { endpoint, keys, recorded } = conditions;
        let withheld = Withheld::of_url(&endpoint.url);
        Self { notification: notification.id().to_string(), now, entropy, keys, recorded, withheld }
    }
}

/// What both calls of an attempt are told.
pub(super) struct Subject {
    pub(super) notification: wit::Notification,
    pub(super) endpoint: wit::Endpoint,
}

impl Subject {
    pub(super) fn new(notification: &Notification, endpoint: &EndpointRecord) -> Arc<Self> {
        let (notification, endpoint) = (convert::notification(notification), convert::endpoint(endpoint));
        Arc::new(Self { notification, endpoint })
    }
}

/// An instance, with the bounds of the call that it is in or waits for.
pub(super) struct Instance {
    pub(super) store: Store<Guest>,
    /// Once it has been started.
    pub(super) plugin: Option<MerchantPlugin>,
}

impl Instance {
    /// One that is started when it is called.
    pub(super) fn new(host: &Shared, name: &Arc<str>, occasion: Occasion) -> Self {
        let Occasion { notification, now, entropy, keys, recorded, withheld } = occasion;
        let lines = Lines::new(Arc::clone(name), notification, &host.settings).withholding(withheld);
        let surroundings = Surroundings { now, entropy, keys, recorded, lines, running: Arc::default() };
        Self { store: sandbox::store(&host.engine, &host.settings, surroundings), plugin: None }
    }

    pub(super) fn running(&self) -> Arc<Running> {
        self.store.data().running()
    }
}

/// An instance that has written its attempt's request, and is kept to judge the reply. Its memory is given back when it
/// is dropped.
pub struct Kept {
    pub(super) instance: Instance,
    pub(super) subject: Arc<Subject>,
    pub(super) room: OwnedSemaphorePermit,
}

impl Kept {
    /// That instance, ready for a call with all bounds anew.
    pub(super) fn new(mut instance: Instance, subject: Arc<Subject>, room: OwnedSemaphorePermit) -> Self {
        sandbox::begin_again(&mut instance.store);
        Self { instance, subject, room }
    }
}
