//! How a machine can compile for wasm: four ways, in the order of trying.
//!
//! The compiler that rustup installs can generate wasm and brings the linker that makes components. What it lacks is
//! the target's standard library. That is installed, or compiled from its source, which must be of exactly the
//! compiler's version; else the machine's distribution has a compiler and a source that belong together.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::TARGET;
use crate::apt::{Package, PrivateApt, machine_archive};
use crate::process::{output, say};
use crate::unpack::{cached, folder_in, tells_version, unpack};
use crate::workspace;

/// A way to compile guests.
pub struct Way {
    /// A word to name it by.
    pub name: &'static str,
    /// What it is, for people.
    pub summary: &'static str,
    find: fn(&Compiler) -> Result<Toolchain>,
}

/// All ways, the least effort first.
pub const WAYS: [Way; 4] = [
    Way { name: "installed", summary: "the target that rustup installed", find: installed },
    Way { name: "rust-src", summary: "the standard library compiled from rustup's rust-src", find: rust_src },
    Way {
        name: "exact",
        summary: "the standard library compiled from Debian's rust-src of this very version",
        find: exact,
    },
    Way { name: "pair", summary: "Debian's rustc-web with its own rust-web-src", find: pair },
];

/// What cargo is told so that it makes components: all of it by its environment.
pub(crate) struct Toolchain {
    /// The way's name, and what it found: part of a component's stamp.
    pub(crate) identity: String,
    environment: Vec<(&'static str, OsString)>,
}

impl Toolchain {
    /// Tells it to a command that is cargo, or runs cargo.
    pub(crate) fn apply(&self, command: &mut Command) {
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
    }
}

/// The first way that can work, or the one that is asked for. Says which it is, and why the earlier ones are not.
pub(crate) fn choose(forced: Option<&str>) -> Result<Toolchain> {
    let compiler = Compiler::of_this_workspace()?;
    let mut reasons = Vec::new();
    for way in WAYS.iter().filter(|way| forced.is_none_or(|name| name == way.name)) {
        match (way.find)(&compiler) {
            Ok(toolchain) => {
                say(format!("plugins: compiling with {} ({})", way.summary, way.name));
                return Ok(toolchain);
            }
            Err(reason) => {
                let line = format!("not with {} ({}): {reason:#}", way.summary, way.name);
                say(format!("plugins: {line}"));
                reasons.push(line);
            }
        }
    }
    bail!(
        "plugins cannot be compiled for wasm here; `rustup target add {TARGET}` would do ({})",
        reasons.join("; ")
    )
}

/// The compiler that cargo uses in this workspace.
struct Compiler {
    /// `1.95.0`.
    version: String,
    sysroot: PathBuf,
    /// The folder with the linker for components.
    linkers: PathBuf,
}

impl Compiler {
    fn of_this_workspace() -> Result<Self> {
        let rustc = || {
            let mut command = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
            command.current_dir(workspace::root());
            command
        };
        let verbose = output(rustc().arg("-vV"))?;
        let field = |name: &str| verbose.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
        let host = field("host: ").context("rustc does not tell its host")?;
        let version = field("release: ").context("rustc does not tell its version")?;
        let sysroot = PathBuf::from(output(rustc().args(["--print", "sysroot"]))?.trim());
        let linkers = sysroot.join("lib/rustlib").join(host).join("bin");
        if !linkers.join("wasm-component-ld").is_file() {
            bail!(
                "the compiler in {} brings no wasm-component-ld; use one that rustup installed",
                sysroot.display()
            );
        }
        Ok(Self { version, sysroot, linkers })
    }

