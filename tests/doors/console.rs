//! The console's files: open to everybody, since they hold nothing; and what the browser is told of them.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use paynotify::domain::{Reply, Request};

use crate::support::gateway::{Gateway, Store};
use crate::{client, json, new_token};

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

async fn get(gateway: &Gateway, path: &str, known: Option<&HeaderValue>) -> Reply {
    let uri = format!("{}{path}", gateway.api()).parse().expect("a URL");
    let mut headers = HeaderMap::new();
    headers.extend(known.map(|tag| (header::IF_NONE_MATCH, tag.clone())));
    let request = Request { method: Method::GET, uri, headers, body: Bytes::new() };
    client().send(request).await.expect("an answer")
}

/// The files of the page, with what is in them.
fn files() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/api/console/page");
    let entries = fs::read_dir(folder).expect("the page").map(|entry| entry.expect("a file").path());
    let name = |path: &Path| path.file_name().expect("a name").to_string_lossy().into_owned();
    entries.map(|path| (name(&path), fs::read_to_string(&path).expect("text"))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_consoles_files_are_served_with_what_bounds_them() {
    let mut gateway = Gateway::with_api(Store::Embedded, &new_token(&["--role", "read"]).lines, "");
    gateway.start();
    gateway.ready().await;
    let root = get(&gateway, "/", None).await;
    assert_eq!(
        (root.status.as_u16(), &root.headers[header::LOCATION]),
        (307, &HeaderValue::from_static("/console"))
    );
    let page = get(&gateway, "/console", None).await;
    assert!(String::from_utf8_lossy(&page.body).contains("data-sign-in=\"needed\""));
    for (name, text) in files() {
        let path = if name == "console.html" { "/console".to_owned() } else { format!("/console/{name}") };
        let reply = get(&gateway, &path, None).await;
        assert_eq!(reply.status, 200, "{path}");
        let media_type = match name.rsplit('.').next() {
            Some("html") => "text/html; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            Some("js") => "text/javascript; charset=utf-8",
            _ => "image/svg+xml",
        };
        for (name, value) in [
            ("content-type", media_type),
            ("content-security-policy", POLICY),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
            ("cache-control", "no-cache"),
        ] {
            assert_eq!(reply.headers[name], value, "{path}: {name}");
        }
        if name != "console.html" {
            assert_eq!(reply.body, text, "{path}");
        }
        let again = get(&gateway, &path, Some(&reply.headers[header::ETAG])).await;
        assert_eq!((again.status.as_u16(), again.body.len()), (304, 0), "{path}");
        assert_eq!(again.headers["content-security-policy"], POLICY, "{path}");
    }
    let unknown = get(&gateway, "/console/none.js", None).await;
    assert_eq!((unknown.status.as_u16(), &json(&unknown)["title"]), (404, &"not found".into()));
    assert_eq!(gateway.ask(Method::POST, "/console", "").await.0, 405);
    assert!(gateway.stop().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_console_can_be_switched_off() {
    let mut gateway = Gateway::with_api(Store::Embedded, "console = false", "");
    gateway.start();
    gateway.ready().await;
    for path in ["/", "/console", "/console/main.js"] {
        assert_eq!(get(&gateway, path, None).await.status, 404, "{path}");
    }
    assert!(gateway.stop().success());
}

/// What the policy would forbid is not there to begin with, and no file is too long to be read.
#[test]
fn the_page_makes_no_markup_of_text_and_names_no_other_origin() {
    let files = files();
    assert!(files.len() > 10);
    for (name, text) in files {
        assert!(text.lines().count() <= 400, "{name} is long");
        for word in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "style=",
            "<style",
            "onclick=",
            "localStorage",
        ] {
            assert!(!text.contains(word), "{name} has {word}");
        }
        // Names of standards, in comments, and the name of SVG.
        for (at, _) in text.match_indices("://") {
            let from = text[..at].rfind([' ', '"', '<', '(']).map_or(0, |from| from + 1);
            let url: String = text[from..].chars().take_while(|letter| !" \">)".contains(*letter)).collect();
            let is_a_name = ["http://www.w3.org/2000/svg", "https://html.spec.whatwg.org/"];
            assert!(is_a_name.iter().any(|begin| url.starts_with(begin)), "{name} names {url}");
        }
    }
}
