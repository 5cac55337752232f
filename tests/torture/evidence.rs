//! What is found at the end: the journal, the payment centre's events, and what lies in the queues.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use paynotify::domain::Moment;
use serde_json::Value;
use sqlx::postgres::PgRow;
use sqlx::sqlite::{SqliteConnectOptions, SqliteRow};
use sqlx::{Connection, FromRow, PgConnection, Row, SqliteConnection, query, query_as, query_scalar};

use super::rabbit::{self, PREFIX, Trouble};

/// An attempt in the journal.
#[derive(Clone, Debug)]
pub struct Attempt {
    pub number: u32,
    pub started: Moment,
    pub duration: Duration,
}

/// What the journal says of a notification.
#[derive(Clone, Debug)]
pub struct Story {
    /// Its state as the API would show it.
    pub state: Value,
    pub attempts: Vec<Attempt>,
}

/// An event of the payment centre's.
#[derive(Clone, Debug)]
pub struct Event {
    pub outcome: String,
    pub attempts: u32,
    pub ended_at: Moment,
}

/// What the broker holds at the end.
#[derive(Clone, Debug, Default)]
pub struct Holdings {
    pub events: HashMap<String, Vec<Event>>,
    /// For each notification that waits: in which queues, once for each message.
    pub waiting: HashMap<String, Vec<String>>,
    /// Bodies of what lies in the poison queue.
    pub poison: Vec<String>,
}

impl Holdings {
    fn event(&mut self, body: &[u8]) {
        let event: Value = serde_json::from_slice(body).expect("an event is JSON");
        let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
        let ended_at = serde_json::from_value(event["ended_at"].clone()).expect("a moment");
        let attempts = u32::try_from(event["attempts"].as_u64().expect("a number")).expect("small");
        let found = Event { outcome: text("outcome"), attempts, ended_at };
        self.events.entry(text("notification_id")).or_default().push(found);
    }

    fn waits(&mut self, queue: &str, body: &[u8]) {
        let record: Value = serde_json::from_slice(body).unwrap_or_default();
        let id = record["notification_id"].as_str().unwrap_or("not one of ours").to_owned();
        self.waiting.entry(id).or_default().push(queue.to_owned());
    }
}

/// Empties the queues. The gateways must have ended, and the broker must be at peace; that it answers slowly at times is
/// borne with.
pub async fn of_rabbit(urls: &[String]) -> Result<Holdings, Trouble> {
    let mut holdings = Holdings::default();
    for body in emptied(urls, &rabbit::events_queue()).await? {
        holdings.event(&body);
    }
    for queue in rabbit::waiting_queues() {
        for body in emptied(urls, &queue).await? {
            holdings.waits(&queue, &body);
        }
    }
    for body in emptied(urls, &format!("{PREFIX}.poison")).await? {
        holdings.poison.push(String::from_utf8_lossy(&body).into_owned());
    }
    Ok(holdings)
}

async fn emptied(urls: &[String], queue: &str) -> Result<Vec<Vec<u8>>, Trouble> {
    const TRIES: usize = 5;
    let mut bodies = Vec::new();
    for left in (0..TRIES).rev() {
        let tried = async { rabbit::connect(urls).await?.drain(queue, &mut bodies).await };
        match tried.await {
            Ok(()) => break,
            Err(error) if left == 0 => return Err(format!("{queue}: {error}").into()),
            Err(error) => println!("{queue} is not emptied yet: {error}"),
        }
    }
    Ok(bodies)
}

/// Looks into the embedded broker's file.
pub async fn of_file(data: &Path) -> Result<Holdings, sqlx::Error> {
    let mut holdings = Holdings::default();
    let mut file = open(&data.join("broker.sqlite")).await?;
    for row in query("SELECT event FROM outcome ORDER BY number").fetch_all(&mut file).await? {
        holdings.event(row.get::<String, _>(0).as_bytes());
    }
    for row in query("SELECT body FROM message").fetch_all(&mut file).await? {
        holdings.waits("message", &row.get::<Vec<u8>, _>(0));
    }
    for row in query("SELECT body FROM poison").fetch_all(&mut file).await? {
        holdings.poison.push(String::from_utf8_lossy(&row.get::<Vec<u8>, _>(0)).into_owned());
    }
    Ok(holdings)
}

async fn open(file: &Path) -> Result<SqliteConnection, sqlx::Error> {
    let options = SqliteConnectOptions::new().filename(file).read_only(true);
    SqliteConnection::connect_with(&options.busy_timeout(Duration::from_secs(10))).await
}

/// Where the journal is.
#[derive(Clone, Debug)]
pub enum Journal {
    /// SQLite's file.
    File(PathBuf),
    /// A URL of PostgreSQL's.
    Database(String),
}

impl Journal {
    /// All stories in the journal.
    pub async fn stories(&self) -> Result<HashMap<String, Story>, sqlx::Error> {
        let mut stories = HashMap::new();
        for (id, state) in self.rows::<(String, String)>("SELECT id, state FROM notification").await? {
            let state = serde_json::from_str(&state).expect("a state is JSON");
            stories.insert(id, Story { state, attempts: Vec::new() });
        }
        let attempts = "SELECT notification_id, number, started_at, duration_ms FROM attempt ORDER BY id";
        for (id, number, started, took) in self.rows::<(String, i64, i64, i64)>(attempts).await? {
            let attempt = Attempt {
                number: u32::try_from(number).expect("small"),
                started: Moment::from_unix_milliseconds(started),
                duration: Duration::from_millis(took.unsigned_abs()),
            };
            if let Some(story) = stories.get_mut(&id) {
                story.attempts.push(attempt);
            }
        }
        Ok(stories)
    }

    /// How many notifications the journal knows, and how many of them have ended.
    pub async fn progress(&self) -> Result<(usize, usize), sqlx::Error> {
        let count = "SELECT phase, count(*) FROM notification GROUP BY phase";
        let (mut known, mut ended) = (0, 0);
        for (phase, count) in self.rows::<(String, i64)>(count).await? {
            let count = usize::try_from(count).unwrap_or(0);
            known += count;
            ended += if phase == "ended" { count } else { 0 };
        }
        Ok((known, ended))
    }

    async fn rows<T>(&self, sql: &'static str) -> Result<Vec<T>, sqlx::Error>
    where
        T: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        match self {
            Self::File(file) => query_as(sql).fetch_all(&mut open(file).await?).await,
            Self::Database(url) => query_as(sql).fetch_all(&mut PgConnection::connect(url).await?).await,
        }
    }
}

/// Whether no message waits in the embedded broker's file.
pub async fn nothing_waits(data: &Path) -> Result<bool, sqlx::Error> {
    let mut file = open(&data.join("broker.sqlite")).await?;
    let waiting: i64 = query_scalar("SELECT count(*) FROM message").fetch_one(&mut file).await?;
    Ok(waiting == 0)
}
