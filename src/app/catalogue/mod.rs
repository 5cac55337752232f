//! Which version of each plugin runs, and every merchant with its own: what is good takes effect, and whatever is not leaves
//! in effect what was good before.
//!
//! The rules, in [`Catalogue::settle`]:
//! - A version takes the place of another only if it fits every merchant that the other serves, each by its file as it is
//!   now or, failing that, as it was when it was last good. So a plugin and its merchants' files may change together.
//! - A merchant's file takes effect if it fits what runs. A merchant that has pinned a version stays with that one.
//! - Of two files for one format the one that runs stays. A plugin in use stays when its file is gone.
//! - Everything that has settled is tried again whenever something changes, and all merchants change at once.

mod candidates;
mod entry;
mod history;
mod refusals;
mod report;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use candidates::{Sorted, sort_out};
use entry::{Entry, Format, Good, is_on, is_shadow, takes};
use history::remember;
use refusals::Refusals;

use super::kept::Kept;
use super::load::{Found, Loader};
use super::ready::{Terms, ready};
use crate::clock;
use crate::config::{self, Config, Problem};
use crate::delivery::{MerchantMap, Merchants};
use crate::domain::MerchantId;
use crate::plugin::{Host, Plugin, Versions};

/// See the module's own words.
pub(super) struct Catalogue {
    terms: Terms,
    host: Host,
    kept: Kept,
    plugins_folder: PathBuf,
    /// The files in the plugins' folder.
    files: BTreeMap<PathBuf, Found>,
    /// What runs, by the formats' names.
    formats: BTreeMap<String, Format>,
    /// The merchants, by their files.
    entries: BTreeMap<PathBuf, Entry>,
    /// Versions that were loaded only because merchants have pinned them.
    pinned: Vec<Plugin>,
    refusals: Refusals,
    merchants: Merchants,
    /// Whether the gateway runs: before that nothing is written, and whoever starts it is told all there is to tell.
    live: bool,
}

impl Catalogue {
    /// One without plugins and merchants.
    ///
    /// # Errors
    /// The key of the configuration that does not do, and why.
    pub(super) fn new(config: &Config) -> Result<Self, (&'static str, String)> {
        let host = Host::new(config.plugin.clone()).map_err(|error| ("plugin", error.to_string()))?;
        let terms = Terms::new(config).map_err(|error| ("http", error.to_string()))?;
        Ok(Self {
            terms,
            host,
            kept: Kept::new(Versions::new(config.versions_folder(), config.versions_kept), &config.data),
            plugins_folder: config.plugins.clone(),
            files: BTreeMap::new(),
            formats: BTreeMap::new(),
            entries: BTreeMap::new(),
            pinned: Vec::new(),
            refusals: Refusals::default(),
            merchants: Merchants::default(),
            live: false,
        })
    }

    /// The merchants in effect.
    pub(super) fn merchants(&self) -> &Merchants {
        &self.merchants
    }

    pub(super) fn host(&self) -> &Host {
        &self.host
    }

    pub(super) fn loader(&self) -> Loader {
        let known = self.loaded().map(|plugin| (plugin.hash().to_owned(), plugin.clone())).collect();
        Loader { host: self.host.clone(), known, keep: self.live.then(|| self.kept.clone()) }
    }

    /// From now on what happens is logged and what runs is kept.
    pub(super) fn go_live(&mut self) {
        self.live = true;
    }

    /// Takes notice of what is in files of the plugins' folder, or that they are gone. In effect after [`Self::settle`].
    pub(super) fn put_plugins(&mut self, loaded: Vec<(PathBuf, Option<Found>)>) {
        for (path, found) in loaded {
            match found {
                Some(found) => drop(self.files.insert(path, found)),
                None => drop(self.files.remove(&path)),
            }
        }
    }

    /// Takes notice of what a merchant's file says, or that it is gone. In effect after [`Self::settle`].
    pub(super) fn put_merchant(&mut self, path: PathBuf, read: Option<Result<config::Merchant, Problem>>) {
        let Some(read) = read else {
            if self.entries.remove(&path).is_some_and(|entry| entry.good.is_some()) {
                let file = path.display();
                tracing::warn!(%file, "a merchant is gone: what is for it is held until it is there again");
            }
            return;
        };
        let entry = self.entries.entry(path).or_default();
        (entry.wanted, entry.problem) = match read {
            Ok(merchant) => (Some(Arc::new(merchant)), None),
            Err(problem) => (None, Some(problem)),
        };
    }

