//! The broker's file: what is written in it and read from it. Every function is one thing that the engine does.

use std::collections::HashSet;

use sqlx::sqlite::SqliteConnection;
use sqlx::{Row, query, query_scalar};

use crate::domain::{Envelope, Lane, Moment, NotificationId, OutcomeEvent};
use crate::sqlite::{self, Schema};

/// The `application_id` is "pnb1" in ASCII.
pub(super) const SCHEMA: Schema = Schema {
    name: "paynotify broker",
    application_id: 0x706e_6231,
    steps: &[include_str!("schema.sql"), include_str!("schema-2.sql"), include_str!("schema-3.sql")],
};

/// A message as it is written.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) notification: NotificationId,
    pub(super) due: Moment,
    pub(super) body: bytes::Bytes,
    pub(super) headers: String,
    pub(super) lane: Lane,
}

impl Message {
    pub(super) fn new(envelope: &Envelope) -> Self {
        let headers: serde_json::Map<_, _> = envelope
            .progress
            .to_headers()
            .into_iter()
            .map(|(name, text)| (name.to_owned(), text.into()))
            .collect();
        Self {
            notification: envelope.notification.id().clone(),
            due: envelope.progress.due,
            body: envelope.notification.raw.clone(),
            headers: serde_json::Value::from(headers).to_string(),
            lane: envelope.lane,
        }
    }
}

/// The payment centre's event as it is written.
#[derive(Debug)]
pub(super) struct Event {
    routing_key: String,
    json: String,
}

impl Event {
    pub(super) fn new(event: &OutcomeEvent) -> Self {
        // A type of ours has no way to fail.
        Self { routing_key: event.routing_key(), json: serde_json::to_string(event).unwrap_or_default() }
    }
}

/// A message as it is read.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) number: i64,
    pub(super) due: Moment,
    pub(super) body: Vec<u8>,
    pub(super) headers: String,
    pub(super) lane: Lane,
    /// In which life of the broker it was written.
    pub(super) life: i64,
}

/// What is written with one commit.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// New messages. One of a notification that waits already is left out.
    pub(super) new: Vec<Message>,
    /// New ones that take the place of what waits of their notification and is not due yet. They are among `new`, too.
    pub(super) hastened: Vec<Message>,
    /// Those that take the place of the one of that number.
    pub(super) parked: Vec<(i64, Message)>,
    /// Those that leave for the poison table, and why.
    pub(super) poisoned: Vec<(i64, String)>,
    /// Those that leave.
    pub(super) gone: Vec<i64>,
    /// Those that leave the poison table.
    pub(super) unpoisoned: Vec<i64>,
    /// What the payment centre is told.
    pub(super) events: Vec<Event>,
}

/// Writes the group. When this returns well, all of it is on the disk; otherwise nothing is.
pub(super) async fn write(
    connection: &mut SqliteConnection,
    group: &Group,
    life: i64,
    now: Moment,
    outcomes_kept: u64,
) -> Result<(), sqlx::Error> {
    sqlite::begin(connection).await?;
    let written = write_rows(connection, group, life, now, outcomes_kept).await;
    sqlite::end(connection, written).await
}

async fn write_rows(
    connection: &mut SqliteConnection,
    group: &Group,
    life: i64,
    now: Moment,
    outcomes_kept: u64,
) -> Result<(), sqlx::Error> {
    if !group.poisoned.is_empty() {
        let copy = query(
            "INSERT INTO poison (poisoned_at, reason, body, headers)
            SELECT ?1, chosen.value ->> 1, body, headers
            FROM json_each(?2) AS chosen JOIN message ON number = chosen.value ->> 0",
        );
        // Numbers and texts have no way to fail.
        let chosen = serde_json::to_string(&group.poisoned).unwrap_or_default();
        copy.bind(now.unix_milliseconds()).bind(chosen).execute(&mut *connection).await?;
    }
    if !group.gone.is_empty() {
        let forget = query("DELETE FROM message WHERE number IN (SELECT value FROM json_each(?1))");
        forget.bind(list(group.gone.iter())).execute(&mut *connection).await?;
    }
    if !group.unpoisoned.is_empty() {
        let forget = query("DELETE FROM poison WHERE number IN (SELECT value FROM json_each(?1))");
        forget.bind(list(group.unpoisoned.iter())).execute(&mut *connection).await?;
    }
    for message in &group.hastened {
        // What is out was due.
        let hasten =
            query("UPDATE message SET due = ?1, headers = ?2 WHERE notification_id = ?3 AND due > ?4");
        let hasten = hasten.bind(message.due.unix_milliseconds()).bind(&message.headers);
        let hasten = hasten.bind(message.notification.as_str()).bind(now.unix_milliseconds());
        hasten.execute(&mut *connection).await?;
    }
    let new = unheard_of(connection, &group.new).await?.into_iter().map(|message| (None, message));
    let parked = group.parked.iter().map(|(number, message)| (Some(*number), message));
    let rows: Vec<(Option<i64>, &Message)> = new.chain(parked).collect();
    let head = "INSERT INTO message (number, notification_id, due, body, headers, life, lane) ";
    let tail = " ON CONFLICT (number) DO UPDATE SET
        notification_id = excluded.notification_id, due = excluded.due, body = excluded.body,
        headers = excluded.headers, life = excluded.life, lane = excluded.lane";
    sqlite::insert(connection, head, tail, &rows, |values, (number, message)| {
        values
            .push_bind(*number)
            .push_bind(message.notification.as_str())
            .push_bind(message.due.unix_milliseconds())
            .push_bind(&*message.body)
            .push_bind(&message.headers)
            .push_bind(life)
            .push_bind(number_of(message.lane));
    })
    .await?;
    let head = "INSERT INTO outcome (routing_key, event) ";
    sqlite::insert(connection, head, "", &group.events, |values, event| {
        values.push_bind(&event.routing_key).push_bind(&event.json);
    })
    .await?;
    if !group.events.is_empty() {
        let trim = query("DELETE FROM outcome WHERE number <= (SELECT max(number) FROM outcome) - ?1");
        trim.bind(i64::try_from(outcomes_kept).unwrap_or(i64::MAX)).execute(connection).await?;
    }
    Ok(())
}

