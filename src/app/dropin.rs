//! While the gateway runs: the folders of plugins and merchants are watched, and what has changed takes effect.
//!
//! One task does it. It looks at the folders from time to time; files that have settled are loaded by another task, one lot
//! at a time, on threads that take only the time that nobody else wants; then the [`Catalogue`] decides, and what is good
//! takes effect at once. Merchants' files and rollbacks do not wait for a lot that is being compiled, except for the files
//! that changed together with it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Instant, sleep_until};

use super::catalogue::Catalogue;
use super::kept::Notes;
use super::load::{self, Found};
use super::watch::Watched;
use crate::api::{PluginRow, Plugins, Report, RollbackError};
use crate::config::{self, Config, Seen, merchant_files, plugin_files};
use crate::delivery::Releases;

/// How many rollbacks may wait for their turn.
const MOST_COMMANDS: usize = 16;
/// After a look there is a pause of so many times its length: with ten thousand merchants a look takes long enough to be felt.
const LOOK_SHARE: u32 = 20;
/// Unless that is longer than this: a change is noticed by then, however slow the folder is.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The task that watches.
pub(super) struct Dropin {
    plugins: PathBuf,
    merchants: PathBuf,
    settings: config::Dropin,
    catalogue: Catalogue,
    watched: Watched,
    loading: JoinSet<Lot>,
    commands: mpsc::Receiver<Command>,
    reports: watch::Sender<Arc<Report>>,
    noted: Option<Notes>,
    releases: Releases,
}

/// Files that changed together: plugins that have been loaded, and merchants' files that are still to be read.
struct Lot {
    plugins: Vec<(PathBuf, Option<Found>)>,
    merchants: Vec<PathBuf>,
}

struct Command {
    name: String,
    to: Option<String>,
    answer: oneshot::Sender<Result<PluginRow, RollbackError>>,
}

/// What the API has of it.
pub(super) struct Control {
    commands: mpsc::Sender<Command>,
    reports: watch::Receiver<Arc<Report>>,
}

impl Dropin {
    /// The task, to be run, and the way to ask it.
    pub(super) fn new(
        config: &Config,
        catalogue: Catalogue,
        watched: Watched,
        releases: Releases,
    ) -> (Self, Control) {
        let (commands_in, commands) = mpsc::channel(MOST_COMMANDS);
        let (reports, reports_out) = watch::channel(Arc::new(catalogue.report()));
        let dropin = Self {
            plugins: config.plugins.clone(),
            merchants: config.merchants_folder.clone(),
            settings: config.dropin,
            catalogue,
            watched,
            loading: JoinSet::new(),
            commands,
            reports,
            noted: None,
            releases,
        };
        (dropin, Control { commands: commands_in, reports: reports_out })
    }

    /// Watches until the sender of `stopped` is gone.
    pub(super) async fn run(mut self, mut stopped: watch::Receiver<()>) {
        // Nothing here needs an end in order: a lot that is being loaded is found again at the next start.
        tokio::select! {
            _ = stopped.changed() => {}
            () = self.watch() => {}
        }
    }

    async fn watch(&mut self) {
        self.catalogue.go_live();
        self.catalogue.host().step_back();
        self.keep_versions().await;
        self.note().await;
        let mut next = Instant::now();
        loop {
            tokio::select! {
                () = sleep_until(next) => {
                    let began = Instant::now();
                    self.look().await;
                    let pause = (began.elapsed() * LOOK_SHARE).min(LONGEST_PAUSE);
                    next = Instant::now() + pause.max(self.settings.scan);
                }
                Some(loaded) = self.loading.join_next() => match loaded {
                    Ok(lot) => self.take(lot).await,
                    Err(error) => tracing::error!(%error, "files were not loaded, by a fault of the gateway"),
                },
                Some(Command { name, to, answer }) = self.commands.recv() => {
                    // Whoever has gone away finds the result in the list.
                    drop(answer.send(self.roll_back(&name, to).await));
                }
            }
        }
    }

    /// Keeps what was loaded before the start, where it is not kept yet.
    async fn keep_versions(&self) {
        for (file, hash) in self.catalogue.versions_in_files() {
            let kept = self.catalogue.kept().clone();
            if kept.has(&hash) {
                continue;
            }
            // If the file has another content by now, that one will be looked at.
            if let Ok(content) = self.catalogue.host().read(&file).await {
                load::keep(kept, file, content).await;
            }
        }
    }

