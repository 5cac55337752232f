//! Every kind of secret that a gateway can be given, planted in one gateway; everything that it then says, answers, logs and keeps is
//! looked through for each of them, in every form.
//!
//! Where a secret is by design, and is not looked for: in the files that it was configured by; in `authorization` and
//! `proxy-authorization`, for whom it is meant; and of a merchant's URL, whose query a plugin may put into its request or its
//! words: in what the merchant is sent, in transcripts, which no API gives out, and in what `plugin replay` and `plugin run` show of them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use http::{HeaderMap, HeaderValue, Method, header};
use paynotify::api::ROUTES;
use paynotify::domain::Request;
use paynotify::http::{Client, Reach, Settings, TlsRoots};
use sqlx::{Connection, PgConnection, Row};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use xtask::postgres::{Durability, Server};
use xtask::rabbitmq::Node;

use crate::support::amqp::until;
use crate::support::gateway::{Gateway, SOON, Store, record};
use crate::support::guest::Guest;
use crate::support::merchant::{Answer, Received, StubMerchant, in_turn};
use crate::support::traces::Traces;

/// The secrets, by what they are. Those that stand in URLs are percent-encoded there.
fn planted() -> BTreeMap<&'static str, String> {
    let named = |(name, secret): (&'static str, &str)| (name, secret.to_owned());
    let mut planted: BTreeMap<_, _> = [
        ("amqp", "amqp-s3cret/of+the test"),
        ("management", "management-S3cret~of.the test"),
        ("proxy", "proxy-s3cret:of@the test"),
        ("hmac", "hmac-s3cret-that-signs-for-the-shop"),
        ("authorization", "Bearer merchant-s3cret.that-is-shown"),
        ("query", "query-s3cret-of-the-merchant"),
        ("outcomes", "outcomes-s3cret.token-of-the-centre"),
        ("outcomes-query", "outcomes-query-s3cret-of-the-centre"),
        ("collector", "collector-s3cret.of-those-who-watch"),
    ]
    .map(named)
    .into();
    let key = rcgen::KeyPair::generate().expect("a key").serialize_pem();
    planted.insert("client-key", key);
    planted
}

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

/// Tunnels for whoever knows the password; tells everybody else what it was told.
async fn proxy(password: String) -> (std::net::SocketAddr, tokio::task::JoinHandle<()>) {
    use base64::Engine;
    let credentials = base64::engine::general_purpose::STANDARD.encode(format!("me:{password}"));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let task = tokio::spawn(async move {
        let mut connections = tokio::task::JoinSet::new();
        loop {
            let (mut stream, _) = listener.accept().await.expect("accepted");
            let credentials = credentials.clone();
            connections.spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    let Ok(byte) = stream.read_u8().await else { return };
                    head.push(byte);
                }
                let head = String::from_utf8(head).expect("text");
                let said = head.split_once("proxy-authorization: ").map_or("", |(_, said)| said.trim());
                if said != format!("Basic {credentials}") {
                    let answer = format!("HTTP/1.1 407 {said}\r\nproxy-authenticate: {said}\r\n\r\n{said}");
                    return drop(stream.write_all(answer.as_bytes()).await);
                }
                let target = head.split(' ').nth(1).expect("an address").to_owned();
                let Ok(mut to) = tokio::net::TcpStream::connect(target).await else { return };
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut to).await;
            });
        }
    });
    (address, task)
}

/// A plugin that logs all that was laid into its memory, as far as it is text.
fn talkative() -> Vec<u8> {
    Guest {
        imports: r#"(import "paynotify:merchant/log@0.1.0" "write" (func $log (param i32 i32 i32)))"#,
        module: r"(func $tell (local $at i32) (local $byte i32) (local $from i32)
            (local.set $from (i32.const 65536))
            (loop $lines
              (local.set $at (i32.const 0))
              (loop $bytes
                (local.set $byte (i32.load8_u (i32.add (local.get $from) (local.get $at))))
                (if (i32.or (i32.lt_u (local.get $byte) (i32.const 32)) (i32.gt_u (local.get $byte) (i32.const 126)))
                  (then (local.set $byte (i32.const 46))))
                (i32.store8 (i32.add (i32.const 16384) (local.get $at)) (local.get $byte))
                (local.set $at (i32.add (local.get $at) (i32.const 1)))
                (br_if $bytes (i32.lt_u (local.get $at) (i32.const 1000))))
              (call $log (i32.const 1) (i32.const 16384) (i32.const 1000))
              (local.set $from (i32.add (local.get $from) (i32.const 1000)))
              (br_if $lines (i32.lt_u (local.get $from) (i32.const 75536)))))",
        format: "(call $tell) (i32.const 4192)",
        judge: "(call $tell) (i32.const 4256)",
        ..Guest::WELL_BEHAVED
    }
    .build_named("talks")
}

