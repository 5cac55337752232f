//! A new user: from `paynotify plugin new --lang js` to a merchant served, by the README alone.
//!
//! The commands are those of the section "Write a plugin", run in an empty folder as they stand there. Other than in the
//! README are the merchant's address, which has to be allowed, and the port of the API, because many gateways run beside this one.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::delivered::ok;
use super::example;
use super::support::gateway::SOON;
use super::support::merchant::{Answer, StubMerchant, in_turn};

/// The blocks of one kind in the section, up to the next heading.
fn blocks(kind: &str) -> Vec<String> {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).expect("read");
    let section = readme.split("\n## Write a plugin\n").nth(1).expect("the section is there");
    let section = section.split("\n##").next().unwrap_or_default();
    let begin = format!("```{kind}\n");
    let begins = section.split(&begin).skip(1);
    begins.filter_map(|rest| rest.split("```").next()).map(str::to_owned).collect()
}

/// The user's shell.
struct User {
    folder: tempfile::TempDir,
    api: String,
}

impl User {
    fn shell(&self, folder: &str, commands: &str) -> Command {
        let program = Path::new(env!("CARGO_BIN_EXE_paynotify")).parent().expect("a folder");
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(program.to_owned()).chain(std::env::split_paths(&path));
        let mut shell = Command::new("sh");
        shell.arg("-ec").arg(commands).current_dir(self.folder.path().join(folder)).stdin(Stdio::null());
        shell.env("PATH", std::env::join_paths(folders).expect("a path")).env("PAYNOTIFY_API", &self.api);
        shell
    }

    fn types(&self, folder: &str, commands: &str) -> String {
        let output = self.shell(folder, commands).output().expect("sh");
        let (out, errors) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{commands}\n{out}\n{errors}");
        out.into_owned()
    }

    /// Types it again until it works, as one does who waits for a program to come up.
    fn types_until_it_works(&self, folder: &str, commands: &str) -> String {
        let deadline = Instant::now() + SOON;
        loop {
            let output = self.shell(folder, commands).output().expect("sh");
            if output.status.success() {
                return String::from_utf8_lossy(&output.stdout).into_owned();
            }
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(Instant::now() < deadline, "{commands} does not work: {errors}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

/// A gateway that ends with its value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_user_serves_a_merchant_by_the_readme_alone() {
    if example("js").is_none() {
        return;
    }
    let [build, put, run, send] = &blocks("sh")[..] else { panic!("the section has four steps") };
    let [shop] = &blocks("toml")[..] else { panic!("the section shows one file") };
    let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound");
    let user = User { folder: tempfile::tempdir().expect("a folder"), api: format!("http://{port}") };
    let said = user.types(".", build);
    assert!(said.contains("\nacme-signature: "), "{said}");
    user.types("acme", put);

    let merchant = StubMerchant::start(in_turn([Answer::Status(500), ok()])).await;
    let here = format!("{:?}\nallow_addresses = [\"127.0.0.1\"]", merchant.url("/notify"));
    let shop = shop.replace("\"https://shop.example/notify\"", &here);
    let gateway = user.folder.path().join("acme/gateway");
    fs::write(gateway.join("merchants/shop.toml"), shop).expect("written");
    fs::write(gateway.join("paynotify.toml"), format!("[api]\nlisten = \"{port}\"\n")).expect("written");
    let log = fs::File::create(gateway.join("log")).expect("a log");
    // `exec`, so that it is the gateway that is ended in the end, and not its shell.
    let run = format!("exec env {run}");
    let mut started = user.shell("acme", &run);
    let _gateway = Running(started.stdout(Stdio::null()).stderr(log).spawn().expect("started"));
    let said = user.types_until_it_works("acme", send);
    assert!(said.contains("n-1001"), "{said}");
    merchant.wait_for(2, SOON).await;
    let deadline = Instant::now() + SOON;
    while !user.types("acme", "paynotify status n-1001").contains("confirmed") {
        assert!(Instant::now() < deadline, "{}", fs::read_to_string(gateway.join("log")).expect("a log"));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
