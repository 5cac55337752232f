//! Attempts' transcripts: written with their attempt, kept for a while, read by whoever makes an attempt again.
//!
//! They are the journal's bulk, so that they alone do not stay for ever: whenever some are written, some that are too old
//! go, so that a commit's work stays bounded and the file stops growing.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use rusqlite::params;
use sqlx::{Connection as _, Row as _, SqliteConnection, query, query_scalar};

use super::SCHEMA;
use crate::domain::{Moment, NotificationId};
use crate::journal::retention::Retention;
use crate::journal::writer::{Fault, error};
use crate::journal::{JournalError, Kept, Lookup, Transcript};
use crate::sqlite::{self, Place, Problem};

const INSERT: &str = "INSERT INTO transcript (notification_id, number, recorded_at, content, replay)
    VALUES (?1, ?2, ?3, ?4, ?5)";

/// For each one that is written so many that are too old may go: it catches up when the time for which they are kept is
/// made shorter.
const GO_FOR_EACH: i64 = 4;

const REMOVE: &str = "DELETE FROM transcript WHERE recorded_at < ?1
    AND id IN (SELECT id FROM transcript ORDER BY id LIMIT ?2)";

/// Whenever so many have been written, some go: looking for them takes as long as writing ten.
const GO_AFTER: i64 = 32;

/// Writes them, and now and then removes what is older than `kept`.
pub(super) fn write(
    connection: &rusqlite::Connection,
    transcripts: &[(NotificationId, Moment, Transcript)],
    kept: Duration,
) -> rusqlite::Result<()> {
    let Some(now) = transcripts.iter().map(|(_, at, _)| *at).max() else { return Ok(()) };
    let mut insert = connection.prepare_cached(INSERT)?;
    for (id, at, transcript) in transcripts {
        let Transcript { number, content, replay, .. } = transcript;
        insert.execute(params![id.as_str(), number, at.unix_milliseconds(), content, replay])?;
    }
    let (last, written) =
        (connection.last_insert_rowid(), i64::try_from(transcripts.len()).unwrap_or(i64::MAX));
    if last / GO_AFTER == last.saturating_sub(written) / GO_AFTER {
        return Ok(());
    }
    let most = written.max(GO_AFTER).saturating_mul(GO_FOR_EACH);
    connection.prepare_cached(REMOVE)?.execute(params![Retention::before(now, kept), most]).map(drop)
}

/// Looks an attempt up in a journal's file, which a gateway may be using meanwhile: nothing is written. Of several
/// records of one number the last counts; without a number, the last attempt's.
///
/// # Errors
/// The file is not there, is no journal of this version, or cannot be read.
pub async fn look_up(file: &Path, id: &NotificationId, number: Option<u32>) -> Result<Lookup, JournalError> {
    let patience = Duration::from_secs(5);
    let place = Place { file: file.to_owned(), largest: u64::MAX, patience };
    let looked_up = async {
        let mut connection = sqlite::open_to_read(&place, &SCHEMA).await?;
        let found = find(&mut connection, id, number).await;
        connection.close().await?;
        Ok(found?)
    };
    looked_up.await.map_err(|problem: Problem| error(&file.display().to_string(), &Fault::from(problem)))
}

/// [`Journal::look_up`](crate::journal::Journal::look_up).
pub(super) async fn find(
    connection: &mut SqliteConnection,
    id: &NotificationId,
    number: Option<u32>,
) -> Result<Lookup, sqlx::Error> {
    let raw = query_scalar::<_, Vec<u8>>("SELECT raw FROM notification WHERE id = ?1").bind(id.as_str());
    let Some(raw) = raw.fetch_optional(&mut *connection).await? else { return Ok(Lookup::Unknown) };
    let select = query(
        "SELECT number, recorded_at, content, replay FROM transcript
        WHERE notification_id = ?1 AND (?2 IS NULL OR number = ?2) ORDER BY id DESC LIMIT 1",
    );
    if let Some(row) = select.bind(id.as_str()).bind(number).fetch_optional(&mut *connection).await? {
        return Ok(Lookup::Found(Kept {
            raw: Bytes::from(raw),
            recorded_at: Moment::from_unix_milliseconds(row.try_get("recorded_at")?),
            transcript: Transcript {
                number: row.try_get("number")?,
                replay: row.try_get("replay")?,
                content: row.try_get("content")?,
            },
        }));
    }
    let numbers =
        query_scalar("SELECT DISTINCT number FROM transcript WHERE notification_id = ?1 ORDER BY number");
    Ok(Lookup::NotKept { numbers: numbers.bind(id.as_str()).fetch_all(connection).await? })
}
