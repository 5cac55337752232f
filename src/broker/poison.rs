//! What lies in the poison queue, as people see it.

use std::collections::HashMap;

use bytes::Bytes;
use serde::Serialize;

use crate::domain::{Envelope, Moment, Unreadable};

/// How many characters of a message's text a listing shows.
const BEGINNING: usize = 200;
/// The most bytes that are looked at for that.
const LOOKED_AT: usize = BEGINNING * 4;

/// A message, shown in one row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PoisonRow {
    /// What it is asked for by. Two messages that are the same in everything have the same.
    pub id: String,
    /// Since when it has been there, if that is known.
    pub since: Option<Moment>,
    /// Why, for people.
    pub reason: String,
    /// How long its body is.
    pub bytes: usize,
    /// The beginning of its body as text.
    pub beginning: String,
}

/// A message, whole.
#[derive(Clone, Debug)]
pub struct PoisonMessage {
    /// The same in one row.
    pub row: PoisonRow,
    /// Its body.
    pub body: Bytes,
    /// Our headers beside it.
    pub headers: HashMap<String, String>,
    /// The merchant to whom its producer addressed it, if it came through the intake.
    pub addressed: Option<String>,
}

/// Some messages, the one first that has been there longest.
#[derive(Clone, Debug, Default)]
pub struct PoisonPage {
    /// The messages.
    pub rows: Vec<PoisonRow>,
    /// Whether there are more of them that can be asked for.
    pub more: bool,
}

impl PoisonRow {
    /// The row of a message.
    #[must_use]
    pub fn new(id: String, since: Option<Moment>, reason: String, body: &[u8]) -> Self {
        let beginning = body.get(..LOOKED_AT).unwrap_or(body);
        let beginning = String::from_utf8_lossy(beginning).chars().take(BEGINNING).collect();
        Self { id, since, reason, bytes: body.len(), beginning }
    }
}

impl PoisonMessage {
    /// Reads it as it would be read if it came now: due at once.
    ///
    /// # Errors
    /// It cannot be read, or was addressed to another merchant than its record names.
    pub fn read(&self, now: Moment) -> Result<Envelope, Unreadable> {
        let mut envelope =
            Envelope::read(self.body.clone(), |name| self.headers.get(name).map(String::as_str), now)?;
        let merchant = envelope.notification.merchant();
        if let Some(addressed) = self.addressed.as_ref().filter(|addressed| *addressed != merchant.as_str()) {
            return Err(Unreadable::WrongMerchant {
                addressed: addressed.chars().take(80).collect(),
                merchant: merchant.clone(),
            });
        }
        envelope.progress.due = now;
        Ok(envelope)
    }
}
