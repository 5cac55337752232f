//! Attempts' transcripts: written with their attempt, kept for a while, read by whoever makes an attempt again.

use std::time::Duration;

use bytes::Bytes;
use sqlx::postgres::PgConnection;
use sqlx::{Connection, Row as _, query, query_scalar};

use super::problem::Problem;
use super::{Settings, connection, rows, schema};
use crate::domain::{Moment, NotificationId};
use crate::journal::retention::Retention;
use crate::journal::writer::{Fault, error};
use crate::journal::{JournalError, Kept, Lookup, Transcript};

/// For each one that is written so many that are too old may go: it catches up when the time for which they are kept is
/// made shorter.
const GO_FOR_EACH: usize = 4;

/// Those that another gateway removes just now are left to it.
const REMOVE: &str = "WITH old AS MATERIALIZED (
        SELECT id FROM transcript WHERE id IN (SELECT id FROM transcript ORDER BY id LIMIT $2) AND recorded_at < $1
        FOR UPDATE SKIP LOCKED
    )
    DELETE FROM transcript USING old WHERE transcript.id = old.id RETURNING octet_length(transcript.content)";

/// Writes them, and removes what is older than `kept`; returns by how many bytes there is more of them.
pub(super) async fn write(
    connection: &mut PgConnection,
    transcripts: &[(NotificationId, Moment, Transcript)],
    kept: Duration,
) -> Result<i64, sqlx::Error> {
    let Some(now) = transcripts.iter().map(|(_, at, _)| *at).max() else { return Ok(0) };
    rows::insert_transcripts(connection, transcripts).await?;
    let more: usize = transcripts.iter().map(|(.., transcript)| transcript.content.len()).sum();
    let most = i64::try_from(transcripts.len() * GO_FOR_EACH).unwrap_or(i64::MAX);
    let gone: Vec<i32> =
        query_scalar(REMOVE).bind(Retention::before(now, kept)).bind(most).fetch_all(connection).await?;
    Ok(i64::try_from(more).unwrap_or(i64::MAX) - gone.into_iter().map(i64::from).sum::<i64>())
}

/// Looks an attempt up, beside running gateways or without one: nothing is written. Of several records of one number the
/// last counts; without a number, the last attempt's.
///
/// # Errors
/// The database cannot be reached, is no journal of this version, or cannot be read.
pub async fn look_up(
    settings: &Settings,
    id: &NotificationId,
    number: Option<u32>,
) -> Result<Lookup, JournalError> {
    let looked_up = async {
        let mut connection = connection::open(&settings.options).await?;
        schema::check(&mut connection).await?;
        let found = find(&mut connection, id, number).await?;
        connection.close().await?;
        Ok(found)
    };
    looked_up.await.map_err(|problem: Problem| error(&settings.place(), &Fault::from(problem)))
}

/// [`Journal::look_up`](crate::journal::Journal::look_up).
pub(super) async fn find(
    connection: &mut PgConnection,
    id: &NotificationId,
    number: Option<u32>,
) -> Result<Lookup, sqlx::Error> {
    let raw = query_scalar::<_, Vec<u8>>("SELECT raw FROM notification WHERE id = $1").bind(id.as_str());
    let Some(raw) = raw.fetch_optional(&mut *connection).await? else { return Ok(Lookup::Unknown) };
    let select = query(
        "SELECT number, recorded_at, content, replay FROM transcript
        WHERE notification_id = $1 AND ($2::bigint IS NULL OR number = $2) ORDER BY id DESC LIMIT 1",
    );
    let of_number = |number: i64| u32::try_from(number).unwrap_or(u32::MAX);
    let select = select.bind(id.as_str()).bind(number.map(i64::from));
    if let Some(row) = select.fetch_optional(&mut *connection).await? {
        return Ok(Lookup::Found(Kept {
            raw: Bytes::from(raw),
            recorded_at: Moment::from_unix_milliseconds(row.try_get("recorded_at")?),
            transcript: Transcript {
                number: of_number(row.try_get("number")?),
                replay: of_number(row.try_get("replay")?),
                content: row.try_get("content")?,
            },
        }));
    }
    let numbers =
        query_scalar("SELECT DISTINCT number FROM transcript WHERE notification_id = $1 ORDER BY number");
    let numbers: Vec<i64> = numbers.bind(id.as_str()).fetch_all(connection).await?;
    Ok(Lookup::NotKept { numbers: numbers.into_iter().map(of_number).collect() })
}
