//! `[outcomes]`: the HTTP endpoint that is told how notifications end.

use std::time::Duration;

use ::http::{HeaderValue, Uri};
use zeroize::Zeroizing;

use super::document::{Document, Problem};
use super::outward::{authorities, endpoint};
use super::raw;
use crate::http;

/// The endpoint that is told, valid.
#[derive(Debug)]
pub struct Outcomes {
    /// Where events are posted.
    pub url: Uri,
    /// Where connections may go.
    pub reach: http::Reach,
    /// `Bearer` and the token. Marked as sensitive.
    pub authorization: Option<HeaderValue>,
    /// The events' `source`.
    pub source: String,
    /// How long one event may take.
    pub timeout: Duration,
    /// Authorities that are trusted beside the system's, PEM.
    pub authorities: Option<String>,
    /// How many events may be in memory.
    pub queue: usize,
    /// How many are told side by side.
    pub side_by_side: usize,
    /// The longest pause between two tries.
    pub longest_pause: Duration,
    /// How long after an end that is not known to have been told of it is told again.
    pub again_after: Duration,
}

/// Checks the table whole.
///
/// # Errors
/// The first thing that is wrong.
pub(super) fn settings(document: &Document, raw: &raw::Outcomes) -> Result<Option<Outcomes>, Problem> {
    let wrong =
        |key: &str, problem: &dyn std::fmt::Display| document.wrong(&format!("outcomes.{key}"), problem);
    let folder = document.folder();
    let Some(url) = &raw.url else {
        return match &raw.token {
            Some(_) => Err(wrong("token", &"is there, but no `outcomes.url` that it is for")),
            None => Ok(None),
        };
    };
    let (url, reach) = endpoint(document, ("outcomes", "url"), url, &raw.allow_addresses)?;
    if raw.source.is_empty() || !raw.source.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(wrong(
            "source",
            &"must be a URI reference such as `/paynotify`, percent-encoded and not empty",
        ));
    }
    let token = raw.token.as_ref().map(|token| {
        let token = token.fetch(&folder).map_err(|problem| wrong("token", &problem))?;
        bearer(&token)
            .ok_or_else(|| wrong("token", &"is no bearer token: visible ASCII characters without blanks"))
    });
    let authorities = raw.ca_file.as_ref().map(|file| authorities(&folder.join(file)));
    Ok(Some(Outcomes {
        url,
        reach,
        authorization: token.transpose()?,
        source: raw.source.clone(),
        timeout: raw.timeout.get(),
        authorities: authorities.transpose().map_err(|problem| wrong("ca_file", &problem))?,
        queue: raw.queue.size(),
        side_by_side: raw.side_by_side.size(),
        longest_pause: raw.longest_pause.get(),
        again_after: raw.again_after.get(),
    }))
}

fn bearer(token: &str) -> Option<HeaderValue> {
    let text = Zeroizing::new(format!("Bearer {token}"));
    let mut value =
        token.bytes().all(|byte| byte.is_ascii_graphic()).then(|| HeaderValue::from_str(&text).ok())??;
    value.set_sensitive(true);
    Some(value)
}
