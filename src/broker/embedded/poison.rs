//! The poison table, as an operator sees and empties it.

use std::collections::HashMap;

use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{Row, query, query_scalar};

use super::store::{self, Group, Message};
use crate::broker::{PoisonMessage, PoisonPage, PoisonRow};
use crate::domain::{Moment, headers};

/// What an operator wants. Messages go by their numbers.
#[derive(Debug)]
pub(super) enum Ask {
    Count,
    List { skip: usize, most: usize },
    One(i64),
    PutBack(i64, Box<Message>),
    Discard(i64),
}

/// What is answered.
#[derive(Debug)]
pub(super) enum Told {
    Count(u64),
    Page(PoisonPage),
    One(Option<Box<PoisonMessage>>),
    /// Whether the message was there.
    Done(bool),
}

/// Does it, with a commit of its own where something changes. `life` is the broker's, `outcomes_kept` its bound.
pub(super) async fn answer(
    connection: &mut SqliteConnection,
    ask: Ask,
    (life, now, outcomes_kept): (i64, Moment, u64),
) -> Result<Told, sqlx::Error> {
    match ask {
        Ask::Count => {
            let count: i64 = query_scalar("SELECT count(*) FROM poison").fetch_one(connection).await?;
            Ok(Told::Count(count.unsigned_abs()))
        }
        Ask::List { skip, most } => list(connection, skip, most).await.map(Told::Page),
        Ask::One(number) => {
            let select =
                query("SELECT number, poisoned_at, reason, body, headers FROM poison WHERE number = ?1");
            let row = select.bind(number).fetch_optional(connection).await?;
            Ok(Told::One(row.as_ref().map(message).transpose()?.map(Box::new)))
        }
        Ask::PutBack(number, message) => {
            let group = Group {
                hastened: vec![(*message).clone()],
                new: vec![*message],
                unpoisoned: vec![number],
                ..Group::default()
            };
            take_out(connection, number, &group, (life, now, outcomes_kept)).await
        }
        Ask::Discard(number) => {
            let group = Group { unpoisoned: vec![number], ..Group::default() };
            take_out(connection, number, &group, (life, now, outcomes_kept)).await
        }
    }
}

/// Nobody else writes to the file, so that what is found is there still when the group is written.
async fn take_out(
    connection: &mut SqliteConnection,
    number: i64,
    group: &Group,
    (life, now, outcomes_kept): (i64, Moment, u64),
) -> Result<Told, sqlx::Error> {
    let there = query_scalar::<_, i64>("SELECT count(*) FROM poison WHERE number = ?1").bind(number);
    if there.fetch_one(&mut *connection).await? == 0 {
        return Ok(Told::Done(false));
    }
    store::write(connection, group, life, now, outcomes_kept).await?;
    Ok(Told::Done(true))
}

async fn list(
    connection: &mut SqliteConnection,
    skip: usize,
    most: usize,
) -> Result<PoisonPage, sqlx::Error> {
    let whole = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    // As much of a body as a row can show, and one row more, which says whether there are more.
    let select = query(
        "SELECT number, poisoned_at, reason, length(body) AS bytes, substr(body, 1, 1000) AS body FROM poison
        ORDER BY number LIMIT ?1 OFFSET ?2",
    );
    let rows = select.bind(whole(most.saturating_add(1))).bind(whole(skip)).fetch_all(connection).await?;
    let mut shown = rows.iter().take(most).map(row).collect::<Result<Vec<_>, _>>()?;
    for (shown, row) in shown.iter_mut().zip(&rows) {
        shown.bytes = usize::try_from(row.try_get::<i64, _>("bytes")?).unwrap_or_default();
    }
    Ok(PoisonPage { rows: shown, more: rows.len() > most })
}

fn row(row: &SqliteRow) -> Result<PoisonRow, sqlx::Error> {
    let number: i64 = row.try_get("number")?;
    let since = Moment::from_unix_milliseconds(row.try_get("poisoned_at")?);
    let body: &[u8] = row.try_get("body")?;
    Ok(PoisonRow::new(number.to_string(), Some(since), row.try_get("reason")?, body))
}

fn message(stored: &SqliteRow) -> Result<PoisonMessage, sqlx::Error> {
    let body: Vec<u8> = stored.try_get("body")?;
    // Headers that cannot be read are why it is here, perhaps.
    let mut beside: HashMap<String, String> =
        serde_json::from_str(stored.try_get("headers")?).unwrap_or_default();
    beside.remove(headers::POISON_REASON);
    Ok(PoisonMessage { row: row(stored)?, body: body.into(), headers: beside, addressed: None })
}
