//! `GET /v1/merchants` and what belongs to it: how it stands with each merchant; and pausing and resuming one.
//!
//! The API knows them by the trait [`Merchants`]. What is live is this gateway's: of several that share their queues each
//! shows its own. What is counted is from the journal, and so everybody's.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Extension, RawQuery, State};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};

use super::counts::Counted;
use super::doors::Caller;
use super::order::{WithReason, read};
use super::page::{Page, cursor};
use super::problem::Problem;
use super::query::{Parameters, Path};
use super::{Api, not_found, unavailable};
use crate::domain::{Lane, MerchantId};
use crate::journal::{Deed, JournalError, Noted, Pause};

/// Whoever knows the merchants.
#[async_trait::async_trait]
pub trait Merchants: Send + Sync {
    /// Those of them that are wanted, after that one, by their ids, at most so many.
    fn after(&self, id: Option<&str>, wanted: &Wanted, most: usize) -> Found;

    /// One of them.
    fn one(&self, id: &MerchantId) -> Option<MerchantFacts>;

    /// The delays of the ladder of a merchant; of one that is unknown, those of the gateway's own.
    fn ladder_ms(&self, id: &str) -> Vec<u64>;

    /// The ids of those that are in the slow lane.
    fn slow(&self) -> Vec<String>;

    /// The pause of a merchant, if it is paused. It need not be known otherwise.
    fn pause(&self, id: &MerchantId) -> Option<Pause>;

    /// What the journal says of pauses has changed: it takes effect here.
    ///
    /// # Errors
    /// The journal cannot be read; it takes effect a little later.
    async fn look_at_pauses(&self) -> Result<(), JournalError>;
}

/// Which merchants are asked for. All that is given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// What their ids have in them, in large or small letters.
    pub part: Option<String>,
    /// How it stands with them.
    pub is: Option<Standing>,
}

/// What can be the matter with a merchant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Its endpoint's breaker is open.
    Down,
    /// An operator has paused it.
    Paused,
    /// It is in the slow lane, and its endpoint can be reached.
    Slow,
}

impl Standing {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Down, Self::Paused, Self::Slow];
}

impl std::fmt::Display for Standing {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Down => "down",
            Self::Paused => "paused",
            Self::Slow => "slow",
        })
    }
}

/// A part of the merchants that were asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// These.
    pub facts: Vec<MerchantFacts>,
    /// How many there are of which this is a part.
    pub total: usize,
}

/// How it stands with a merchant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MerchantFacts {
    /// Which one.
    pub merchant_id: String,
    /// What formats for it.
    pub plugin: PluginFacts,
    /// Where it is told, without the query and without whatever stands before the host.
    pub url: String,
    /// The lane in which it is: `main` or `slow`.
    #[serde(serialize_with = "lane_name")]
    pub lane: Lane,
    /// Whether it is paused, and since when, by whom and why.
    pub paused: Option<Pause>,
    /// `down` while its endpoint's breaker is open, otherwise `up`.
    pub endpoint: &'static str,
    /// How many attempts this gateway has under way.
    pub in_flight: usize,
    /// The delays of its ladder.
    pub ladder_ms: Vec<u64>,
}

/// A plugin's version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PluginFacts {
    /// The format's name.
    pub name: String,
    /// The plugin's own version.
    pub version: String,
    /// The version's name here: 16 digits of its content's SHA-256.
    pub hash: String,
}

fn lane_name<S: serde::Serializer>(lane: &Lane, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(match lane {
        Lane::Main => "main",
        Lane::Slow => "slow",
    })
}

/// `GET /v1/merchants`
pub(super) async fn list(State(api): State<Api>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let parameters = Parameters::read(query.as_deref(), &["like", "is", "limit", "cursor"])?;
    let wanted = Wanted {
        part: parameters.text("like").map(str::to_owned),
        is: parameters.word("is", &Standing::ALL)?,
    };
    let page = Page::among(&parameters)?;
    let counted = api.counted().await?;
    let Found { mut facts, total } = api.merchants.after(page.after.as_deref(), &wanted, page.limit + 1);
    let more = facts.len() > page.limit;
    facts.truncate(page.limit);
    let next = facts.last().filter(|_| more).map(|last| cursor(&last.merchant_id));
    let rows: Vec<Value> = facts.into_iter().map(|facts| row(facts, &counted)).collect();
    Ok(Json(json!({"merchants": rows, "total": total, "next": next})).into_response())
}

/// `GET /v1/merchants/{id}`
pub(super) async fn one(State(api): State<Api>, Path(id): Path<String>) -> Result<Response, Problem> {
    let parsed = id.parse().ok();
    let facts = parsed.and_then(|id| api.merchants.one(&id)).ok_or_else(|| unknown(&id))?;
    let counted = api.counted().await?;
    Ok(Json(row(facts, &counted)).into_response())
}

/// `POST /v1/merchants/{id}/pause`, with `{"reason": "why"}`. One that is paused already stays so, as it is.
pub(super) async fn pause(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    change(&api, &caller, &id, body, Deed::Pause).await
}

/// `POST /v1/merchants/{id}/resume`, with `{"reason": "why"}`. One that is not paused stays so.
pub(super) async fn resume(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    change(&api, &caller, &id, body, Deed::Resume).await
}

async fn change(
    api: &Api,
    caller: &Caller,
    id: &str,
    body: Result<Bytes, BytesRejection>,
    deed: Deed,
) -> Result<Response, Problem> {
    let WithReason { reason } = read(body)?;
    let merchant: MerchantId = id.parse().map_err(|_| unknown(id))?;
    // One whose file is gone may be paused still.
    if api.merchants.one(&merchant).is_none() && api.merchants.pause(&merchant).is_none() {
        return Err(unknown(id));
    }
    let noted = Noted { deed, whom: merchant.to_string(), order: reason.order(caller) };
    let changed = api.journal.note(noted).await.map_err(unavailable)?;
    if let Err(error) = api.merchants.look_at_pauses().await {
        // It is durable, and every gateway looks again by itself.
        tracing::warn!(%merchant, %error, "a change of its pause takes effect a little later");
    }
    let paused = api.merchants.pause(&merchant);
    Ok(Json(json!({"merchant_id": merchant, "paused": paused, "changed": changed})).into_response())
}

/// The facts, with what the journal counts for this merchant.
fn row(facts: MerchantFacts, counted: &Counted) -> Value {
    let counts = &counted.counts;
    let waiting = counts.waiting.iter().filter(|count| count.merchant == facts.merchant_id);
    let held = counts.held.iter().filter(|count| count.merchant == facts.merchant_id);
    let (waiting, held): (u64, u64) =
        (waiting.map(|count| count.count).sum(), held.map(|count| count.count).sum());
    let mut row = json!(facts);
    row["waiting"] = waiting.into();
    row["held"] = held.into();
    row
}

fn unknown(id: &str) -> Problem {
    let id: String = id.chars().take(MerchantId::LONGEST).collect();
    not_found(format!("no merchant `{id}` is configured"))
}