/// The new messages without those whose notification waits already, or comes twice among them.
async fn unheard_of<'a>(
    connection: &mut SqliteConnection,
    new: &'a [Message],
) -> Result<Vec<&'a Message>, sqlx::Error> {
    if new.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<_> = new.iter().map(|message| &message.notification).collect();
    // Ids have no way to fail.
    let ids = serde_json::to_string(&ids).unwrap_or_default();
    let select = query_scalar::<_, String>(
        "SELECT notification_id FROM message WHERE notification_id IN (SELECT value FROM json_each(?1))",
    );
    let mut waiting: HashSet<String> = select.bind(ids).fetch_all(connection).await?.into_iter().collect();
    Ok(new.iter().filter(|message| waiting.insert(message.notification.to_string())).collect())
}

/// A lane as it stands in the file.
fn number_of(lane: Lane) -> i64 {
    match lane {
        Lane::Main => 0,
        Lane::Slow => 1,
    }
}

/// The first messages of a lane that are due and not among those that are `out`.
pub(super) async fn due(
    connection: &mut SqliteConnection,
    lane: Lane,
    now: Moment,
    out: impl Iterator<Item = &i64>,
    most: usize,
) -> Result<Vec<Stored>, sqlx::Error> {
    let select = query(
        "SELECT number, due, body, headers, life FROM message
        WHERE lane = ?4 AND due <= ?1 AND number NOT IN (SELECT value FROM json_each(?2))
        ORDER BY due, number LIMIT ?3",
    );
    let select = select.bind(now.unix_milliseconds()).bind(list(out));
    let select = select.bind(i64::try_from(most).unwrap_or(i64::MAX)).bind(number_of(lane));
    let rows = select.fetch_all(connection).await?;
    let stored = |row: &sqlx::sqlite::SqliteRow| {
        Ok(Stored {
            number: row.try_get(0)?,
            due: Moment::from_unix_milliseconds(row.try_get(1)?),
            body: row.try_get(2)?,
            headers: row.try_get(3)?,
            lane,
            life: row.try_get(4)?,
        })
    };
    rows.iter().map(stored).collect()
}

/// When the first message of a lane comes due that is not due yet.
pub(super) async fn next_due(
    connection: &mut SqliteConnection,
    lane: Lane,
    now: Moment,
) -> Result<Option<Moment>, sqlx::Error> {
    let select = query_scalar::<_, Option<i64>>("SELECT min(due) FROM message WHERE lane = ?2 AND due > ?1");
    let due = select.bind(now.unix_milliseconds()).bind(number_of(lane)).fetch_one(connection).await?;
    Ok(due.map(Moment::from_unix_milliseconds))
}

/// How many bytes of the file are in use.
pub(super) async fn used(connection: &mut SqliteConnection) -> Result<u64, sqlx::Error> {
    let select = query_scalar::<_, i64>(
        "SELECT (page_count - freelist_count) * page_size
        FROM pragma_page_count, pragma_freelist_count, pragma_page_size",
    );
    select.fetch_one(connection).await.map(i64::unsigned_abs)
}

/// Any number of numbers as one value, for one prepared statement.
fn list<'a>(numbers: impl Iterator<Item = &'a i64>) -> String {
    let numbers: Vec<_> = numbers.map(i64::to_string).collect();
    format!("[{}]", numbers.join(","))
}
