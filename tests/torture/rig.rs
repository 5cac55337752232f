//! Everything that a scenario works with: brokers, gateways, merchants, producer, and the log of what it breaks.
//!
//! A scenario starts a [`Rig`], breaks things for as long as it likes, and ends with [`Rig::finish`], which lets
//! everything come to rest, gathers the evidence and has it checked.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use xtask::postgres::Server;
use xtask::rabbitmq::Node;

use super::checker::{self, Evidence};
use super::evidence::{self, Journal};
use super::faults::{Faults, Hits};
use super::gateways::{Gateways, PREFETCH};
use super::merchants;
use super::plan::{MISSING, NEVER, PATIENCE, Plan};
use super::producer::Producer;
use super::rabbit::{self, Rabbit};
use super::record::Record;
use super::report::Report;
use super::support::merchant::StubMerchant;

/// How long a scenario goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// With all other tests: seconds.
    Short,
    /// For itself: minutes.
    Long,
}

/// What a scenario is started with.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    pub seed: u64,
    pub form: Form,
    /// How long the scenarios last that take a length.
    pub minutes: u64,
}

impl Run {
    /// One number for the short form, another for the long one.
    pub fn either<T>(self, short: T, long: T) -> T {
        match self.form {
            Form::Short => short,
            Form::Long => long,
        }
    }
}

/// What a scenario wants to work with.
pub struct Layout {
    pub name: &'static str,
    /// Without RabbitMQ it is the embedded broker, and one gateway.
    pub rabbit: Option<Rabbit>,
    pub gateways: usize,
    /// Notifications a second, on average.
    pub rate: f64,
    /// Where the gateways' data lies, if not among the scenario's other files.
    pub data: Option<PathBuf>,
    /// The gateways' `missing_after`. Without one they put nothing back: that could hide a loss.
    pub missing_after: Option<Duration>,
}

/// See the module.
pub struct Rig {
    pub run: Run,
    pub name: &'static str,
    pub rabbit: Option<Rabbit>,
    /// Where the journal is, if it is not the gateways' own file.
    pub database: Option<Server>,
    pub journal: Journal,
    pub gateways: Gateways,
    pub faults: Arc<Faults>,
    pub record: Arc<Record>,
    /// Ids of what the scenario destroyed in the way an operator may, and nobody can bring back.
    pub destroyed: Vec<String>,
    /// Ids of what it may have destroyed, and should come back.
    pub missing: Vec<String>,
    pub folder: PathBuf,
    producer: Producer,
    progress: JoinHandle<()>,
    began: Instant,
    // Both end with the rig.
    _merchants: StubMerchant,
    _temporary: tempfile::TempDir,
}

impl Rig {
    /// Starts everything, the producer last.
    pub async fn start(run: Run, layout: Layout) -> Self {
        Self::start_with(run, layout, &[]).await
    }

    /// The same with variables in the gateways' environment.
    pub async fn start_with(run: Run, layout: Layout, environment: &[(&str, &str)]) -> Self {
        Self::start_on(None, run, layout, environment).await
    }

    /// The same with the journal on a database, if one is given.
    pub async fn start_on(
        database: Option<Server>,
        run: Run,
        layout: Layout,
        environment: &[(&str, &str)],
    ) -> Self {
        let Layout { name, rabbit, gateways: count, rate, data, missing_after } = layout;
        println!("{name}: seed {}", run.seed);
        let temporary = tempfile::tempdir().expect("a folder");
        let folder = temporary.path().to_owned();
        let record = Arc::new(Record::default());
        let faults = Arc::new(Faults::default());
        let merchants = merchants::start(record.clone()).await;
        let lines = rabbit.as_ref().map(|rabbit| rabbit.gateway_lines.clone()).unwrap_or_default();
        let urls = rabbit.as_ref().map(|rabbit| rabbit.harness_urls.clone()).unwrap_or_default();
        if rabbit.is_some() {
            rabbit::prepare(&urls).await.expect("the events have a queue");
        }
        let missing_after = missing_after.unwrap_or(NEVER);
        let addresses = merchants::addresses(&merchants);
        let (journal, journal_lines) = match &database {
            None => (Journal::File(folder.join("data/journal.sqlite")), String::new()),
            Some(server) => {
                let url = server.url("postgres");
                let lines = format!("kind = \"postgres\"\nurl = \"{url}\"\npatience = \"2s\"");
                (Journal::Database(url), lines)
            }
        };
        let mut gateways = Gateways::new(&folder, &lines, count, &addresses, missing_after, &journal_lines);
        if let Some(data) = data {
            std::fs::remove_dir(folder.join("data")).expect("it is empty");
            std::os::unix::fs::symlink(data, folder.join("data")).expect("a link");
        }
        for (name, value) in environment {
            gateways.environment.push(((*name).to_owned(), (*value).to_owned()));
        }
        for number in 0..count {
            gateways.start(number).await;
        }
        let plan = Plan::new(run.seed, rate, rabbit.is_none());
        let producer = Producer::start(plan, &urls, gateways.addresses(), &record);
        let every = run.either(Duration::from_secs(5), Duration::from_secs(15));
        let told = (journal.clone(), record.clone(), faults.clone());
        let began = Instant::now();
        let progress = tokio::spawn(tell_progress(name, every, began, told));
        let rig = Self {
            run,
            name,
            rabbit,
            database,
            journal,
            gateways,
            faults,
            record,
            destroyed: Vec::new(),
            missing: Vec::new(),
            folder,
            producer,
            progress,
            began,
            _merchants: merchants,
            _temporary: temporary,
        };
        rig.flows().await;
        rig
    }

