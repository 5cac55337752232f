//! What people ask: stories, lists and transcripts, read.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{Row, query};

use super::{operations, release, search, transcripts};
use crate::domain::{Moment, NotificationId};
use crate::journal::batched::Reader;
use crate::journal::{
    Attempt, AuditRow, Counts, Cursor, Lookup, Page, Pause, Question, Release, ReleasePlace, Story,
};
use crate::sqlite::Problem;

/// Connections that only read.
#[derive(Debug)]
pub struct Readers(pub(super) SqlitePool);

#[async_trait]
impl Reader for Readers {
    async fn story(&self, id: &NotificationId) -> Result<Option<Story>, String> {
        story(&self.0, id).await.map_err(|problem| problem.to_string())
    }

    async fn search(&self, question: &Question, from: Option<Cursor>, most: usize) -> Result<Page, String> {
        search::search(&self.0, question, from, most).await.map_err(|error| Problem::from(error).to_string())
    }

    async fn count(&self, question: &Question, most: u64) -> Result<u64, String> {
        search::count(&self.0, question, most).await.map_err(|error| Problem::from(error).to_string())
    }

    async fn look_up(&self, id: &NotificationId, number: Option<u32>) -> Result<Lookup, String> {
        let looked_up = async { transcripts::find(&mut *self.0.acquire().await?, id, number).await };
        looked_up.await.map_err(|error| Problem::from(error).to_string())
    }

    async fn held(&self, release: &Release) -> Result<(Vec<String>, Option<ReleasePlace>), String> {
        release::find(&self.0, release).await.map_err(|error| Problem::from(error).to_string())
    }

    async fn pauses(&self) -> Result<Vec<Pause>, String> {
        operations::pauses(&self.0).await.map_err(|problem| problem.to_string())
    }

    async fn audit(&self, after: Option<&str>, most: usize) -> Result<Vec<AuditRow>, String> {
        operations::audit(&self.0, after, most).await.map_err(|error| Problem::from(error).to_string())
    }

    async fn counts(&self, ended_since: Moment) -> Result<Counts, String> {
        operations::counts(&self.0, ended_since).await.map_err(|error| Problem::from(error).to_string())
    }

    async fn close(&self) {
        self.0.close().await;
    }

    fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
}

/// Everything about a notification, as it was at one moment.
async fn story(readers: &SqlitePool, id: &NotificationId) -> Result<Option<Story>, Problem> {
    let mut transaction = readers.begin().await?;
    let notification = query(
        "SELECT merchant_id, merchant_order_id, first_seen, updated_at, state FROM notification WHERE id = ?1",
    );
    let Some(row) = notification.bind(id.as_str()).fetch_optional(&mut *transaction).await? else {
        return Ok(None);
    };
    let attempts = query("SELECT * FROM attempt WHERE notification_id = ?1 ORDER BY id");
    let attempts = attempts.bind(id.as_str()).fetch_all(&mut *transaction).await?;
    let replays = operations::replays(&mut transaction, id).await?;
    let wrong = |what: &str| Problem::Damaged(format!("notification {id}: {what}"));
    Ok(Some(Story {
        notification_id: id.clone(),
        merchant_id: row.try_get::<&str, _>("merchant_id")?.parse().map_err(|_| wrong("its merchant_id"))?,
        merchant_order_id: row.try_get("merchant_order_id")?,
        first_seen: moment(&row, "first_seen")?,
        updated_at: moment(&row, "updated_at")?,
        state: serde_json::from_str(row.try_get("state")?).map_err(|_| wrong("its state"))?,
        attempts: attempts.iter().map(attempt).collect::<Result<_, _>>()?,
        replays,
    }))
}

fn attempt(row: &SqliteRow) -> Result<Attempt, sqlx::Error> {
    Ok(Attempt {
        number: row.try_get("number")?,
        started_at: moment(row, "started_at")?,
        duration: Duration::from_millis(row.try_get::<i64, _>("duration_ms")?.unsigned_abs()),
        plugin: row.try_get("plugin")?,
        method: row.try_get("method")?,
        url: row.try_get("url")?,
        status: row.try_get("status")?,
        reply: row.try_get("reply")?,
        result: row.try_get("result")?,
        detail: row.try_get("detail")?,
        replay: row.try_get("replay")?,
    })
}

fn moment(row: &SqliteRow, column: &str) -> Result<Moment, sqlx::Error> {
    row.try_get(column).map(Moment::from_unix_milliseconds)
}
