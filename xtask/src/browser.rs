//! Chromium for the console's tests, and the driver by which they lead it (<https://www.w3.org/TR/webdriver2/>), from the system's packages.
//!
//! A browser is started without a window, with a profile of its own, and with no way to any host but this one. It ends with its
//! [`Driver`]; one whose test is killed ends by itself, because the pipe from its driver breaks.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::keeper::Keeper;
use crate::packages::Root;
use crate::ports;
use crate::process::{output, say};
use crate::python::Environment;
use crate::workspace;

/// The browser, its driver, and a typeface for its pictures.
const PACKAGES: [&str; 3] = ["chromium", "chromium-driver", "fonts-liberation"];
const BROWSER: &str = "/usr/bin/chromium";
const DRIVER: &str = "/usr/bin/chromedriver";
/// The package that the checks for accessibility come in.
const PINS: &str = "tests/console/requirements.txt";

/// Installs them, if they are not there.
///
/// # Errors
/// It needs a Debian machine, and to be root or to have `sudo` that asks no password.
pub fn ensure_installed() -> Result<()> {
    if is_there() {
        return Ok(());
    }
    say("browser: installing Chromium from the system's packages (110 MB, half a minute)");
    let install = || -> Result<()> {
        let root = Root::of_machine()?;
        output(&mut root.apt_get(&["update"])).context("apt-get update")?;
        let arguments = [&["install", "--yes", "--no-install-recommends"], &PACKAGES[..]].concat();
        output(&mut root.apt_get(&arguments)).context("apt-get install").map(drop)
    };
    let by_hand = format!("`apt-get install {}` as root would do", PACKAGES.join(" "));
    install().with_context(|| format!("Chromium cannot be installed; {by_hand}"))?;
    if !is_there() {
        bail!("Chromium was installed, and there is no {BROWSER} or no {DRIVER}");
    }
    Ok(())
}

/// The script of axe-core, which finds what keeps people from using a page (<https://github.com/dequelabs/axe-core>). It is installed if it is
/// not there, below the cache; nothing of it is kept with this code.
///
/// # Errors
/// There is no Python and the machine cannot install one, or the package cannot be had.
pub fn axe() -> Result<String> {
    let environment = Environment::of(workspace::cache_dir()?.join("axe"), &[PINS])?;
    let announce = || say("browser: installing axe-core (half a megabyte)");
    let install = |environment: &Environment| {
        output(&mut environment.pip(&["--only-binary", ":all:"], PINS)).context(PINS).map(drop)
    };
    environment.ensure("import axe_core_python", announce, install)?;
    // The folder is named after Python's version.
    let found = fs::read_dir(environment.folder().join("lib"))?
        .filter_map(|entry| Some(entry.ok()?.path().join("site-packages/axe_core_python/axe.min.js")))
        .find(|file| file.is_file())
        .context("axe-core was installed, and its script is not there")?;
    fs::read_to_string(&found).with_context(|| format!("{} cannot be read", found.display()))
}

fn is_there() -> bool {
    [BROWSER, DRIVER].iter().all(|program| Path::new(program).is_file())
}

/// What the browser is started with, beside its profile: no window, and nothing that it does by itself.
///
/// Its sandbox needs another user than root, or rights that containers do not give; it shows only what the tests serve.
pub const ARGUMENTS: [&str; 12] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--no-default-browser-check",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--remote-debugging-pipe",
];

/// A driver that runs. It is ended when this is dropped.
pub struct Driver {
    process: Child,
    address: SocketAddr,
    /// The driver dies with it, also when this process is killed.
    _keeper: Keeper,
}

impl Driver {
    /// Starts one. It answers a moment later.
    ///
    /// # Errors
    /// It is not installed, or there is no port for it.
    pub fn start() -> Result<Self> {
        if !is_there() {
            bail!("Chromium is not installed; `cargo xtask test` installs it");
        }
        let [port] = ports::free()?;
        let mut driver = Command::new(DRIVER);
        driver.arg(format!("--port={port}")).arg("--silent");
        let mut command = Keeper::command(&driver);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let keeper = Keeper::new()?;
        let process = keeper.spawn(command)?;
        Ok(Self { process, address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)), _keeper: keeper })
    }

    /// Where it is asked.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // One that has ended already is no matter.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
