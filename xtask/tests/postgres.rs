//! A server's life, on a real PostgreSQL.

use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::Command;

use xtask::postgres::{Durability, Server, ensure_installed};

fn listens(port: u16) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// What a query of one value answers.
fn ask(server: &Server, sql: &str) -> String {
    let mut psql = Command::new("psql");
    psql.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--command", sql]);
    let output = psql.arg(server.url("postgres")).output().expect("psql");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn a_server_lives_through_stop_kill_and_restart_and_leaves_nothing() {
    ensure_installed().expect("it is installed, and nothing is done");
    let mut server = Server::start(Durability::Disk).expect("a server");
    let (folder, port) = (server.folder().to_owned(), server.port());
    ask(&server, "CREATE TABLE kept (what text)");
    ask(&server, "INSERT INTO kept VALUES ('stopped')");
    server.stop().expect("stopped");
    assert!(!listens(port));
    server.restart().expect("restarted after a stop");
    ask(&server, "INSERT INTO kept VALUES ('killed')");
    server.kill_hard().expect("killed");
    assert!(!listens(port));
    server.restart().expect("restarted after a kill");
    assert_eq!(server.port(), port);
    assert_eq!(ask(&server, "SELECT string_agg(what, ' ' ORDER BY what) FROM kept"), "killed stopped");
    drop(server);
    assert!(!listens(port));
    assert!(!Path::new(&folder).exists());
}
