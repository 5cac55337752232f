//! The guide's backups, made of running gateways and restored where there is nothing: nothing that they had is lost.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::json;
use sqlx::{Connection, PgConnection, SqliteConnection, query};
use xtask::postgres::{Durability, Server};

use super::guide::blocks;
use super::support::gateway::{Gateway, SOON, Store, record};
use super::support::merchant::{Answer, StubMerchant, always};
use super::{both, text};

/// The guide's lines with this word in them and all others of their block, about these folders. Who owns what is root's affair, and
/// systemd's is the gateway that the test runs itself.
fn commands(word: &str, data: &Path, backups: &Path) -> String {
    let guide = text("docs/operating.md");
    let block = blocks(&guide, "sh").into_iter().find(|block| block.contains(word)).expect("it is there");
    let lines = block.lines().filter(|line| !line.starts_with("systemctl "));
    let lines =
        lines.map(|line| line.replace("--owner paynotify --group paynotify ", "")).collect::<Vec<_>>();
    let lines = lines.join("\n").replace("/var/lib/paynotify", &data.display().to_string());
    lines.replace("/var/backups", &backups.display().to_string())
}

fn shell(commands: &str) {
    let run = Command::new("sh").args(["-ec", commands]).stdin(Stdio::null()).output().expect("sh");
    assert!(run.status.success(), "{commands}: {}", both(&run));
}

/// By the command itself, or by what it has SQLite do, where the machine has no `sqlite3`.
async fn back_up(command: &str, data: &Path) {
    if Command::new("sqlite3").arg("--version").output().is_ok_and(|output| output.status.success()) {
        let command = command.to_owned();
        return tokio::task::spawn_blocking(move || shell(&command)).await.expect("done");
    }
    let statement = command.split('"').nth(1).expect("SQL").to_owned();
    let url = format!("sqlite://{}", data.join("journal.sqlite").display());
    let mut connection = SqliteConnection::connect(&url).await.expect("opened");
    query(sqlx::AssertSqlSafe(statement)).execute(&mut connection).await.expect("copied");
}

/// How many notifications wait for a merchant that is away.
const WAITING: usize = 12;

/// Two merchants and what is for them: one has been told, the other is away.
async fn fill(gateway: &mut Gateway, away: &StubMerchant, back: &StubMerchant) {
    gateway.merchant("shop", &away.url("/"), &format!("ladder = [{}]", vec!["\"2s\""; 60].join(", ")));
    gateway.merchant("fine", &back.url("/"), "");
    gateway.start();
    gateway.ready().await;
    gateway.send(&record("done", "fine", "done")).await;
    gateway.wait_for_state("done", "ended", SOON).await;
    for number in 0..WAITING {
        gateway.send(&record(&format!("n{number}"), "shop", "o")).await;
    }
    gateway.wait_for_state("n0", "waiting", SOON).await;
}

/// Work that goes on while the backup is made.
async fn more(gateway: &Gateway) {
    for number in 0..50 {
        gateway.send(&record(&format!("later{number}"), "fine", "o")).await;
    }
}

/// With the merchant back, all that the backup has is told, and what had ended stays so.
async fn everything_goes_on(gateway: &mut Gateway, back: &StubMerchant) {
    let heard = back.requests().len();
    gateway.merchant("shop", &back.url("/"), "");
    gateway.start();
    gateway.ready().await;
    for number in 0..WAITING {
        let story = gateway.wait_for_state(&format!("n{number}"), "ended", SOON).await;
        assert_eq!(story["outcome"], json!("confirmed"), "{story}");
    }
    let story = gateway.wait_for_state("done", "ended", SOON).await;
    assert_eq!(story["attempts_made"], json!(1), "what had ended stays so: {story}");
    assert!(back.requests().len() >= heard + WAITING);
    assert!(gateway.stop().success());
}

const SETTINGS: &str = "[delivery]\nmissing_after = \"2s\"\nfurther_message_lag = \"500ms\"\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_guides_backup_of_a_running_gateway_restores_everything_it_had() {
    let away = StubMerchant::start(always(Answer::Refuse)).await;
    let back = StubMerchant::start(always(Answer::Confirm)).await;
    let mut gateway = Gateway::new(Store::Embedded, SETTINGS);
    fill(&mut gateway, &away, &back).await;
    let (data, backups) = (gateway.folder().join("data"), tempfile::tempdir().expect("a folder"));
    let command = commands("VACUUM INTO", &data, backups.path());
    tokio::join!(back_up(&command, &data), more(&gateway));
    gateway.kill();
    shell(&commands("paynotify.broken", &data, backups.path()));
    everything_goes_on(&mut gateway, &back).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_guides_backup_of_postgresql_restores_everything_it_had() {
    let server = Server::start(Durability::None).expect("a server");
    let backups = tempfile::tempdir().expect("a folder");
    // The one user there is that of the server and, by its name, the gateway's.
    let url = url::Url::parse(&server.url("postgres")).expect("a URL");
    let as_postgres = |word: &str| {
        let variables = format!(
            "export PGHOST=127.0.0.1 PGPORT={} PGUSER={} PGPASSWORD={}\n",
            server.port(),
            url.username(),
            server.password()
        );
        let lines =
            commands(word, Path::new("/nowhere"), backups.path()).replace("runuser -u postgres -- ", "");
        shell(&format!("{variables}{lines}"));
    };
    let mut connection = PgConnection::connect(url.as_str()).await.expect("connected");
    query("CREATE DATABASE paynotify").execute(&mut connection).await.expect("made");

    let away = StubMerchant::start(always(Answer::Refuse)).await;
    let back = StubMerchant::start(always(Answer::Confirm)).await;
    let journal = server.url("paynotify");
    let journal = format!("{SETTINGS}[journal]\nkind = \"postgres\"\nurl = \"{journal}\"\n");
    let mut gateway = Gateway::new(Store::Embedded, &journal);
    fill(&mut gateway, &away, &back).await;
    tokio::task::block_in_place(|| as_postgres("pg_dump"));
    more(&gateway).await;
    assert!(gateway.stop().success());
    std::fs::remove_dir_all(gateway.folder().join("data")).expect("lost");
    tokio::task::block_in_place(|| as_postgres("pg_restore"));
    everything_goes_on(&mut gateway, &back).await;
}