/// All that was said, with where.
#[derive(Default)]
struct Said(Vec<(String, Vec<u8>)>);

impl Said {
    fn add(&mut self, place: impl Into<String>, bytes: impl Into<Vec<u8>>) {
        self.0.push((place.into(), bytes.into()));
    }

    fn all(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(place, bytes)| (place.as_str(), bytes.as_slice()))
    }
}

/// The gateway's own folder, and beside it one with the secrets' files.
struct Scene {
    gateway: Gateway,
    secrets: tempfile::TempDir,
    planted: BTreeMap<&'static str, String>,
    tokens: [(String, String); 2],
}

impl Scene {
    fn file(&self, name: &str) -> PathBuf {
        self.secrets.path().join(name)
    }

    fn put(&self, name: &str, text: &str) -> String {
        fs::write(self.file(name), text).expect("written");
        format!("file:{}", self.file(name).display())
    }

    fn merchant(&self, id: &str, plugin: &str, url: &str, more: &str) {
        let text = format!("url = \"{url}\"\nplugin = \"{plugin}\"\nladder = [\"100ms\"]\n{more}\n");
        fs::write(self.gateway.folder().join(format!("merchants/{id}.toml")), text).expect("written");
    }
}

fn new_token(role: &str) -> (String, String) {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_paynotify"));
    let output = command.args(["token", "new", "--role", role]).output().expect("run");
    let text = String::from_utf8(output.stdout).expect("text");
    let (token, lines) = text.split_once("\n\n").expect("the token stands alone");
    (token.to_owned(), lines.to_owned())
}

/// The gateway's file, and a merchant for each way in which a secret is used.
fn set_the_scene(urls: &Urls, folder: tempfile::TempDir) -> Scene {
    let planted = planted();
    let tokens = [new_token("operate"), new_token("read")];
    let file = |name: &str| format!("file:{}", folder.path().join(name).display());
    let more = format!(
        "management_url = \"{}\"\naudit_interval = \"10s\"\n\
         [journal]\nkind = \"postgres\"\nurl = \"{}\"\n\
         [outcomes]\nurl = \"{}\"\ntoken = \"{}\"\nallow_addresses = [\"127.0.0.1\"]\nlongest_pause = \"500ms\"\nagain_after = \"1s\"\n\
         [traces]\nendpoint = \"{}\"\nheaders_file = \"{}\"\nallow_addresses = [\"127.0.0.1\"]\n\
         [dropin]\nscan = \"50ms\"\nsettle = \"50ms\"\n",
        file("management"),
        file("postgres"),
        file("outcomes-url"),
        file("outcomes"),
        urls.collector,
        folder.path().join("collector").display()
    );
    let store = Store::Amqp { url: file("amqp"), prefix: "secrets".to_owned() };
    let gateway = Gateway::with_api(store, &format!("{}{}", tokens[0].1, tokens[1].1), &more);
    let scene = Scene { gateway, secrets: folder, planted, tokens };
    let of = |name: &str| scene.planted[name].as_str();
    scene.put("amqp", &format!("amqp://centre:{}@127.0.0.1:{}/%2f", encoded(of("amqp")), urls.amqp_port));
    scene.put("management", &format!("http://centre:{}@127.0.0.1:1", encoded(of("management"))));
    scene.put("postgres", &urls.postgres);
    scene.put("outcomes", of("outcomes"));
    scene.put("outcomes-url", &format!("{}?key={}", urls.centre, of("outcomes-query")));
    scene.put("collector", &format!("authorization: Bearer {}\n", of("collector")));
    scene.put("hmac", of("hmac"));
    scene.put("authorization", of("authorization"));
    scene.put("client-key", of("client-key"));
    scene.put("proxy", &format!("http://me:{}@{}", encoded(of("proxy")), urls.proxy));
    scene.put("wrong-proxy", &format!("http://me:{}x@{}", encoded(of("proxy")), urls.proxy));
    let key = rcgen::KeyPair::from_pem(of("client-key")).expect("a key");
    let certificate =
        rcgen::CertificateParams::new(["gateway.example".to_owned()]).expect("a name").self_signed(&key);
    scene.put("client.pem", &certificate.expect("a certificate").pem());
    // Everything is at the level that says the most.
    let path = scene.gateway.folder().join("paynotify.toml");
    let text = fs::read_to_string(&path).expect("written");
    let loud = text.replace(
        "format = \"json\"",
        "format = \"json\"\nlevel = \"trace,hyper=trace,sqlx=trace,rustls=trace,h2=trace\"",
    );
    fs::write(&path, loud).expect("written");
    let component = xtask::guests::built("standard-webhooks").expect("the plugin is built");
    fs::copy(component, scene.gateway.folder().join("plugins/standard-webhooks.wasm")).expect("copied");
    fs::write(scene.gateway.folder().join("plugins/talks.wasm"), talkative()).expect("written");
    let query = format!("?key={}", of("query"));
    let (shop, file) = (&urls.shop, |name: &str| format!("file:{}", scene.file(name).display()));
    let by_proxy =
        |name: &str| format!("proxy = \"{}\"\nproxy_allow_addresses = [\"127.0.0.1\"]", file(name));
    let signing = format!(
        "[[keys]]\nrole = \"signing\"\nalgorithm = \"hmac-sha256\"\nencoding = \"raw\"\nsecret = \"{}\"",
        file("hmac")
    );
    scene.merchant(
        "plain",
        "plain",
        &format!("{shop}/confirm{query}"),
        &format!("authorization = \"{}\"", file("authorization")),
    );
    scene.merchant(
        "refusing",
        "plain",
        &format!("{shop}/refuse{query}"),
        &format!("authorization = \"{}\"", file("authorization")),
    );
    scene.merchant("signed", "standard-webhooks", &format!("{shop}/confirm{query}"), &signing);
    scene.merchant("talking", "talks", &format!("{shop}/confirm{query}"), "");
    scene.merchant("tunnelled", "plain", &format!("{shop}/confirm{query}"), &by_proxy("proxy"));
    scene.merchant("unproxied", "plain", &format!("{shop}/confirm{query}"), &by_proxy("wrong-proxy"));
    let mutual = format!(
        "client_certificate = \"{}\"\nclient_key = \"{}\"",
        scene.file("client.pem").display(),
        file("client-key")
    );
    let tls = urls.shop.replace("http:", "https:");
    scene.merchant(
        "mutual",
        "plain",
        &format!("{tls}/confirm{query}"),
        &format!("{mutual}\n{}", by_proxy("proxy")),
    );
    scene
}

