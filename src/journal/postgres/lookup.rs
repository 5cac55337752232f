//! How far notifications have come, looked up and locked with one query for many.

use std::collections::{BTreeSet, HashMap};

use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{Row as _, query};

use crate::domain::{Beginning, Moment, NotificationId};
use crate::journal::found::{Found, readable};
use crate::journal::group::Group;
use crate::journal::operations::Operation;

/// Notifications whose rows are locked until the transaction ends.
#[derive(Default)]
pub(super) struct Locked {
    /// Those that can be read.
    pub(super) found: HashMap<NotificationId, Found>,
    /// Of all: the content's digest, and what the notification is in a word.
    pub(super) phases: HashMap<String, (Vec<u8>, String)>,
}

impl Locked {
    /// Notes that this one is durable at the broker, if that is news.
    pub(super) fn is_at_the_broker(&mut self, id: &str) {
        if let Some((_, phase)) = self.phases.get_mut(id)
            && phase == "received"
        {
            *phase = "accepted".to_owned();
        }
    }
}

/// Locks all notifications that the group names and that are there.
pub(super) async fn lock(connection: &mut PgConnection, group: &Group) -> Result<Locked, sqlx::Error> {
    let mut ids = BTreeSet::new();
    ids.extend(group.accepts.iter().map(|(row, _)| row.id.as_str()));
    ids.extend(group.accepted.iter().map(NotificationId::as_str));
    ids.extend(group.messages.iter().map(|(row, ..)| row.id.as_str()));
    ids.extend(group.records.iter().map(|(row, _)| row.id.as_str()));
    ids.extend(group.told.iter().map(|(id, _)| id.as_str()));
    ids.extend(group.releases.iter().flat_map(|(wanted, _)| wanted.ids.iter().map(String::as_str)));
    ids.extend(group.operations.iter().filter_map(|(operation, _)| match operation {
        Operation::Replay(wanted) => Some(wanted.id.as_str()),
        Operation::Note(..) => None,
    }));
    if ids.is_empty() {
        return Ok(Locked::default());
    }
    let ids: Vec<&str> = ids.into_iter().collect();
    let rows = query(LOCK).bind(ids).fetch_all(connection).await?;
    let mut locked = Locked::default();
    for row in &rows {
        let (digest, phase) = (row.try_get("digest")?, row.try_get("phase")?);
        locked.phases.insert(row.try_get("id")?, (digest, phase));
        locked.found.extend(found(row)?);
    }
    Ok(locked)
}

/// The ids are compared byte by byte, here and by every other gateway, so that all lock in one order.
const LOCK: &str = "SELECT id, digest, first_seen, state, phase, begun_replay, begun_attempt, begun_holds,
    begun_by, begun_at, begun_again
    FROM notification WHERE id = ANY($1) ORDER BY id FOR UPDATE";

fn found(row: &PgRow) -> Result<Option<(NotificationId, Found)>, sqlx::Error> {
    let Some((id, state)) = readable(row.try_get("id")?, row.try_get("state")?) else { return Ok(None) };
    let first_seen = Moment::from_unix_milliseconds(row.try_get("first_seen")?);
    let (digest, begun) = (row.try_get("digest")?, begun(row)?);
    Ok(Some((id, Found { digest, first_seen, state, begun })))
}

/// The beginning that was noted last.
fn begun(row: &PgRow) -> Result<Option<Beginning>, sqlx::Error> {
    let Some(attempt) = row.try_get::<Option<i64>, _>("begun_attempt")? else { return Ok(None) };
    let replay: Option<i64> = row.try_get("begun_replay")?;
    let holds: i64 = row.try_get("begun_holds")?;
    let number = |number| u32::try_from(number).unwrap_or(u32::MAX);
    Ok(Some(Beginning {
        place: (number(replay.unwrap_or_default()), number(attempt), number(holds)),
        gateway: row.try_get::<i64, _>("begun_by")?.cast_unsigned(),
        at: Moment::from_unix_milliseconds(row.try_get("begun_at")?),
        again: row.try_get("begun_again")?,
    }))
}
