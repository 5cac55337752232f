//! The operators' console: one page, and the files that it is made of.
//!
//! The rule: the page is a client of `/v1` like any other. Its files hold no data and so need no token; whatever they show is asked
//! for with the token of whoever looks. They are served as they lie in `page/`, are part of the program, and name no other
//! origin. What the page may load, run and send is bounded by [`POLICY`], which the browser keeps: nothing of another origin, no script
//! and no style that is written into the page, and no text that is made into markup.
//!
//! These are no routes of the API and not in its document; `api.console = false` takes them away.

use std::sync::LazyLock;

use aws_lc_rs::digest::{SHA256, digest};
use axum::Extension;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;

use super::tokens::Door;
use super::{Route, not_found};

/// The ways to the page.
pub(super) const ROUTES: &[Route] = &[
    Route {
        method: "GET",
        path: "/",
        door: Door::Open,
        handler: || get(|| async { Redirect::temporary("/console") }),
    },
    Route { method: "GET", path: "/console", door: Door::Open, handler: || get(page) },
    Route { method: "GET", path: "/console/{file}", door: Door::Open, handler: || get(file) },
];

/// Whether the page has to ask for a token.
#[derive(Clone, Copy, Debug)]
pub(super) struct SignIn {
    pub(super) needed: bool,
}

/// What the browser lets the page do (<https://www.w3.org/TR/CSP3/>, and for the last two
/// <https://www.w3.org/TR/trusted-types/>).
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// What goes with every file.
const HEADERS: [(HeaderName, HeaderValue); 6] = [
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    // It is asked each time whether there is a newer one, as after an upgrade there is.
    (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
];

const HTML: &str = "text/html; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const PICTURE: &str = "image/svg+xml";

/// A file of the page.
struct File {
    name: &'static str,
    media_type: &'static str,
    content: String,
    /// Says which content this is (RFC 9110 section 8.8.3).
    tag: HeaderValue,
}

/// The page as it is where tokens are needed, and as it is where they are not.
static PAGES: LazyLock<[File; 2]> = LazyLock::new(|| {
    let text = include_str!("page/console.html").replace("{version}", env!("CARGO_PKG_VERSION"));
    ["needed", "needless"].map(|sign_in| made("console.html", HTML, text.replace("{sign-in}", sign_in)))
});

/// What the page is made of.
static FILES: LazyLock<Vec<File>> = LazyLock::new(|| {
    macro_rules! files {
        ($($media_type:ident: $($name:literal),+);+ $(;)?) => {
            vec![$($(made($name, $media_type, include_str!(concat!("page/", $name)).to_owned())),+),+]
        };
    }
    files! {
        STYLE: "console.css";
        PICTURE: "icon.svg";
        SCRIPT: "api.js", "audit.js", "dialog.js", "dom.js", "facts.js", "ladder.js", "live.js", "main.js", "merchants.js",
            "overview.js", "pages.js", "plugins.js", "search.js", "sentence.js", "story.js", "undelivered.js", "words.js";
    }
});

fn made(name: &'static str, media_type: &'static str, content: String) -> File {
    let hash = hex::encode(digest(&SHA256, content.as_bytes()));
    // Digits and quotation marks are good in a header.
    let tag =
        HeaderValue::from_str(&format!("\"{}\"", &hash[..16])).unwrap_or(HeaderValue::from_static("\"\""));
    File { name, media_type, content, tag }
}

/// `GET /console`
async fn page(Extension(SignIn { needed }): Extension<SignIn>, headers: HeaderMap) -> Response {
    let [with_tokens, without] = &*PAGES;
    answer(if needed { with_tokens } else { without }, &headers)
}

/// `GET /console/{file}`
async fn file(Path(name): Path<String>, headers: HeaderMap) -> Response {
    match FILES.iter().find(|file| file.name == name) {
        Some(file) => answer(file, &headers),
        None => not_found("the console has no such file").into_response(),
    }
}

fn answer(file: &'static File, headers: &HeaderMap) -> Response {
    let is_known = headers.get(header::IF_NONE_MATCH).is_some_and(|tag| *tag == file.tag);
    let mut response = if is_known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, file.media_type)], file.content.as_str()).into_response()
    };
    response.headers_mut().extend(HEADERS);
    response.headers_mut().insert(header::ETAG, file.tag.clone());
    response
}
