//! The poison table, as an operator sees and empties it.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, Result, Row};

use super::store::{self, Group, Message, Terms};
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

/// Does it, with a commit of its own where something changes.
pub(super) fn answer(connection: &Connection, ask: Ask, terms: Terms) -> Result<Told> {
    const ONE: &str = "SELECT number, poisoned_at, reason, body, headers FROM poison WHERE number = ?1";
    match ask {
        Ask::Count => {
            let count =
                connection.query_row("SELECT count(*) FROM poison", [], |row| row.get::<_, i64>(0))?;
            Ok(Told::Count(count.unsigned_abs()))
        }
        Ask::List { skip, most } => list(connection, skip, most).map(Told::Page),
        Ask::One(number) => {
            let found = connection.query_row(ONE, [number], message).optional()?;
            Ok(Told::One(found.map(Box::new)))
        }
        Ask::PutBack(number, message) => {
            let group = Group {
                hastened: vec![(*message).clone()],
                new: vec![*message],
                unpoisoned: vec![number],
                ..Group::default()
            };
            take_out(connection, number, &group, terms)
        }
        Ask::Discard(number) => {
            let group = Group { unpoisoned: vec![number], ..Group::default() };
            take_out(connection, number, &group, terms)
        }
    }
}

/// Nobody else writes to the file, so that what is found is there still when the group is written.
fn take_out(connection: &Connection, number: i64, group: &Group, terms: Terms) -> Result<Told> {
    if !connection.prepare_cached("SELECT 1 FROM poison WHERE number = ?1")?.exists([number])? {
        return Ok(Told::Done(false));
    }
    store::write(connection, group, terms)?;
    Ok(Told::Done(true))
}

fn list(connection: &Connection, skip: usize, most: usize) -> Result<PoisonPage> {
    let whole = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    // As much of a body as a row can show, and one row more, which says whether there are more.
    let mut select = connection.prepare_cached(
        "SELECT number, poisoned_at, reason, length(body) AS bytes, substr(body, 1, 1000) AS body FROM poison
        ORDER BY number LIMIT ?1 OFFSET ?2",
    )?;
    let shown = |stored: &Row<'_>| {
        let bytes = usize::try_from(stored.get::<_, i64>("bytes")?).unwrap_or_default();
        Ok(PoisonRow { bytes, ..row(stored)? })
    };
    let mut rows = select.query_map([whole(most.saturating_add(1)), whole(skip)], shown)?;
    let shown = rows.by_ref().take(most).collect::<Result<Vec<_>>>()?;
    Ok(PoisonPage { rows: shown, more: rows.next().is_some() })
}

fn row(row: &Row<'_>) -> Result<PoisonRow> {
    let number: i64 = row.get("number")?;
    let since = Moment::from_unix_milliseconds(row.get("poisoned_at")?);
    let body = row.get_ref("body")?.as_blob()?;
    Ok(PoisonRow::new(number.to_string(), Some(since), row.get("reason")?, body))
}

fn message(stored: &Row<'_>) -> Result<PoisonMessage> {
    let body: Vec<u8> = stored.get("body")?;
    // Headers that cannot be read are why it is here, perhaps.
    let mut beside: HashMap<String, String> =
        serde_json::from_str(stored.get_ref("headers")?.as_str()?).unwrap_or_default();
    beside.remove(headers::POISON_REASON);
    Ok(PoisonMessage { row: row(stored)?, body: body.into(), headers: beside, addressed: None })
}