    /// Has everything take effect that can. Whatever cannot is said in the refusals, and leaves what was good.
    /// Gives the merchants that are served differently from now on.
    pub(super) async fn settle(&mut self) -> Vec<MerchantId> {
        self.fetch_pinned().await;
        let trouble = loop {
            let Sorted { candidates, refused: mut trouble } = sort_out(&self.files, &self.formats);
            let mut progress = false;
            for (name, path) in candidates {
                let Some(plugin) =
                    self.files.get(&path).and_then(|found| found.plugin.as_ref().ok()).cloned()
                else {
                    continue;
                };
                match self.vote(&name, &plugin).await {
                    Ok(served) => {
                        self.install(&name, plugin, served);
                        progress = true;
                    }
                    Err(reason) => trouble.push((path, reason)),
                }
            }
            self.renew_shadows();
            progress |= self.settle_merchants().await;
            // Each turn with progress uses up a candidate or a merchant's new file, so that there is a last one.
            if !progress {
                break trouble;
            }
        };
        let gone = self.forget_unused();
        self.note_refusals(trouble, gone);
        self.publish()
    }

    /// Loads the versions that merchants have pinned, where they are kept and nowhere else.
    async fn fetch_pinned(&mut self) {
        let mut wanted = BTreeSet::new();
        for form in self.entries.values().filter_map(|entry| entry.wanted.as_ref()) {
            if let Some(pin) =
                form.plugin_hash.as_deref().filter(|pin| self.version(&form.plugin, pin).is_none())
            {
                wanted.insert(pin.get(..16).unwrap_or(pin).to_owned());
            }
        }
        for hash in wanted {
            // Why not is told with the merchant's file: it is not there.
            if let Ok(plugin) = self.kept.load(&self.host, &hash).await {
                self.pinned.push(plugin);
            }
        }
    }

    /// A version of a plugin that is loaded, by the beginning of its SHA-256.
    fn version(&self, name: &str, sha256: &str) -> Option<&Plugin> {
        self.loaded().find(|plugin| plugin.description().name == name && plugin.sha256().starts_with(sha256))
    }

    /// Every version that is loaded, some of them several times.
    fn loaded(&self) -> impl Iterator<Item = &Plugin> {
        let in_files = self.files.values().filter_map(|found| found.plugin.as_ref().ok());
        let running = self.formats.values().map(|format| &format.plugin);
        let in_use = self.entries.values().filter_map(|entry| entry.before().map(|before| &before.plugin));
        in_files.chain(running).chain(&self.pinned).chain(in_use)
    }

    /// Whether a version may take the place of the one that runs: the merchants that it would serve, made ready, or why it
    /// may not. A merchant that neither of the two can serve has no say.
    async fn vote(&self, name: &str, candidate: &Plugin) -> Result<Vec<(PathBuf, Good)>, String> {
        let mut served = Vec::new();
        let Some(running) = self.formats.get(name) else { return Ok(served) };
        for (path, entry) in &self.entries {
            let mut problem = None;
            for form in entry.forms(name) {
                match ready(&self.terms, form, (candidate, self.shadow_of(form)), entry.before()).await {
                    Ok(merchant) => {
                        served.push((
                            path.clone(),
                            Good { config: Arc::clone(form), merchant: merchant.into() },
                        ));
                        problem = None;
                        break;
                    }
                    Err(reason) => problem = problem.or(Some(reason)),
                }
            }
            let Some(problem) = problem else { continue };
            let mut is_served = entry.good.as_ref().is_some_and(|good| takes(&good.config, name));
            for form in entry.forms(name) {
                is_served = is_served
                    || ready(&self.terms, form, (&running.plugin, self.shadow_of(form)), None).await.is_ok();
            }
            if is_served {
                return Err(format!("it does not fit a merchant that is served now: {problem}"));
            }
        }
        Ok(served)
    }

