//! How far notifications have come: the task that looks it up, for all who ask at once with one query.

use std::collections::HashMap;

use aws_lc_rs::digest::{SHA256, digest};
use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{Row as _, SqliteConnection, query};
use tokio::sync::{mpsc, oneshot};

use super::{error, json};
use crate::domain::{
    AttemptNumber, Ending, Held, Known, Moment, Notification, NotificationId, Outcome, Progress, Recorded,
    Standing,
};
use crate::journal::{JournalError, State};
use crate::sqlite::Problem;

/// The most that one query asks for.
const BATCH: usize = 256;

/// A question: which notification, and with what content.
pub(super) struct Question {
    id: NotificationId,
    digest: Vec<u8>,
    answer: oneshot::Sender<Result<Known, JournalError>>,
}

impl Question {
    pub(super) fn new(
        notification: &Notification,
        answer: oneshot::Sender<Result<Known, JournalError>>,
    ) -> Self {
        let digest = digest(&SHA256, &notification.raw).as_ref().to_vec();
        Self { id: notification.id().clone(), digest, answer }
    }
}

/// A notification as it is found.
pub(super) struct Found {
    pub(super) digest: Vec<u8>,
    pub(super) first_seen: Moment,
    pub(super) state: State,
    pub(super) repeated: Option<String>,
}

/// Answers until nobody is left to ask. Who does not wait any more for its answer does not get it.
pub(super) async fn run(mut questions: mpsc::Receiver<Question>, readers: SqlitePool, place: String) {
    let mut taken = Vec::with_capacity(BATCH);
    while questions.recv_many(&mut taken, BATCH).await > 0 {
        let found = look_up(&readers, &taken).await;
        for Question { id, digest, answer } in taken.drain(..) {
            let _ = answer.send(match &found {
                Ok(found) => Ok(found.get(&id).map_or(Known::Nothing, |found| found.known(&digest))),
                Err(_) if readers.is_closed() => Err(JournalError::Closed),
                Err(problem) => Err(error(&place, problem)),
            });
        }
    }
}

async fn look_up(
    readers: &SqlitePool,
    questions: &[Question],
) -> Result<HashMap<NotificationId, Found>, Problem> {
    let mut connection = readers.acquire().await?;
    Ok(find(&mut connection, questions.iter().map(|question| &question.id)).await?)
}

/// Those of the notifications that are there.
pub(super) async fn find<'a>(
    connection: &mut SqliteConnection,
    ids: impl Iterator<Item = &'a NotificationId>,
) -> Result<HashMap<NotificationId, Found>, sqlx::Error> {
    let ids: Vec<_> = ids.collect();
    let select = query(
        "SELECT id, digest, first_seen, state, repeated FROM notification
        WHERE id IN (SELECT value FROM json_each(?1))",
    );
    let rows = select.bind(json(&ids)).fetch_all(connection).await?;
    let found = rows.iter().map(found).collect::<Result<Vec<_>, _>>()?;
    Ok(found.into_iter().flatten().collect())
}

/// A row whose state cannot be read counts as one that is not there: the next entry mends it, and nobody else waits
/// for that.
fn found(row: &SqliteRow) -> Result<Option<(NotificationId, Found)>, sqlx::Error> {
    let (id, state): (&str, &str) = (row.try_get("id")?, row.try_get("state")?);
    let (Ok(parsed), Ok(state)) = (id.parse(), serde_json::from_str(state)) else {
        tracing::error!(
            notification = id,
            state,
            "the journal has a state that cannot be read; it is passed over"
        );
        return Ok(None);
    };
    let first_seen = Moment::from_unix_milliseconds(row.try_get("first_seen")?);
    let (digest, repeated) = (row.try_get("digest")?, row.try_get("repeated")?);
    Ok(Some((parsed, Found { digest, first_seen, state, repeated })))
}

impl Found {
    fn known(&self, digest: &[u8]) -> Known {
        if self.digest != digest {
            return Known::AnotherText;
        }
        standing(&self.state, self.first_seen).map_or(Known::Nothing, Known::Standing)
    }
}

/// What a durable state says of how far the notification has come; nothing for one that has only come in.
pub(super) fn standing(state: &State, first_seen: Moment) -> Option<Standing> {
    let waiting = |attempt: &u32, due: &Moment, held| {
        let attempt = AttemptNumber::new(*attempt)?;
        Some(Standing::Waiting(Progress { attempt, due: *due, first_seen, held }))
    };
    match state {
        State::Received | State::Accepted => None,
        State::Waiting { next_attempt, due } => waiting(next_attempt, due, None),
        State::Held { next_attempt, due, holds, since, .. } => {
            waiting(next_attempt, due, Some(Held { since: *since, count: *holds }))
        }
        State::Ended { outcome, detail, attempts_made, ended_at } => Some(Standing::Ended(Ending {
            outcome: Outcome::named(outcome, detail.clone())?,
            attempts: *attempts_made,
            first_seen,
            at: *ended_at,
            recorded: Recorded::after_commit(),
        })),
    }
}