struct Urls {
    amqp_port: u16,
    postgres: String,
    centre: String,
    collector: String,
    shop: String,
    proxy: std::net::SocketAddr,
}

/// Asks every route, with a token that may, one that may not, and one that is none.
async fn ask_everything(scene: &Scene, said: &mut Said) {
    let client = Client::new(&Settings::default(), &TlsRoots::system().expect("roots"), &Reach::anywhere());
    for route in ROUTES {
        for id in ["plain", "refusing", "mutual", "talking", "lacking"] {
            let path = filled(route.path, id);
            for token in [&scene.tokens[0].0, &scene.tokens[1].0, "paynotify_none"] {
                let uri = format!("{}{path}", scene.gateway.api()).parse().expect("a URL");
                let mut headers = HeaderMap::new();
                let bearer = HeaderValue::from_str(&format!("Bearer {token}")).expect("a value");
                headers.insert(header::AUTHORIZATION, bearer);
                let method: Method = route.method.parse().expect("a method");
                let request = Request { method, uri, headers, body: r#"{"reason":"a test"}"#.into() };
                // A stream without an end has none.
                let Ok(reply) = client.send(request).await else { continue };
                let head = format!("{:?}", reply.headers);
                said.add(format!("{} {path}", route.method), [head.as_bytes(), &reply.body].concat());
            }
        }
    }
}

/// A route's path with something in the place of each of its names.
fn filled(route: &str, id: &str) -> String {
    let of_merchant = route.contains("/merchants/");
    let part = |part: &str| match part {
        "{id}" if of_merchant => id.to_owned(),
        "{id}" if id == "lacking" => id.to_owned(),
        "{id}" => format!("{id}-1"),
        "{number}" => "1".to_owned(),
        "{name}" => "plain".to_owned(),
        "{merchant_order_id}" => format!("o-{id}-1"),
        part if part.starts_with('{') => "1".to_owned(),
        part => part.to_owned(),
    };
    route.split('/').map(part).collect::<Vec<_>>().join("/")
}

/// What the commands say, with a token and without.
fn run_the_commands(scene: &Scene, said: &mut Said) {
    let api = scene.gateway.api();
    let record = scene.file("record.json");
    fs::write(&record, record_of("by-command", "plain").to_string()).expect("written");
    let record = record.display().to_string();
    for token in [scene.tokens[0].0.as_str(), scene.tokens[1].0.as_str(), "paynotify_none"] {
        for words in [
            &["send", &record][..],
            &["status", "refusing-1"],
            &["status", "mutual-1", "--json"],
            &["plugin", "list", "--json"],
        ] {
            let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_paynotify"));
            command.args(words).args(["--api", &api]).env("PAYNOTIFY_TOKEN", token).stdin(Stdio::null());
            let output = command.output().expect("run");
            said.add(format!("{words:?}"), [output.stdout, output.stderr].concat());
        }
    }
    for words in [
        &["config", "check"][..],
        &["topology", "check"],
        &["topology", "check", "--json"],
        &["topology", "declare"],
        &["topology", "drain"],
    ] {
        let output = scene.gateway.verb(words).output().expect("run");
        said.add(format!("{words:?}"), [output.stdout, output.stderr].concat());
    }
}

fn record_of(id: &str, merchant: &str) -> serde_json::Value {
    record(id, merchant, &format!("o-{id}"))
}

/// Configurations in which a secret stands where it must not, or is no good there.
fn get_it_wrong(scene: &Scene, said: &mut Said) {
    let of = |name: &str| scene.planted[name].as_str();
    let pem = of("client-key").replace('\n', "\\n");
    let gateways = [
        format!("pasword = \"{}\"", of("outcomes")),
        format!(
            "[broker]\nkind = \"amqp\"\n[broker.amqp]\nurl = \"amqp://centre:{}@127.0.0.1:99999/\"",
            of("query")
        ),
        format!("[broker]\nkind = \"amqp\"\n[broker.amqp]\nurl = \"{}\"", of("query")),
        format!(
            "[broker]\nkind = \"amqp\"\n[broker.amqp]\nurl = \"amqp://127.0.0.1/\"\nmanagement_url = \"ftp://u:{}@h\"",
            of("query")
        ),
        format!("[journal]\nkind = \"postgres\"\nurl = \"postgres://u:{}@h:port/x\"", of("query")),
        format!("[journal]\nkind = \"postgres\"\nurl = \"postgres://u@h/x?sslmode={}\"", of("query")),
        format!("[outcomes]\nurl = \"https://u:{}@h/\"", of("query")),
        format!(
            "[outcomes]\nurl = \"https://centre.example/\"\ntoken = \"{} {}\"",
            of("outcomes"),
            of("query")
        ),
        format!("[outcomes]\nurl = \"https://centre.example/\"\ntoken = [\"{}\"]", of("outcomes")),
        format!("[traces]\nendpoint = \"https://u:{}@h/\"", of("query")),
        format!("[traces]\nendpoint = \"https://h/?key={}\"", of("query")),
        format!(
            "[traces]\nendpoint = \"https://collector.example\"\nheaders_file = \"{}\"",
            scene.file("hmac").display()
        ),
        format!("[http]\nproxy = \"socks5://me:{}@h\"", of("query")),
        format!("[http]\nproxy = [\"{}\"]", of("query")),
        format!("[http]\nproxy = \"http://me:{}@h\n", of("query")),
        format!("[[api.tokens]]\nname = \"x\"\nrole = \"read\"\nsha256 = \"{}\"", scene.tokens[0].0),
        format!("[[api.tokens]]\nname = \"x\"\nrole = \"{}\"\nsha256 = \"\"", scene.tokens[0].0),
    ];
    let merchants = [
        format!("url = \"https://u:{}@shop.example/\"", of("query")),
        format!("url = \"https://shop.example/#{}\"", of("query")),
        format!("url = \"http://10.1.1.1/?key={}\"", of("query")),
        format!("url = \"https://shop.example/\"\nauthorization = \"{}\"", of("hmac")),
        format!("url = \"https://shop.example/\"\nauthorization = 1{}", of("hmac")),
        format!("url = \"https://shop.example/\"\nclient_key = \"{pem}\""),
        format!(
            "url = \"https://shop.example/\"\nclient_key = \"{pem}\"\nclient_certificate = \"{}\"",
            scene.file("client-key").display()
        ),
        format!(
            "url = \"https://shop.example/\"\nclient_key = \"{}\"\nclient_certificate = \"{}\"",
            of("hmac"),
            scene.file("client.pem").display()
        ),
        format!(
            "url = \"https://shop.example/\"\nproxy = \"http://me:{}@127.0.0.1:1\"",
            encoded(of("proxy"))
        ),
        format!(
            "url = \"https://shop.example/\"\n[[keys]]\nrole = \"signing\"\nalgorithm = \"ed25519\"\nsecret = \"{}\"",
            of("hmac")
        ),
        format!(
            "url = \"https://shop.example/\"\n[[keys]]\nrole = \"signing\"\nalgorithm = \"hmac-sha256\"\nsecret = \"{}\"",
            of("hmac")
        ),
        format!(
            "url = \"https://shop.example/\"\n[[keys]]\nrole = \"signing\"\nalgorithm = \"{}\"\nsecret = \"x\"",
            of("hmac")
        ),
    ];
    let check = |gateway: &Gateway, said: &mut Said, what: &str| {
        let output = gateway.verb(&["config", "check"]).output().expect("run");
        assert_eq!(output.status.code(), Some(2), "{what} is fine");
        said.add(format!("config check of {what}"), [output.stdout, output.stderr].concat());
    };
    let gateway = Gateway::new(Store::Embedded, "");
    let file = gateway.folder().join("paynotify.toml");
    let good = fs::read_to_string(&file).expect("written");
    for text in gateways {
        fs::write(&file, &text).expect("written");
        check(&gateway, said, &text);
    }
    fs::write(file, good).expect("written");
    for text in merchants {
        let text = format!("plugin = \"plain\"\n{text}\n");
        fs::write(gateway.folder().join("merchants/shop.toml"), &text).expect("written");
        check(&gateway, said, &text);
    }
}

/// What is in the journal, but for the transcripts.
async fn read_the_journal(url: &str, said: &mut Said) {
    let mut connection = PgConnection::connect(url).await.expect("connected");
    for table in ["notification", "attempt"] {
        let text = format!(
            "SELECT row_to_json({table}.*)::text, coalesce({}, '') FROM {table}",
            match table {
                "notification" => "convert_from(raw, 'UTF8')",
                _ => "reply",
            }
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(text)).fetch_all(&mut connection).await.expect("read");
        assert!(!rows.is_empty());
        for row in rows {
            said.add(format!("the journal's {table}"), row.get::<String, _>(0) + &row.get::<String, _>(1));
        }
    }
}

fn read_the_folder(folder: &Path, said: &mut Said) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let is_configuration = path.extension().is_some_and(|extension| extension == "toml");
        if path.is_dir() {
            read_the_folder(&path, said);
        } else if !is_configuration {
            said.add(path.display().to_string(), fs::read(&path).unwrap_or_default());
        }
    }
}