    /// Puts a version in the place of the one that runs.
    fn install(&mut self, name: &str, plugin: Plugin, served: Vec<(PathBuf, Good)>) {
        let mut format =
            Format { plugin, file: None, since: clock::now(), before: Vec::new(), set_aside: Vec::new() };
        let (hash, version) = (format.plugin.hash().to_owned(), format.plugin.description().version.clone());
        let merchants = served.len();
        match self.formats.remove(name) {
            Some(old) => {
                let was = old.plugin.hash().to_owned();
                tracing::info!(plugin = name, version, hash, was, merchants, "a plugin is swapped");
                format.before = old.before;
                remember(&mut format.before, was);
            }
            None if self.live => tracing::info!(plugin = name, version, hash, "a plugin is there"),
            None => {}
        }
        self.formats.insert(name.to_owned(), format);
        self.serve(served);
    }

    fn serve(&mut self, served: Vec<(PathBuf, Good)>) {
        for (path, good) in served {
            let entry = self.entries.entry(path).or_default();
            if entry.wanted.as_ref().is_some_and(|wanted| Arc::ptr_eq(wanted, &good.config)) {
                (entry.wanted, entry.problem) = (None, None);
            }
            entry.good = Some(good);
        }
    }

    /// Has merchants' new files take effect, where they fit what runs. Whether any did.
    async fn settle_merchants(&mut self) -> bool {
        let (mut served, mut problems) = (Vec::new(), Vec::new());
        for (path, entry) in &self.entries {
            let Some(wanted) = &entry.wanted else { continue };
            let fits = match self.plugin_of(wanted) {
                Ok(plugin) => {
                    ready(&self.terms, wanted, (plugin, self.shadow_of(wanted)), entry.before()).await
                }
                Err(problem) => Err(problem),
            };
            match fits {
                Ok(merchant) => {
                    served
                        .push((path.clone(), Good { config: Arc::clone(wanted), merchant: merchant.into() }));
                }
                Err(problem) => problems.push((path.clone(), problem)),
            }
        }
        for (path, problem) in problems {
            self.entries.entry(path).or_default().problem = Some(problem);
        }
        let progress = !served.is_empty();
        if self.live {
            for (_, Good { config, merchant }) in &served {
                let (merchant_id, plugin, hash) = (&config.id, &config.plugin, merchant.plugin.hash());
                tracing::info!(merchant = %merchant_id, plugin, hash, "a merchant's file takes effect");
            }
        }
        self.serve(served);
        progress
    }

    /// The plugin that a merchant wants beside its own, if it is there.
    fn shadow_of(&self, merchant: &config::Merchant) -> Option<&Plugin> {
        self.formats.get(&merchant.shadow.as_ref()?.plugin).map(|format| &format.plugin)
    }

    /// Has merchants made ready anew whose shadow has another version now.
    fn renew_shadows(&mut self) {
        let formats = &self.formats;
        for entry in self.entries.values_mut().filter(|entry| entry.wanted.is_none()) {
            let Some(Good { config, merchant }) = &entry.good else { continue };
            let Some(shadow) = &merchant.shadow else { continue };
            let runs = config.shadow.as_ref().and_then(|shadow| formats.get(&shadow.plugin));
            if runs.is_some_and(|format| format.plugin.hash() != shadow.plugin().hash()) {
                entry.wanted = Some(Arc::clone(config));
            }
        }
    }

    fn plugin_of(&self, merchant: &config::Merchant) -> Result<&Plugin, Problem> {
        let name = &merchant.plugin;
        let Some(pin) = &merchant.plugin_hash else {
            let folder = self.plugins_folder.display();
            let running = self.formats.get(name).map(|format| &format.plugin);
            return running
                .ok_or_else(|| merchant.wrong("plugin", format!("no plugin in {folder} is named `{name}`")));
        };
        let problem =
            || format!("no version of `{name}` whose SHA-256 begins so is in the plugins' folder or kept");
        self.version(name, pin).ok_or_else(|| merchant.wrong("plugin_hash", problem()))
    }

