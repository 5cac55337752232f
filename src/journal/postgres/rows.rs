//! Rows as they are written: many with one statement, a column at a time.
//!
//! PostgreSQL's texts hold any character but NUL, which a merchant's reply may well contain: it is replaced, because a group with
//! such a text would be refused, with everything that others have in it.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use sqlx::postgres::PgConnection;
use sqlx::query;

use crate::domain::{Beginning, Moment, NotificationId};
use crate::journal::group::Row;
use crate::journal::{Attempt, State, Transcript};

/// What stands for a NUL.
const NO_NUL: &str = "\u{fffd}";

/// The text as PostgreSQL takes it.
pub(super) fn text(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', NO_NUL)) } else { Cow::Borrowed(text) }
}

/// A state as JSON, in which a NUL is an escape. For a type of ours, which has no way to fail.
pub(super) fn json(state: &State) -> String {
    serde_json::to_string(state).unwrap_or_default()
}

fn option(option: Option<&String>) -> Option<Cow<'_, str>> {
    option.map(|inner| text(inner))
}

/// States, a column each of what is asked for.
#[derive(Default)]
pub(super) struct States {
    ids: Vec<String>,
    at: Vec<i64>,
    states: Vec<String>,
    phases: Vec<&'static str>,
    outcomes: Vec<Option<String>>,
    causes: Vec<Option<String>>,
    due: Vec<Option<i64>>,
}

impl States {
    /// Of several of one notification the last counts, and the latest moment.
    pub(super) fn of<'a>(states: impl Iterator<Item = (&'a NotificationId, Moment, &'a State)>) -> Self {
        let mut last: HashMap<&NotificationId, (Moment, &State)> = HashMap::new();
        for (id, at, state) in states {
            let before = last.get(id).map_or(at, |(before, _)| *before);
            last.insert(id, (at.max(before), state));
        }
        let mut columns = Self::default();
        for (id, (at, state)) in last {
            columns.push(id, at, state, None);
        }
        columns
    }

    fn push(&mut self, id: &NotificationId, at: Moment, state: &State, not_before: Option<Moment>) {
        self.ids.push(id.as_str().to_owned());
        self.at.push(at.unix_milliseconds());
        self.states.push(json(state));
        let (phase, outcome, cause, due) = match state {
            State::Received => ("received", None, None, Some(not_before.unwrap_or(at))),
            State::Accepted => ("accepted", None, None, Some(not_before.unwrap_or(at))),
            State::Waiting { due, .. } => ("waiting", None, None, Some(*due)),
            State::Held { due, cause, .. } => ("held", None, Some(cause), Some(*due)),
            State::Ended { outcome, .. } => ("ended", Some(outcome), None, None),
        };
        self.phases.push(phase);
        self.outcomes.push(option(outcome).map(Cow::into_owned));
        self.causes.push(option(cause).map(Cow::into_owned));
        self.due.push(due.map(Moment::unix_milliseconds));
    }

    /// Gives the notifications these states.
    pub(super) async fn write(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        if self.ids.is_empty() {
            return Ok(());
        }
        query(UPDATE)
            .bind(&self.ids)
            .bind(&self.at)
            .bind(&self.states)
            .bind(&self.phases)
            .bind(&self.outcomes)
            .bind(&self.causes)
            .bind(&self.due)
            .execute(connection)
            .await
            .map(drop)
    }
}

const UPDATE: &str = "UPDATE notification SET updated_at = greatest(updated_at, new.at),
    state = new.state, phase = new.phase, outcome = new.outcome, cause = new.cause, due = new.due
    FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[])
        AS new (id, at, state, phase, outcome, cause, due)
    WHERE notification.id = new.id";

