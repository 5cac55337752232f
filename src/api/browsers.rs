//! What a browser is kept from at a gateway that asks for no token: to do there what a page of somebody else's wants.
//!
//! A page of any origin may have a browser send a POST to an address of the machine that the browser runs on, and a name that its owner
//! leads there ("DNS rebinding") makes even the answers the page's own. A token ends both, since no page of
//! another origin can send it along. Where none is asked for, requests of other origins are refused, by the headers that
//! browsers send and pages cannot change, and on the loopback any name but the loopback's own.
//!
//! Programs are not concerned: they send none of these headers, and name the loopback as itself.

use std::net::IpAddr;

use axum::extract::Request;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, header};

use super::problem::Problem;

/// Lets through what no page of another origin can have caused. `loopback`: nothing beyond the loopback is listened to.
pub(super) fn check(request: &Request, loopback: bool) -> Result<(), Problem> {
    let headers = request.headers();
    // HTTP/2 names the host in the request's target.
    let asked = match request.uri().authority() {
        Some(authority) => Some(authority.clone()),
        None => text(headers, header::HOST.as_str()).and_then(|host| host.parse::<Authority>().ok()),
    };
    if loopback && !asked.as_ref().is_some_and(|authority| is_loopback(authority.host())) {
        return Err(foreign(
            "it is asked for by a name that is not the loopback's, and without tokens answers to no other",
        ));
    }
    // Fetch Metadata (https://www.w3.org/TR/fetch-metadata/): `none` is a person's own doing.
    if text(headers, "sec-fetch-site").is_some_and(|site| !["same-origin", "none"].contains(&site)) {
        return Err(foreign("a page of another origin has caused this request"));
    }
    // RFC 6454 section 7.3: `scheme://host:port`, or `null`.
    let is_ours = |origin: &str| {
        let authority = origin.split_once("://").map(|(_, authority)| authority);
        authority
            .zip(asked.as_ref())
            .is_some_and(|(origin, asked)| asked.as_str().eq_ignore_ascii_case(origin))
    };
    match headers.get(header::ORIGIN) {
        Some(origin) if !origin.to_str().is_ok_and(is_ours) => {
            Err(foreign("a page of another origin has caused this request"))
        }
        _ => Ok(()),
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn foreign(detail: &str) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "forbidden", format!("{detail}: give the gateway `[[api.tokens]]`"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    type Headers<'a> = &'a [(&'a str, &'a str)];

    fn request(headers: Headers<'_>) -> Request {
        let request = Request::builder().method("POST").uri("/v1/notifications");
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        request.body(Body::empty()).expect("a request")
    }

    #[test]
    fn no_page_of_another_origin_gets_through() {
        let local = ("host", "127.0.0.1:8460");
        let cases: [(Headers<'_>, bool, bool); 15] = [
            (&[local], true, true),
            (&[("host", "localhost:8460")], true, true),
            (&[("host", "[::1]:8460")], true, true),
            (&[local, ("origin", "http://127.0.0.1:8460"), ("sec-fetch-site", "same-origin")], true, true),
            (&[local, ("sec-fetch-site", "none")], true, true),
            (&[], true, false),
            (&[("host", "evil.example:8460")], true, false),
            (&[("host", "127.0.0.1.evil.example")], true, false),
            (&[("host", "10.0.0.1:8460")], true, false),
            (&[local, ("origin", "http://evil.example")], true, false),
            (&[local, ("origin", "null")], true, false),
            (&[local, ("origin", "http://127.0.0.1:8461")], true, false),
            (&[local, ("sec-fetch-site", "cross-site")], true, false),
            (&[("host", "paynotify.internal:8460")], false, true),
            (&[("host", "paynotify.internal:8460"), ("origin", "http://evil.example")], false, false),
        ];
        for (headers, loopback, passes) in cases {
            assert_eq!(check(&request(headers), loopback).is_ok(), passes, "{headers:?}");
        }
    }
}