/// Confirms what is sent to `/confirm`, and quotes everything else.
fn shop(received: &Received) -> Answer {
    match received.path_and_query.split('?').next() {
        Some("/confirm") => Answer::Confirm,
        // As servers do that show what they could not make sense of.
        _ => {
            let authorization = received.headers.get("authorization").and_then(|value| value.to_str().ok());
            let authorization = authorization.unwrap_or("nothing");
            let said = format!("with {authorization} I cannot POST {}", received.path_and_query);
            Answer::Reply(200, Vec::new(), said.into_bytes())
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_anywhere_on_an_own_node() {
    let node = tokio::task::block_in_place(Node::start).expect("a node");
    let server = tokio::task::block_in_place(|| Server::start(Durability::None)).expect("a server");
    let merchant = StubMerchant::start(shop).await;
    let centre = StubMerchant::start(in_turn([Answer::Status(500), Answer::Status(200)])).await;
    let collector = StubMerchant::start(shop).await;
    let planted_proxy = planted().remove("proxy").expect("planted");
    let (proxy, proxying) = proxy(planted_proxy).await;
    let urls = Urls {
        amqp_port: node.amqp_port(),
        postgres: server.url("postgres"),
        centre: centre.url("/outcomes"),
        collector: collector.url(""),
        shop: merchant.url(""),
        proxy,
    };
    let mut scene = set_the_scene(&urls, tempfile::tempdir().expect("a folder"));
    let password = &scene.planted["amqp"];
    node.ctl(&["add_user", "centre", password]).expect("added");
    node.ctl(&["set_permissions", "centre", ".*", ".*", ".*"]).expect("permitted");

    scene.gateway.start();
    scene.gateway.ready().await;
    let mut said = Said::default();
    let token = scene.tokens[0].0.clone();
    let client = Client::new(&Settings::default(), &TlsRoots::system().expect("roots"), &Reach::anywhere());
    let ask = async |scene: &Scene, method: Method, path: &str, body: String| {
        let uri = format!("{}{path}", scene.gateway.api()).parse().expect("a URL");
        let mut headers = HeaderMap::new();
        headers.insert(
            header::AUTHORIZATION,
            HeaderValue::from_str(&format!("Bearer {token}")).expect("a value"),
        );
        let reply =
            client.send(Request { method, uri, headers, body: body.into() }).await.expect("an answer");
        serde_json::from_slice::<serde_json::Value>(&reply.body).unwrap_or_default()
    };
    // Results come in over RabbitMQ, as the role that hands them in has no token here.
    let connection =
        lapin::Connection::connect(&node.amqp_url(), lapin::ConnectionProperties::default()).await;
    let channel = connection.expect("connected").create_channel().await.expect("a channel");
    let mut lacking = record_of("lacking", "plain");
    lacking.as_object_mut().expect("an object").remove("amount");
    let merchants = ["plain", "refusing", "signed", "talking", "tunnelled", "unproxied", "mutual", "nobody"];
    let records = merchants.map(|merchant| (merchant, record_of(&format!("{merchant}-1"), merchant)));
    for (merchant, record) in records.into_iter().chain([("plain", lacking)]) {
        let options = lapin::options::BasicPublishOptions::default();
        let properties = lapin::BasicProperties::default().with_delivery_mode(2);
        let body = record.to_string();
        let publish =
            channel.basic_publish("secrets.in".into(), merchant.into(), options, body.as_bytes(), properties);
        publish.await.expect("published").await.expect("confirmed");
    }
    for (id, state, word) in [
        ("plain-1", "ended", "confirmed"),
        ("refusing-1", "ended", "exhausted"),
        ("signed-1", "ended", "confirmed"),
        ("talking-1", "ended", "confirmed"),
        ("tunnelled-1", "ended", "confirmed"),
        ("unproxied-1", "ended", "exhausted"),
        ("mutual-1", "ended", "exhausted"),
        ("nobody-1", "held", "unknown_merchant"),
        ("lacking", "held", "plugin_fault"),
    ] {
        let mut story = serde_json::Value::Null;
        let deadline = std::time::Instant::now() + SOON;
        while story["state"] != state {
            assert!(std::time::Instant::now() < deadline, "{id}: {story}; {}", scene.gateway.log().len());
            story = ask(&scene, Method::GET, &format!("/v1/notifications/{id}"), String::new()).await;
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        assert!(story["outcome"] == word || story["cause"] == word, "{story}");
    }
    until("the centre is told", async || centre.requests().len() > 7).await;
    ask_everything(&scene, &mut said).await;
    tokio::task::block_in_place(|| run_the_commands(&scene, &mut said));
    tokio::task::block_in_place(|| get_it_wrong(&scene, &mut said));
    for event in centre.requests() {
        assert_eq!(event.headers["authorization"], format!("Bearer {}", scene.planted["outcomes"]));
        said.add("an outcome event", event.body.to_vec());
    }
    assert!(scene.gateway.stop().success(), "{}", scene.gateway.log().len());
    assert!(!collector.requests().is_empty());
    for spans in collector.requests() {
        assert_eq!(spans.headers["authorization"], format!("Bearer {}", scene.planted["collector"]));
        said.add("spans", spans.body.to_vec());
    }
    read_the_journal(&urls.postgres, &mut said).await;
    read_the_folder(scene.gateway.folder(), &mut said);
    proxying.abort();

    let mut traces = Traces::default();
    for (name, secret) in &scene.planted {
        traces = traces.of(name, secret.strip_prefix("Bearer ").unwrap_or(secret));
    }
    traces = traces.of("postgres", server.password());
    for (token, _) in &scene.tokens {
        traces = traces.of("a token", token);
    }
    let mut found = Vec::new();
    for (place, bytes) in said.all() {
        found.extend(traces.found_in(bytes).into_iter().map(|secret| format!("{secret} in {place}")));
    }
    let log = scene.gateway.log();
    println!("{} places, a log of {} bytes", said.0.len(), log.len());
    assert!(log.contains("\"level\":\"DEBUG\""), "it says too little");
    assert!(log.contains("payment-result/1"), "the plugin talks, and nobody else says that");
    found.sort();
    found.dedup();
    assert!(found.is_empty(), "{found:#?}");
}