/// Writes down those of the notifications that are not there yet, and returns how many bytes that are.
///
/// In the order of their ids, so that two gateways that write down the same ones do not wait for each other in a circle.
pub(super) async fn insert_unknown<'a>(
    connection: &mut PgConnection,
    rows: impl Iterator<Item = &'a Row>,
) -> Result<i64, sqlx::Error> {
    let mut known = HashSet::new();
    let mut rows: Vec<&Row> = rows.filter(|row| known.insert(row.id.as_str())).collect();
    if rows.is_empty() {
        return Ok(0);
    }
    // Most are there, and their texts need not be sent.
    let ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    let there = sqlx::query_scalar("SELECT id FROM notification WHERE id = ANY($1)").bind(ids);
    let there: HashSet<String> = there.fetch_all(&mut *connection).await?.into_iter().collect();
    rows.retain(|row| !there.contains(row.id.as_str()));
    if rows.is_empty() {
        return Ok(0);
    }
    let mut states = States::default();
    for row in &rows {
        states.push(&row.id, row.at, &row.state, row.not_before);
    }
    let merchants: Vec<&str> = rows.iter().map(|row| row.merchant.as_str()).collect();
    let orders: Vec<Option<Cow<'_, str>>> = rows.iter().map(|row| option(row.order.as_ref())).collect();
    let first_seen: Vec<i64> = rows.iter().map(|row| row.first_seen.unix_milliseconds()).collect();
    let digests: Vec<&[u8]> = rows.iter().map(|row| row.digest.as_ref()).collect();
    let raw: Vec<&[u8]> = rows.iter().map(|row| &*row.raw).collect();
    let lengths: Vec<i32> = sqlx::query_scalar(INSERT)
        .bind(&states.ids)
        .bind(&states.at)
        .bind(&states.states)
        .bind(&states.phases)
        .bind(&states.outcomes)
        .bind(&states.causes)
        .bind(&states.due)
        .bind(merchants)
        .bind(orders)
        .bind(first_seen)
        .bind(digests)
        .bind(raw)
        .fetch_all(connection)
        .await?;
    Ok(lengths.into_iter().map(i64::from).sum())
}

const INSERT: &str = "INSERT INTO notification
    (id, updated_at, state, phase, outcome, cause, due, merchant_id, merchant_order_id, first_seen, digest, raw)
    SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[],
        $8::text[], $9::text[], $10::bigint[], $11::bytea[], $12::bytea[]) AS new (id)
    ORDER BY new.id COLLATE \"C\"
    ON CONFLICT (id) DO NOTHING
    RETURNING octet_length(raw)";

/// Notes beginnings; of several of one notification the last.
pub(super) async fn note_beginnings(
    connection: &mut PgConnection,
    rows: &[(&Row, Beginning)],
) -> Result<(), sqlx::Error> {
    if rows.is_empty() {
        return Ok(());
    }
    let last: HashMap<&str, &Beginning> =
        rows.iter().map(|(row, beginning)| (row.id.as_str(), beginning)).collect();
    let (ids, beginnings): (Vec<&str>, Vec<&Beginning>) = last.into_iter().unzip();
    let column =
        |of: fn(&Beginning) -> i64| beginnings.iter().map(|beginning| of(beginning)).collect::<Vec<_>>();
    let again: Vec<bool> = beginnings.iter().map(|beginning| beginning.again).collect();
    query(BEGIN)
        .bind(ids)
        .bind(column(|beginning| beginning.place.0.into()))
        .bind(column(|beginning| beginning.place.1.into()))
        .bind(column(|beginning| beginning.place.2.into()))
        .bind(column(|beginning| beginning.gateway.cast_signed()))
        .bind(column(|beginning| beginning.at.unix_milliseconds()))
        .bind(again)
        .execute(connection)
        .await
        .map(drop)
}

const BEGIN: &str = "UPDATE notification SET begun_replay = new.replay, begun_attempt = new.attempt,
    begun_holds = new.holds, begun_by = new.gateway, begun_at = new.at, begun_again = new.again
    FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::boolean[])
        AS new (id, replay, attempt, holds, gateway, at, again)
    WHERE notification.id = new.id";

