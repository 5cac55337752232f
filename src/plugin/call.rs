//! One call of one plugin, from its place in the queue to its answer or the name of its failure.
//!
//! A panic ends the call and nothing else. A call that takes longer than most is a task of its own, which is never
//! cancelled: when the caller goes away it runs to its end, which its bounds make sure of, and only then gives its place
//! back. [`Host::close`](super::Host::close) waits for all of them.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::sync::OwnedSemaphorePermit;
use wasmtime::Store;

use super::bindings::exports::paynotify::merchant::plugin::Description as WitDescription;
use super::bindings::{MerchantPlugin, MerchantPluginPre};
use super::conditions::{Called, Conditions};
use super::convert;
use super::crypto::Keys;
use super::description::Description;
use super::fault::{CallError, Circumstances, Fault, classify, for_people};
use super::host::Shared;
use super::host_calls::HostCalls;
use super::instance::{Instance, Kept, Occasion, Subject};
use super::load::DIGITS;
use super::places::{OwnPlaces, Place};
use super::sandbox::{Guest, Meter, Tally, Usage};
use super::threads::Pace;
use crate::domain::{AttemptNumber, Moment, Notification, Origin, Reply, Request, Verdict};

/// Where, and with which settings and keys, a merchant wants to be told.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// The merchant's URL exactly as configured.
    pub url: String,
    /// What the plugin may address; the first is the URL's own.
    pub origins: Vec<Origin>,
    /// A JSON object that [`Plugin::check_settings`] has accepted.
    pub settings_json: String,
    /// All keys that calls for this endpoint can reach.
    pub keys: Keys,
}

/// The attempt that a call belongs to: all time and randomness there is for a plugin.
#[derive(Clone, Copy, Debug)]
pub struct AttemptContext {
    /// Which attempt it is.
    pub number: AttemptNumber,
    /// The moment of the attempt.
    pub now: Moment,
    /// Fresh random bytes; the same again when the attempt is made again.
    pub entropy: [u8; 32],
}

/// Why settings do not do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// The plugin's own words, for the one who wrote the merchant's file; cut and escaped.
    #[error("{0}")]
    Refused(String),
    /// The plugin could not say.
    #[error(transparent)]
    Call(#[from] CallError),
}

/// A loaded plugin. Cheap to clone.
#[derive(Clone)]
pub struct Plugin(Arc<Loaded>);

struct Loaded {
    callee: Callee,
    description: Description,
    surface: Surface,
    sha256: String,
    file: String,
}

/// What a component gives and asks for, by the names of the interfaces.
pub(super) struct Surface {
    pub(super) contract: String,
    pub(super) imports: Vec<String>,
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "plugin `{}` {} ({})",
            self.0.description.name,
            self.0.description.version,
            self.hash()
        )
    }
}

impl Plugin {
    pub(super) fn new(
        callee: Callee,
        description: Description,
        surface: Surface,
        sha256: String,
        file: &str,
    ) -> Self {
        let callee = Callee { name: description.name.as_str().into(), ..callee };
        Self(Arc::new(Loaded { callee, description, surface, sha256, file: file.to_owned() }))
    }

    /// What it says of itself.
    #[must_use]
    pub fn description(&self) -> &Description {
        &self.0.description
    }

    /// The first 16 hexadecimal digits of the SHA-256 of its file: which build of it made an attempt.
    #[must_use]
    pub fn hash(&self) -> &str {
        self.0.sha256.get(..DIGITS).unwrap_or(&self.0.sha256)
    }

    /// The whole SHA-256 of its file: 64 hexadecimal digits.
    #[must_use]
    pub fn sha256(&self) -> &str {
        &self.0.sha256
    }