    /// What every way needs: the linker that writes components, and the one that it calls.
    fn toolchain(&self, identity: String) -> Result<Toolchain> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(self.linkers.join("gcc-ld")).chain(std::env::split_paths(&path));
        let path = std::env::join_paths(folders).context("PATH cannot be extended")?;
        let linker = self.linkers.join("wasm-component-ld").into_os_string();
        let environment = vec![("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker), ("PATH", path)];
        Ok(Toolchain { identity, environment })
    }

    /// The same, and the standard library is compiled too. That is an unstable ability of cargo's, which a stable one
    /// has when told that it is bootstrapping.
    fn toolchain_with_std(&self, identity: String) -> Result<Toolchain> {
        let mut toolchain = self.toolchain(identity)?;
        toolchain.environment.push(("CARGO_UNSTABLE_BUILD_STD", "std panic_abort".into()));
        toolchain.environment.push(("RUSTC_BOOTSTRAP", "1".into()));
        Ok(toolchain)
    }
}

fn installed(compiler: &Compiler) -> Result<Toolchain> {
    if !compiler.sysroot.join("lib/rustlib").join(TARGET).join("lib").is_dir() {
        bail!("the target is not installed");
    }
    compiler.toolchain(format!("installed {}", compiler.version))
}

fn rust_src(compiler: &Compiler) -> Result<Toolchain> {
    if !compiler.sysroot.join("lib/rustlib/src/rust/library/Cargo.lock").is_file() {
        bail!("the component is not installed");
    }
    compiler.toolchain_with_std(format!("rust-src {}", compiler.version))
}

/// Cargo's own tests have this variable to point at another source of the standard library.
const SOURCE_VARIABLE: &str = "__CARGO_TESTS_ONLY_SRC_ROOT";

fn exact(compiler: &Compiler) -> Result<Toolchain> {
    const SUITE: &str = "trixie-backports";
    let version = &compiler.version;
    let folder = cached(&format!("rust-src-{version}"), |partial| {
        let apt = private_apt(&machine_archive("")?, SUITE)?;
        let packages = apt.versions("rust-src")?;
        let begin = format!("{version}+");
        let Some(package) = packages.iter().find(|package| package.version.starts_with(&begin)) else {
            let known: Vec<&str> = packages.iter().map(|package| package.version.as_str()).collect();
            bail!("{SUITE} has no rust-src {version}, but {known:?}");
        };
        fetch(&apt, package, "./usr/src/rustc-*/library", partial)
    })?;
    let mut toolchain = compiler.toolchain_with_std(format!("exact {version}"))?;
    toolchain.environment.push((SOURCE_VARIABLE, library(&folder)?.into_os_string()));
    Ok(toolchain)
}

fn pair(compiler: &Compiler) -> Result<Toolchain> {
    const SUITE: &str = "bookworm-security";
    let folder = cached("rustc-web", |partial| {
        let apt = private_apt(&machine_archive("-security")?, SUITE)?;
        // Of one source package, so that compiler and source belong together: what the compiler depends on exactly.
        let (rustc, source) = (newest(&apt, "rustc-web")?, newest(&apt, "rust-web-src")?);
        if rustc.version != source.version {
            bail!("{SUITE} has rustc-web {} but rust-web-src {}", rustc.version, source.version);
        }
        let mut wanted = vec![rustc];
        let mut next = 0;
        while let Some(package) = wanted.get(next) {
            for name in package.depends.clone() {
                let is_part = name.starts_with("libstd-rust-web") || name.starts_with("libllvm");
                if is_part && wanted.iter().all(|package| package.name != name) {
                    wanted.push(newest(&apt, &name)?);
                }
            }
            next += 1;
        }
        for package in &wanted {
            fetch(&apt, package, "./usr/*", partial)?;
        }
        fetch(&apt, &source, "./usr/src/*/library", partial)?;
        // Tried here, so that a compiler that cannot start on this machine is never kept.
        tells_version(Command::new(rustc_of(partial)?).env("LD_LIBRARY_PATH", libraries_of(partial)?))
            .map(drop)
    })?;
    let (rustc, libraries) = (rustc_of(&folder)?, libraries_of(&folder)?);
    let version = tells_version(Command::new(&rustc).env("LD_LIBRARY_PATH", &libraries))?;
    let mut toolchain = compiler.toolchain_with_std(format!("pair {version}"))?;
    toolchain.environment.extend([
        ("RUSTC", rustc.into_os_string()),
        ("LD_LIBRARY_PATH", libraries),
        (SOURCE_VARIABLE, library(&folder)?.into_os_string()),
    ]);
    Ok(toolchain)
}

fn private_apt(archive: &crate::apt::Archive, suite: &str) -> Result<PrivateApt> {
    say(format!("plugins: asking the machine's Debian mirror for {suite}"));
    PrivateApt::update(&workspace::cache_dir()?.join(format!("apt-{suite}")), archive, suite)
}

fn newest(apt: &PrivateApt, name: &str) -> Result<Package> {
    apt.versions(name)?.into_iter().next().with_context(|| format!("the mirror has no {name}"))
}

fn fetch(apt: &PrivateApt, package: &Package, pattern: &str, into: &Path) -> Result<()> {
    say(format!("plugins: fetching {} {}", package.name, package.version));
    let file = apt.download(package, into)?;
    unpack(&file, pattern, into)
}

/// The standard library's source in an unpacked package.
fn library(folder: &Path) -> Result<PathBuf> {
    Ok(folder_in(&folder.join("usr/src"), |name| name.starts_with("rustc-"))?.join("library"))
}

fn rustc_of(folder: &Path) -> Result<PathBuf> {
    let bin = folder.join("usr/bin");
    let names = [bin.join("rustc-web"), bin.join("rustc")];
    names
        .into_iter()
        .find(|path| path.is_file())
        .with_context(|| format!("{} has no compiler", bin.display()))
}

/// The folders of shared libraries: Debian keeps them below the machine's kind, such as `x86_64-linux-gnu`.
fn libraries_of(folder: &Path) -> Result<OsString> {
    let library = folder.join("usr/lib");
    let of_machine = folder_in(&library, |name| name.contains("-linux-"))?;
    Ok(std::env::join_paths([of_machine, library])?)
}