/// Writes attempts, in their order, and returns how many. One that is there to the last column was written before, and its
/// answer was lost with the connection.
pub(super) async fn insert_attempts(
    connection: &mut PgConnection,
    attempts: &[(NotificationId, Attempt)],
) -> Result<u64, sqlx::Error> {
    if attempts.is_empty() {
        return Ok(0);
    }
    let texts = |of: fn(&Attempt) -> &String| {
        attempts.iter().map(|(_, attempt)| text(of(attempt))).collect::<Vec<_>>()
    };
    let ids: Vec<&str> = attempts.iter().map(|(id, _)| id.as_str()).collect();
    let numbers: Vec<i64> = attempts.iter().map(|(_, attempt)| attempt.number.into()).collect();
    let started: Vec<i64> =
        attempts.iter().map(|(_, attempt)| attempt.started_at.unix_milliseconds()).collect();
    let replays: Vec<i64> = attempts.iter().map(|(_, attempt)| attempt.replay.into()).collect();
    let took = |attempt: &Attempt| i64::try_from(attempt.duration.as_millis()).unwrap_or(i64::MAX);
    let took: Vec<i64> = attempts.iter().map(|(_, attempt)| took(attempt)).collect();
    let statuses: Vec<Option<i32>> =
        attempts.iter().map(|(_, attempt)| attempt.status.map(i32::from)).collect();
    let replies: Vec<_> = attempts.iter().map(|(_, attempt)| option(attempt.reply.as_ref())).collect();
    let details: Vec<_> = attempts.iter().map(|(_, attempt)| option(attempt.detail.as_ref())).collect();
    let written = query(INSERT_ATTEMPT)
        .bind(ids)
        .bind(numbers)
        .bind(started)
        .bind(took)
        .bind(texts(|attempt| &attempt.plugin))
        .bind(texts(|attempt| &attempt.method))
        .bind(texts(|attempt| &attempt.url))
        .bind(statuses)
        .bind(replies)
        .bind(texts(|attempt| &attempt.result))
        .bind(details)
        .bind(replays)
        .execute(connection)
        .await?;
    Ok(written.rows_affected())
}

const INSERT_ATTEMPT: &str = "INSERT INTO attempt
    (notification_id, number, started_at, duration_ms, plugin, method, url, status, reply, result, detail, replay)
    SELECT new.id, new.number, new.started_at, new.duration_ms, new.plugin, new.method, new.url, new.status, new.reply,
        new.result, new.detail, new.replay
    FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::text[],
        $8::integer[], $9::text[], $10::text[], $11::text[], $12::bigint[]) WITH ORDINALITY
        AS new (id, number, started_at, duration_ms, plugin, method, url, status, reply, result, detail, replay, place)
    WHERE NOT EXISTS (
        SELECT FROM attempt there WHERE there.notification_id = new.id AND there.number = new.number
        AND there.replay = new.replay AND there.started_at = new.started_at AND there.duration_ms = new.duration_ms AND there.plugin = new.plugin
        AND there.method = new.method AND there.url = new.url AND there.status IS NOT DISTINCT FROM new.status
        AND there.reply IS NOT DISTINCT FROM new.reply AND there.result = new.result
        AND there.detail IS NOT DISTINCT FROM new.detail
    )
    ORDER BY new.place";

/// Writes transcripts, in their order.
pub(super) async fn insert_transcripts(
    connection: &mut PgConnection,
    transcripts: &[(NotificationId, Moment, Transcript)],
) -> Result<(), sqlx::Error> {
    let ids: Vec<&str> = transcripts.iter().map(|(id, ..)| id.as_str()).collect();
    let numbers: Vec<i64> = transcripts.iter().map(|(.., transcript)| transcript.number.into()).collect();
    let recorded: Vec<i64> = transcripts.iter().map(|(_, at, _)| at.unix_milliseconds()).collect();
    let replays: Vec<i64> = transcripts.iter().map(|(.., transcript)| transcript.replay.into()).collect();
    let contents: Vec<_> = transcripts.iter().map(|(.., transcript)| text(&transcript.content)).collect();
    query(INSERT_TRANSCRIPT)
        .bind(ids)
        .bind(numbers)
        .bind(recorded)
        .bind(contents)
        .bind(replays)
        .execute(connection)
        .await
        .map(drop)
}

const INSERT_TRANSCRIPT: &str =
    "INSERT INTO transcript (notification_id, number, recorded_at, content, replay)
    SELECT new.id, new.number, new.recorded_at, new.content, new.replay
    FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::text[], $5::bigint[]) WITH ORDINALITY
        AS new (id, number, recorded_at, content, replay, place)
    ORDER BY new.place";