    async fn look(&mut self) {
        let (plugins, merchants) = (self.plugins.clone(), self.merchants.clone());
        let looked = spawn_blocking(move || (plugin_files(&plugins), merchant_files(&merchants))).await;
        let Ok((plugins, merchants)) = looked else { return };
        let (mut seen, plugins_news) = self.seen(self.plugins.clone(), plugins);
        let (seen_merchants, merchants_news) = self.seen(self.merchants.clone(), merchants);
        seen.extend(seen_merchants);
        let now = Instant::now().into_std();
        self.watched.look(seen, now);
        let busy = !self.loading.is_empty();
        let changes = self.watched.take(now, self.settings.settle, |path| !busy || !is_plugin(path));
        if changes.is_empty() && !plugins_news && !merchants_news {
            return;
        }
        let (plugins, merchants): (Vec<_>, Vec<_>) =
            changes.into_iter().partition(|(path, _)| is_plugin(path));
        let merchants = merchants.into_iter().map(|(path, _)| path).collect();
        if plugins.is_empty() {
            self.take(Lot { plugins: Vec::new(), merchants }).await;
        } else {
            let loader = self.catalogue.loader();
            self.loading.spawn(async move { Lot { plugins: loader.load_all(plugins).await, merchants } });
        }
    }

    /// What a look has seen, and whether it is news that the folder can be looked at or not. One that cannot counts as
    /// unchanged, so that nothing in it counts as removed.
    fn seen(&mut self, folder: PathBuf, looked: std::io::Result<Seen>) -> (Seen, bool) {
        let news = self.catalogue.looked_at(&folder, looked.as_ref().err());
        (looked.unwrap_or_else(|_| self.watched.of_folder(&folder).collect()), news)
    }

    async fn take(&mut self, lot: Lot) {
        self.catalogue.put_plugins(lot.plugins);
        let merchants = lot.merchants;
        // Read only now: one of them may have changed once more while the plugins were compiled.
        let read = move || merchants.into_iter().map(read_merchant).collect::<Vec<_>>();
        match spawn_blocking(read).await {
            Ok(merchants) => {
                for (path, read) in merchants {
                    self.catalogue.put_merchant(path, read);
                }
            }
            Err(error) => {
                tracing::error!(%error, "merchants' files were not read, by a fault of the gateway")
            }
        }
        let changed = self.catalogue.settle().await;
        self.releases.release(changed).await;
        self.note().await;
    }

    async fn roll_back(&mut self, name: &str, to: Option<String>) -> Result<PluginRow, RollbackError> {
        let changed = self.catalogue.roll_back(name, to).await?;
        self.releases.release(changed).await;
        self.note().await;
        let report = self.reports.borrow();
        let row = report.plugins.iter().find(|row| row.name == name).cloned();
        row.ok_or_else(|| RollbackError::Unknown(format!("no plugin `{name}` runs here")))
    }

    /// Tells what has come of it: the API, and the note for the next start.
    async fn note(&mut self) {
        self.reports.send_replace(Arc::new(self.catalogue.report()));
        let notes = self.catalogue.notes();
        if self.noted.as_ref() == Some(&notes) {
            return;
        }
        let (kept, in_use, written) =
            (self.catalogue.kept().clone(), self.catalogue.hashes_in_use(), notes.clone());
        let note = move || {
            kept.note(&written)?;
            kept.prune(&in_use);
            Ok(())
        };
        match spawn_blocking(note).await.unwrap_or_else(|error| Err(std::io::Error::other(error))) {
            Ok(()) => self.noted = Some(notes),
            Err(error) => {
                tracing::error!(%error, "what runs is not noted: after a restart a rollback may be forgotten");
            }
        }
    }
}

fn is_plugin(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "wasm")
}

type Read = Option<Result<config::Merchant, config::Problem>>;

fn read_merchant(path: PathBuf) -> (PathBuf, Read) {
    let read = path.exists().then(|| config::Merchant::read(&path));
    (path, read)
}

#[async_trait::async_trait]
impl Plugins for Control {
    fn report(&self) -> Report {
        Report::clone(&self.reports.borrow())
    }

    async fn roll_back(&self, name: &str, to: Option<String>) -> Result<PluginRow, RollbackError> {
        let (answer, answered) = oneshot::channel();
        let command = Command { name: name.to_owned(), to, answer };
        self.commands.send(command).await.map_err(|_| RollbackError::Stopping)?;
        answered.await.unwrap_or(Err(RollbackError::Stopping))
    }
}
