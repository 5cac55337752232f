//! Who is let in: every route but the open ones asks here before anything of the request's body is read.
//!
//! The rule: whoever is refused learns nothing about which tokens, merchants or notifications there are. A token that is
//! missing and one that is unknown get the same answer; what is another merchant's does not exist.
//!
//! A gateway without any token in its configuration lets everybody in, but for pages of other origins
//! ([`browsers`]). `config` sees to it that it listens on the loopback then.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::browsers;
use super::metrics::Metrics;
use super::problem::Problem;
use super::rate::Bucket;
use super::tokens::{Door, Role, Token, TokenHash};
use crate::domain::MerchantId;

/// How many requests are answered, in a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    /// Of each token; without tokens, of all together; and of all who have no token, to be refused.
    pub each: u32,
    /// Of each merchant's token.
    pub merchant: u32,
}

/// All tokens, each with its room for requests.
pub(super) struct Doors {
    tokens: Vec<(Token, Bucket)>,
    /// The room of those without a token: to be let in where none is needed, to be refused where one is.
    others: Bucket,
    /// Whether it listens on the loopback alone.
    loopback: bool,
}

impl Doors {
    pub(super) fn new(tokens: Vec<Token>, rates: Rates, loopback: bool) -> Self {
        let now = Instant::now();
        let with_bucket = |token: Token| {
            let rate = match token.role {
                Role::Merchant(_) => rates.merchant,
                Role::Ingest | Role::Read | Role::Operate => rates.each,
            };
            (token, Bucket::new(rate, now))
        };
        let tokens = tokens.into_iter().map(with_bucket).collect();
        Self { tokens, others: Bucket::new(rates.each, now), loopback }
    }

    fn admit(&self, request: &Request, door: Door, now: Instant) -> Result<Caller, Problem> {
        if door == Door::Open {
            return Ok(Caller::local());
        }
        if self.tokens.is_empty() {
            browsers::check(request, self.loopback)?;
            self.others.take(now).map_err(too_many)?;
            return Ok(Caller::local());
        }
        let Some((token, bucket)) = presented(request.headers()).and_then(|text| self.find(text)) else {
            self.others.take(now).map_err(too_many)?;
            return Err(Problem::new(
                StatusCode::UNAUTHORIZED,
                "unauthorized",
                "this needs a valid token in the header `authorization: Bearer …`",
            ));
        };
        bucket.take(now).map_err(too_many)?;
        if !token.role.opens(door) {
            tracing::info!(
                token = token.name,
                role = token.role.name(),
                "a token is not for what was asked with it"
            );
            let detail = format!("a token of the role `{}` is not for this", token.role.name());
            return Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", detail));
        }
        Ok(Caller {
            name: token.name.clone(),
            role: token.role.name(),
            merchant: match &token.role {
                Role::Merchant(id) => Some(id.clone()),
                Role::Ingest | Role::Read | Role::Operate => None,
            },
        })
    }

    /// Compares with all of them, whichever it is.
    fn find(&self, text: &str) -> Option<&(Token, Bucket)> {
        let hash = TokenHash::of(text);
        self.tokens.iter().fold(None, |found, token| if token.0.hash.is(&hash) { Some(token) } else { found })
    }
}

/// The token of `authorization: Bearer …` (RFC 6750 section 2.1).
fn presented(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).into_iter();
    let (value, None) = (values.next()?, values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

fn too_many(after: Duration) -> Problem {
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "too many requests", "ask again later, and less often")
        .retry_after(after)
}

/// Whoever was let in. Each request has one.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    /// The token's name.
    name: String,
    /// Its role's name.
    role: &'static str,
    /// The only merchant that may be asked about.
    merchant: Option<MerchantId>,
}

impl Caller {
    /// Whoever needs no token.
    fn local() -> Self {
        Self { name: "local".to_owned(), role: Role::Operate.name(), merchant: None }
    }

    /// What the audit calls it by.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// What its token is for; whoever needs none may do everything.
    pub(super) fn role(&self) -> &'static str {
        self.role
    }

    /// Whose token it has, if that merchant is all that it may ask about.
    pub(super) fn merchant(&self) -> Option<&MerchantId> {
        self.merchant.as_ref()
    }

    /// Whether it may know what is this merchant's.
    pub(super) fn may_see(&self, merchant: &MerchantId) -> bool {
        self.merchant.as_ref().is_none_or(|own| own == merchant)
    }
}

/// One route's door.
#[derive(Clone)]
pub(super) struct Doorkeeper {
    pub(super) doors: Arc<Doors>,
    pub(super) door: Door,
    /// What the route is counted as.
    pub(super) route: (&'static str, &'static str),
    pub(super) metrics: Arc<Metrics>,
}

/// Lets the request in, or answers it.
pub(super) async fn keep(State(keeper): State<Doorkeeper>, mut request: Request, next: Next) -> Response {
    let begun = keeper.metrics.begin(keeper.route.0, keeper.route.1);
    let answer = match keeper.doors.admit(&request, keeper.door, Instant::now()) {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    };
    begun.end(answer.status());
    answer
}