    /// Lets go of plugins whose file is gone. Those that serve a merchant stay, and are given back with the reason.
    fn forget_unused(&mut self) -> Vec<(PathBuf, String)> {
        let mut gone = Vec::new();
        let files = &self.files;
        for (name, format) in &mut self.formats {
            let has_hash = |found: &Found| found.hash.as_deref() == Some(format.plugin.hash());
            if let Some((path, _)) = files.iter().find(|(_, found)| found.plugin.is_ok() && has_hash(found)) {
                format.file = Some(path.clone());
            }
            let is_it = |(path, found): (&PathBuf, &Found)| match &found.plugin {
                Ok(plugin) => plugin.description().name == *name,
                Err(_) => format.file.as_ref() == Some(path),
            };
            if !files.iter().any(is_it) {
                gone.push(name.clone());
            }
        }
        let used_by = |name: &str| {
            self.entries.values().filter(|entry| is_on(entry, name) || is_shadow(entry, name)).count()
        };
        let mut kept = Vec::new();
        for name in gone {
            let users = used_by(&name);
            let Some(format) = self.formats.get(&name) else { continue };
            if users == 0 {
                if self.live {
                    tracing::info!(plugin = name, hash = format.plugin.hash(), "a plugin is gone");
                }
                self.formats.remove(&name);
            } else {
                let file = format.file.clone().unwrap_or_else(|| Path::new(format.plugin.file()).to_owned());
                let reason =
                    format!("the file is gone, but {users} merchants use the plugin `{name}`: it stays");
                kept.push((file, reason));
            }
        }
        let pins: HashSet<_> =
            self.entries.values().filter_map(Entry::before).map(|it| it.plugin.hash()).collect();
        self.pinned.retain(|plugin| pins.contains(plugin.hash()));
        kept
    }

    /// Says anew what is not in effect.
    fn note_refusals(&mut self, trouble: Vec<(PathBuf, String)>, gone: Vec<(PathBuf, String)>) {
        self.refusals.begin();
        for (path, found) in &self.files {
            if let Err(reason) = &found.plugin {
                self.refusals.add(path, found.hash.as_deref(), None, reason);
            }
        }
        for (path, reason) in trouble.into_iter().chain(gone) {
            let found = self.files.get(&path);
            let name =
                found.and_then(|found| found.plugin.as_ref().ok()).map(|it| it.description().name.clone());
            self.refusals.add(&path, found.and_then(|found| found.hash.as_deref()), name.as_deref(), &reason);
        }
        for (path, entry) in &self.entries {
            if let Some(problem) = &entry.problem {
                self.refusals.add(path, None, None, &problem.to_string());
            }
        }
        self.refusals.end(self.live);
    }

    /// Hands the merchants to whoever delivers, all at once. Gives those that are not what they were.
    fn publish(&self) -> Vec<MerchantId> {
        let goods = self.entries.values().filter_map(|entry| entry.good.as_ref());
        let merchants: MerchantMap =
            goods.map(|good| (good.config.id.clone(), Arc::clone(&good.merchant))).collect();
        let mut new = merchants.clone();
        let old = self.merchants.replace(merchants);
        new.retain(|id, merchant| !old.get(id).is_some_and(|old| Arc::ptr_eq(old, merchant)));
        new.into_keys().collect()
    }

    /// The reasons why plugins' files are refused.
    pub(super) fn refused_plugins(&self) -> impl Iterator<Item = String> {
        let is_merchant = |path: &PathBuf| self.entries.contains_key(path);
        self.refusals
            .iter()
            .filter(move |(path, _)| !is_merchant(path))
            .map(|(_, it)| it.refused.reason.clone())
    }

    /// What is wrong with merchants' files.
    pub(super) fn merchants_problems(&self) -> Vec<Problem> {
        self.entries.values().filter_map(|entry| entry.problem.clone()).collect()
    }

    /// Notes whether a folder could be looked at; if not, everything in it stays as it is. Whether that is news, which is
    /// told with the next [`Self::settle`].
    pub(super) fn looked_at(&mut self, folder: &Path, error: Option<&std::io::Error>) -> bool {
        let reason = error.map(|error| format!("{} cannot be read: {error}", folder.display()));
        self.refusals.of_folder(folder, reason)
    }
}