    /// The file that it came from.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.0.file
    }

    /// The interface that it was built for, with its version: `paynotify:merchant/plugin@0.1.0`.
    #[must_use]
    pub fn contract(&self) -> &str {
        &self.0.surface.contract
    }

    /// The interfaces that it asks for, as it names them.
    #[must_use]
    pub fn imports(&self) -> &[String] {
        &self.0.surface.imports
    }

    /// The most that any one of its calls has taken so far.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.0.callee.meter.usage()
    }

    /// What all of its calls have taken so far, and its faults.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.0.callee.meter.tally()
    }

    /// Counts a fault that has kept a merchant waiting.
    pub fn note_fault(&self, fault: &Fault) {
        self.0.callee.meter.note_fault(fault);
    }

    /// Asks whether the settings of a merchant's file do.
    ///
    /// # Errors
    /// They do not, or the plugin could not say.
    pub async fn check_settings(&self, settings_json: &str) -> Result<(), SettingsError> {
        let settings = settings_json.to_owned();
        let callee = &self.0.callee;
        let instance = callee.instance(Occasion::none());
        let (called, _) = callee
            .call(Patience::Unbounded, instance, None, |store, plugin| {
                Box::pin(async move {
                    plugin.paynotify_merchant_plugin().call_check_settings(store, &settings).await
                })
            })
            .await;
        called.result?.map_err(|text| SettingsError::Refused(for_people(&text, convert::LONGEST_ERROR)))
    }

    /// Has the plugin write the request of one attempt, and checks it. The same arguments give the same request.
    ///
    /// # Errors
    /// There is no room for the call, or the plugin is at fault; a request that breaks a rule is such a fault.
    pub async fn format(
        &self,
        notification: &Notification,
        endpoint: &Endpoint,
        attempt: &AttemptContext,
    ) -> Result<Request, CallError> {
        self.format_under(notification, endpoint.into(), attempt).await.result
    }

    /// As [`Self::format`], under these conditions, and with what the call asked of `crypto`.
    pub async fn format_under(
        &self,
        notification: &Notification,
        conditions: Conditions,
        attempt: &AttemptContext,
    ) -> Called<Request> {
        self.format_with(notification, conditions, attempt, None).await.0
    }

    /// As [`Self::format_under`]; while there is room, the instance is kept to judge the reply.
    pub async fn format_and_keep(
        &self,
        notification: &Notification,
        conditions: Conditions,
        attempt: &AttemptContext,
    ) -> (Called<Request>, Option<Kept>) {
        let room = Arc::clone(&self.0.callee.host.kept).try_acquire_owned().ok();
        self.format_with(notification, conditions, attempt, room).await
    }

    async fn format_with(
        &self,
        notification: &Notification,
        conditions: Conditions,
        attempt: &AttemptContext,
        room: Option<OwnedSemaphorePermit>,
    ) -> (Called<Request>, Option<Kept>) {
        let callee = &self.0.callee;
        let subject = Subject::new(notification, &conditions.endpoint);
        let origins = Arc::clone(&conditions.endpoint);
        let instance = callee.instance(Occasion::of(notification, attempt, conditions));
        let (told, attempt) = (Arc::clone(&subject), convert::attempt(attempt));
        let (called, kept) = callee
            .call(Patience::Bounded, instance, room, |store, plugin| {
                Box::pin(async move {
                    let plugin = plugin.paynotify_merchant_plugin();
                    plugin.call_format(store, &told.notification, &told.endpoint, &attempt).await
                })
            })
            .await;
        let longest_body = callee.host.settings.longest_body;
        let called = called.and_then(|request| {
            let request = convert::request(request.map_err(convert::refusal)?);
            Ok(request.check(&origins.origins, longest_body).map_err(Fault::from)?)
        });
        (called, kept.map(|(instance, room)| Kept::new(instance, subject, room)))
    }

    /// Has the plugin say what a reply means.
    ///
    /// # Errors
    /// There is no room for the call, or the plugin is at fault. Neither is ever a confirmation.
    pub async fn judge(
        &self,
        notification: &Notification,
        endpoint: &Endpoint,
        attempt: &AttemptContext,
        reply: &Reply,
    ) -> Result<Verdict, CallError> {
        self.judge_under(notification, endpoint.into(), attempt, reply).await.result
    }

    /// As [`Self::judge`], under these conditions, and with what the call asked of `crypto`.
    pub async fn judge_under(
        &self,
        notification: &Notification,
        conditions: Conditions,
        attempt: &AttemptContext,
        reply: &Reply,
    ) -> Called<Verdict> {
        let subject = Subject::new(notification, &conditions.endpoint);
        let instance = self.0.callee.instance(Occasion::of(notification, attempt, conditions));
        self.judge_in(instance, subject, reply).await
    }

    /// As [`Self::judge_under`], by the instance that was kept.
    pub async fn judge_kept(&self, kept: Kept, reply: &Reply) -> Called<Verdict> {
        let Kept { instance, subject, room } = kept;
        let called = self.judge_in(instance, subject, reply).await;
        drop(room);
        called
    }

    /// As [`Self::judge_under`], by the instance that was kept, if one was. What that one fails at, a fresh one is asked: the
    /// reply is there, and is not to be asked for again because a plugin does not bear being called twice.
    pub async fn judge_with(
        &self,
        kept: Option<Kept>,
        notification: &Notification,
        conditions: Conditions,
        attempt: &AttemptContext,
        reply: &Reply,
    ) -> Called<Verdict> {
        if let Some(kept) = kept {
            let called = self.judge_kept(kept, reply).await;
            match &called.result {
                // One that takes too long would do so again.
                Ok(_) | Err(CallError::Busy | CallError::Fault(Fault::TimedOut(_))) => return called,
                Err(CallError::Fault(fault)) => {
                    let plugin = &self.description().name;
                    tracing::warn!(plugin, %fault, "the instance that has formatted could not judge; a fresh one is asked");
                }
            }
        }
        self.judge_under(notification, conditions, attempt, reply).await
    }

    async fn judge_in(&self, instance: Instance, subject: Arc<Subject>, reply: &Reply) -> Called<Verdict> {
        let reply = convert::reply(reply);
        let (called, _) = self
            .0
            .callee
            .call(Patience::Unbounded, instance, None, |store, plugin| {
                Box::pin(async move {
                    let Subject { notification, endpoint } = &*subject;
                    let plugin = plugin.paynotify_merchant_plugin();
                    plugin.call_judge(store, notification, endpoint, &reply).await
                })
            })
            .await;
        called.and_then(|verdict| Ok(convert::verdict(verdict.map_err(convert::refusal)?)))
    }
}

