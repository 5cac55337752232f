//! The broker's file: what is written in it and read from it. Every function is one thing that the engine does.

use rusqlite::{CachedStatement, Connection, Result, Row, params};

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

/// On which terms a group is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    /// The life of the broker.
    pub(super) life: i64,
    pub(super) now: Moment,
    /// How many of the payment centre's events are kept.
    pub(super) outcomes_kept: u64,
}

/// Writes the group. When this returns well, all of it is on the disk; otherwise nothing is.
pub(super) fn write(connection: &Connection, group: &Group, terms: Terms) -> Result<()> {
    sqlite::transaction(connection, |connection| write_rows(connection, group, terms))
}

fn write_rows(connection: &Connection, group: &Group, terms: Terms) -> Result<()> {
    let Terms { life, now, outcomes_kept } = terms;
    let now = now.unix_milliseconds();
    for (number, reason) in &group.poisoned {
        connection.prepare_cached(POISON)?.execute(params![now, reason, number])?;
    }
    remove(connection, "DELETE FROM message WHERE number = ?1", &group.gone)?;
    remove(connection, "DELETE FROM poison WHERE number = ?1", &group.unpoisoned)?;
    for Message { notification, due, headers, .. } in &group.hastened {
        let due = due.unix_milliseconds();
        connection.prepare_cached(HASTEN)?.execute(params![due, headers, notification.as_str(), now])?;
    }
    let mut put = connection.prepare_cached(PUT)?;
    let mut waits = connection.prepare_cached("SELECT 1 FROM message WHERE notification_id = ?1 LIMIT 1")?;
    for message in &group.new {
        // One of a notification that waits already is left out, also one that comes twice among these.
        if !waits.exists([message.notification.as_str()])? {
            put_in(&mut put, None, message, life)?;
        }
    }
    for (number, message) in &group.parked {
        put_in(&mut put, Some(*number), message, life)?;
    }
    let mut tell = connection.prepare_cached("INSERT INTO outcome (routing_key, event) VALUES (?1, ?2)")?;
    for Event { routing_key, json } in &group.events {
        tell.execute([routing_key, json])?;
    }
    if !group.events.is_empty() {
        let kept = i64::try_from(outcomes_kept).unwrap_or(i64::MAX);
        connection.prepare_cached(TRIM_OUTCOMES)?.execute([kept])?;
    }
    Ok(())
}

fn remove(connection: &Connection, each: &str, numbers: &[i64]) -> Result<()> {
    let mut remove = connection.prepare_cached(each)?;
    numbers.iter().try_for_each(|number| remove.execute([number]).map(drop))
}

fn put_in(put: &mut CachedStatement<'_>, number: Option<i64>, message: &Message, life: i64) -> Result<()> {
    let Message { notification, due, body, headers, lane } = message;
    let (due, lane) = (due.unix_milliseconds(), number_of(*lane));
    put.execute(params![number, notification.as_str(), due, &**body, headers, life, lane]).map(drop)
}

const POISON: &str = "INSERT INTO poison (poisoned_at, reason, body, headers)
    SELECT ?1, ?2, body, headers FROM message WHERE number = ?3";

/// What is out was due.
const HASTEN: &str = "UPDATE message SET due = ?1, headers = ?2 WHERE notification_id = ?3 AND due > ?4";

const PUT: &str = "INSERT INTO message (number, notification_id, due, body, headers, life, lane)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
    ON CONFLICT (number) DO UPDATE SET notification_id = excluded.notification_id, due = excluded.due,
    body = excluded.body, headers = excluded.headers, life = excluded.life, lane = excluded.lane";

const TRIM_OUTCOMES: &str = "DELETE FROM outcome WHERE number <= (SELECT max(number) FROM outcome) - ?1";

/// A lane as it stands in the file.
fn number_of(lane: Lane) -> i64 {
    match lane {
        Lane::Main => 0,
        Lane::Slow => 1,
    }
}

/// The first messages of a lane that are due and not among those that are `out`.
pub(super) fn due(
    connection: &Connection,
    lane: Lane,
    now: Moment,
    out: &str,
    most: usize,
) -> Result<Vec<Stored>> {
    let mut select = connection.prepare_cached(
        "SELECT number, due, body, headers, life FROM message
        WHERE lane = ?4 AND due <= ?1 AND number NOT IN (SELECT value FROM json_each(?2))
        ORDER BY due, number LIMIT ?3",
    )?;
    let stored = |row: &Row<'_>| {
        Ok(Stored {
            number: row.get(0)?,
            due: Moment::from_unix_milliseconds(row.get(1)?),
            body: row.get(2)?,
            headers: row.get(3)?,
            lane,
            life: row.get(4)?,
        })
    };
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    select.query_map(params![now.unix_milliseconds(), out, most, number_of(lane)], stored)?.collect()
}

/// When the first message of a lane comes due that is not due yet.
pub(super) fn next_due(connection: &Connection, lane: Lane, now: Moment) -> Result<Option<Moment>> {
    let mut select =
        connection.prepare_cached("SELECT min(due) FROM message WHERE lane = ?2 AND due > ?1")?;
    let due =
        select.query_row([now.unix_milliseconds(), number_of(lane)], |row| row.get::<_, Option<i64>>(0))?;
    Ok(due.map(Moment::from_unix_milliseconds))
}

/// Any number of numbers as one value, for one prepared statement.
pub(super) fn list<'a>(numbers: impl Iterator<Item = &'a i64>) -> String {
    let numbers: Vec<_> = numbers.map(i64::to_string).collect();
    format!("[{}]", numbers.join(","))
}