    /// Where the harness connects to RabbitMQ.
    pub fn urls(&self) -> Vec<String> {
        self.rabbit.as_ref().map(|rabbit| rabbit.harness_urls.clone()).unwrap_or_default()
    }

    /// Waits until a little more has come to the merchants.
    pub async fn flows(&self) {
        let before = self.record.counts().2;
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.record.counts().2 < before + 20 {
            assert!(Instant::now() < deadline, "{}: nothing is delivered", self.name);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// kill -9 of a gateway, and its restart that much later.
    pub async fn kill_and_restart(&mut self, number: usize, after: Duration) {
        let fault = self.faults.begin(format!("gateway {number} killed"), Hits::Killed(1));
        self.gateways.kill(number);
        tokio::time::sleep(after).await;
        self.gateways.start(number).await;
        self.faults.over(fault);
    }

    /// The same with two at once.
    pub async fn kill_two_and_restart(&mut self, one: usize, other: usize, after: Duration) {
        let fault = self.faults.begin(format!("gateways {one} and {other} killed"), Hits::Killed(2));
        self.gateways.kill(one);
        self.gateways.kill(other);
        tokio::time::sleep(after).await;
        self.gateways.start(one).await;
        self.gateways.start(other).await;
        self.faults.over(fault);
    }

    /// SIGTERM to a gateway, its orderly end, and its restart. That is no excuse for any duplicate.
    pub async fn drain_and_restart(&mut self, number: usize) {
        let fault = self.faults.begin(format!("gateway {number} drained"), Hits::Nothing);
        let status = self.gateways.drain(number).await;
        assert!(status.success(), "{}: a drain ended with {status}", self.name);
        self.gateways.start(number).await;
        self.faults.over(fault);
    }

    /// kill -9 of the database with all its sessions, and its restart that much later. That is no excuse for any duplicate.
    pub async fn kill_the_database(&mut self, down: Duration) {
        let fault = self.faults.begin("the database killed".to_owned(), Hits::Nothing);
        self.with_database(|server| server.kill_hard().expect("killed"));
        tokio::time::sleep(down).await;
        self.with_database(|server| server.restart().expect("it starts again"));
        self.faults.over(fault);
    }

    fn with_database<T>(&mut self, work: impl FnOnce(&mut Server) -> T) -> T {
        let database = self.database.as_mut().expect("a scenario with a database");
        tokio::task::block_in_place(|| work(database))
    }

    /// Does something to a node of RabbitMQ's that takes its time.
    pub fn with_node<T>(&mut self, index: usize, work: impl FnOnce(&mut Node) -> T) -> T {
        let rabbit = self.rabbit.as_mut().expect("a scenario with RabbitMQ");
        tokio::task::block_in_place(|| work(&mut rabbit.nodes[index]))
    }

    /// `rabbitmqctl` on the first node.
    pub fn ctl(&mut self, arguments: &[&str]) -> String {
        self.with_node(0, |node| node.ctl(arguments).unwrap_or_else(|error| panic!("{error:#}")))
    }

    /// Waits until RabbitMQ is reachable by the harness's own measure.
    pub async fn reachable(&self) {
        rabbit::reachable(&self.urls()).await;
    }

    /// Sends nothing more, waits until everything has come to rest (or it has taken too long), and checks.
    pub async fn finish(mut self) -> Report {
        const LONGEST: Duration = Duration::from_secs(90);
        for number in 0..self.gateways.count() {
            if !self.gateways.runs(number) {
                self.gateways.start(number).await;
            }
        }
        if !self.producer.stop(LONGEST).await {
            self.record.strange("not all that was sent has been accepted".to_owned());
        }
        let deadline = Instant::now() + LONGEST;
        let data = self.folder.join("data");
        let mut ended = self.journal.progress().await.expect("the journal can be read").1;
        let mut quiet = Instant::now();
        let mut seen = self.record.counts();
        // Longer than an attempt takes: what is in nobody's queue and not settled is at rest by then.
        let rest = PATIENCE + Duration::from_millis(700);
        // What has not ended by then, and waits in no queue, either hangs in a gateway or is lost: it should have been
        // missed, and have come back.
        let patience = |ended, accepted| if ended < accepted { MISSING + 8 * rest } else { rest };
        while quiet.elapsed() < patience(ended, seen.0) && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let now = self.record.counts();
            if now != seen || !self.queues_are_empty(&data).await {
                (seen, quiet) = (now, Instant::now());
            }
            ended = self.journal.progress().await.expect("the journal can be read").1;
        }
        for number in 0..self.gateways.count() {
            let status = self.gateways.drain(number).await;
            if !status.success() {
                self.record.strange(format!("the last drain of gateway {number} ended with {status}"));
            }
        }
        self.progress.abort();
        let holdings = if self.rabbit.is_some() {
            match evidence::of_rabbit(&self.urls()).await {
                Ok(holdings) => holdings,
                Err(error) => {
                    let queues = self.ctl(&["list_queues", "name", "state", "messages", "leader", "online"]);
                    panic!("the queues cannot be read: {error}; {queues}")
                }
            }
        } else {
            evidence::of_file(&data).await.expect("the file can be read")
        };
        let evidence = Evidence {
            seen: self.record.so_far(),
            journal: self.journal.stories().await.expect("the journal can be read"),
            holdings,
            faults: self.faults.so_far(),
            prefetch: PREFETCH,
            destroyed: std::mem::take(&mut self.destroyed),
            missing: std::mem::take(&mut self.missing),
            put_back: self.gateways.put_back(),
        };
        let mut report = checker::check(&evidence);
        report.scenario = self.name.to_owned();
        report.took = self.began.elapsed();
        self.tell_unexplained(&report);
        report
    }

    /// Whether nothing waits any more. What a gateway has in hand is not seen.
    async fn queues_are_empty(&self, data: &Path) -> bool {
        if self.rabbit.is_some() {
            rabbit::nothing_waits(&self.urls()).await.unwrap_or(false)
        } else {
            evidence::nothing_waits(data).await.unwrap_or(false)
        }
    }

    fn tell_unexplained(&self, report: &Report) {
        const MOST: usize = 20;
        for line in report.unexplained.iter().take(MOST) {
            println!("{}: unexplained: {line}", self.name);
            let id = line.split(':').next().unwrap_or_default();
            if id.starts_with("t-") {
                for line in self.gateways.log_lines(id) {
                    println!("    {line}");
                }
            }
        }
        if !report.unexplained.is_empty() {
            for line in self.gateways.log_lines("\"WARN\"") {
                println!("    {line}");
            }
        }
        if report.unexplained.len() > MOST {
            println!("{}: and {} more", self.name, report.unexplained.len() - MOST);
        }
    }
}

/// A line every so often.
async fn tell_progress(
    name: &'static str,
    every: Duration,
    began: Instant,
    (journal, record, faults): (Journal, Arc<Record>, Arc<Faults>),
) {
    loop {
        tokio::time::sleep(every).await;
        let (accepted, sent, requests) = record.counts();
        let (_, ended) = journal.progress().await.unwrap_or_default();
        println!(
            "{name}: {:>4.0?} sent {sent}, accepted {accepted}, requests {requests}, ended {ended}, waiting {}, faults {}",
            began.elapsed(),
            accepted.saturating_sub(ended),
            faults.so_far().len()
        );
    }
}