/// How long a call waits for its place.
#[derive(Clone, Copy)]
enum Patience {
    /// For [`Settings::longest_wait`](super::Settings::longest_wait): nothing is lost by coming again later.
    Bounded,
    /// For as long as it takes, which ends because every call under way does. A reply that is there is judged: else
    /// the merchant would have to be asked again. So is a plugin that is asked about itself or about settings: the
    /// gateway's load says nothing about its file.
    Unbounded,
}

/// What can be called.
pub(super) struct Callee {
    host: Arc<Shared>,
    pre: MerchantPluginPre<Guest>,
    /// The format's name, or until that is known the file's.
    name: Arc<str>,
    places: OwnPlaces,
    pace: Pace,
    meter: Arc<Meter>,
}

impl Callee {
    pub(super) fn new(host: Arc<Shared>, pre: MerchantPluginPre<Guest>, name: &str) -> Self {
        let places = OwnPlaces::new(host.settings.calls_per_plugin);
        Self { host, pre, name: name.into(), places, pace: Pace::default(), meter: Arc::default() }
    }

    pub(super) async fn describe(&self) -> Result<WitDescription, CallError> {
        let instance = self.instance(Occasion::none());
        let (called, _) = self
            .call(Patience::Unbounded, instance, None, |store, plugin| {
                Box::pin(plugin.paynotify_merchant_plugin().call_describe(store))
            })
            .await;
        called.result
    }

    fn instance(&self, occasion: Occasion) -> Instance {
        Instance::new(&self.host, &self.name, occasion)
    }

    /// Waits for a place, then calls the instance. It is kept if it did what it was asked and there is room for it;
    /// otherwise its memory is back in the pool before its place is free.
    async fn call<R: Send + 'static>(
        &self,
        patience: Patience,
        instance: Instance,
        room: Option<OwnedSemaphorePermit>,
        body: impl for<'a> FnOnce(&'a mut Store<Guest>, &'a MerchantPlugin) -> BoxFuture<'a, wasmtime::Result<R>>
        + Send
        + 'static,
    ) -> (Called<R>, Option<(Instance, OwnedSemaphorePermit)>) {
        let without = |error| (Called { result: Err(error), host_calls: HostCalls::default() }, None);
        let place = match self.place(patience).await {
            Ok(place) => place,
            Err(error) => return without(error),
        };
        let (pre, meter, settings) =
            (self.pre.clone(), Arc::clone(&self.meter), Arc::clone(&self.host.settings));
        let running = instance.running();
        let its_running = Arc::clone(&running);
        let call = async move {
            let Instance { mut store, mut plugin } = instance;
            // From now on: it may have waited for its place, or over a POST.
            store.set_epoch_deadline(its_running.turn());
            let result = async {
                let plugin = match plugin.take() {
                    Some(started) => plugin.insert(started),
                    None => plugin.insert(pre.instantiate_async(&mut store).await?),
                };
                body(&mut store, plugin).await
            }
            .await;
            meter.note(store.data());
            let host_calls = store.data_mut().desk().take_noted();
            let last_words = store.data().lines().finish();
            let result = result.map_err(|error| {
                let circumstances = Circumstances {
                    call_timeout: settings.call_timeout,
                    stack: settings.stack,
                    resources: settings.resources,
                    host_call_bytes: settings.host_call_bytes,
                    last_words,
                };
                classify(&error, &circumstances)
            });
            let is_small = store.data().weight() <= settings.kept_memory;
            let room = room.filter(|_| result.is_ok() && is_small);
            let kept = room.map(|room| (Instance { store, plugin }, room));
            drop(place);
            (Called { result, host_calls }, kept)
        };
        match self.host.threads.run(call, &running, &self.pace).await {
            Ok(called) => called,
            Err(panic) => without(Fault::Panicked(for_people(&panic.0, 300)).into()),
        }
    }

    async fn place(&self, patience: Patience) -> Result<Place, CallError> {
        let place = self.host.places.take(&self.places);
        let place = match patience {
            Patience::Bounded => tokio::time::timeout(self.host.settings.longest_wait, place).await,
            Patience::Unbounded => Ok(place.await),
        };
        place.ok().flatten().ok_or(CallError::Busy)
    }
}

#[cfg(test)]
#[path = "call_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "memory_tests.rs"]
mod memory_tests;
