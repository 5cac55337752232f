//! The examples: one format written in five languages, each built by its own build script into
//! `<target>/examples/plugins/<language>.wasm`.
//!
//! Each is built in a copy outside the sources, with nothing beside it but what `paynotify plugin new` would write too,
//! and with tools that [`tools`] sets up from pinned versions. Where a language's tools cannot be had on this machine it
//! is skipped, in a clear sentence; not in CI, where that is an error.

mod component;
mod tools;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::guests::is_component;
use crate::process::say;
use crate::{stamp, workspace};

pub use component::{Component, wasm_tools};

/// A language that there is an example in.
pub struct Language {
    /// Its name, as `paynotify plugin new --lang` takes it.
    pub name: &'static str,
    /// What its plugin is made of, below the workspace. The first is the project; a link in it is followed.
    inputs: &'static [&'static str],
    tools: fn(&Path) -> Result<tools::Tools>,
}

/// All of them.
pub const LANGUAGES: [Language; 5] = [
    Language { name: "js", inputs: &["examples/plugin-js"], tools: tools::node },
    Language { name: "rust", inputs: &["examples/plugin-rust"], tools: tools::cargo },
    Language { name: "c", inputs: &["examples/plugin-c"], tools: tools::python },
    Language { name: "python", inputs: &["examples/plugin-python"], tools: tools::python },
    Language { name: "go", inputs: &["examples/plugin-go"], tools: tools::python },
];

/// What there is of an example on this machine.
pub enum Built {
    /// Its component.
    Component(PathBuf),
    /// The tools of its language cannot be had here: the sentence that says why.
    Skipped(String),
}

/// Builds every example that is not fresh, or those of these languages only.
///
/// # Errors
/// An example does not build, there is no such language, or, in CI, the tools of one cannot be had.
pub fn build_all(only: &[String]) -> Result<()> {
    only.iter().try_for_each(|name| language(name).map(drop))?;
    let _lock = workspace::lock(&folder(), ".lock")?;
    for language in &LANGUAGES {
        if only.is_empty() || only.iter().any(|name| name == language.name) {
            language.build().with_context(|| format!("the example in {}", language.name))?;
        }
    }
    Ok(())
}

/// The example of a language, for tests. An error if it is missing or older than anything it was made of.
pub fn built(name: &str) -> Result<Built> {
    let language = language(name)?;
    let inputs = language.digest()?;
    if stamp::fresh(&language.component(), &inputs).is_some() {
        return Ok(Built::Component(language.component()));
    }
    match fs::read_to_string(language.reason_file()) {
        Ok(reason) if !is_ci() => Ok(Built::Skipped(reason)),
        _ => bail!(
            "the example in {name} is stale or missing: run `cargo xtask examples` (looked for {})",
            language.component().display()
        ),
    }
}

/// Runs the build script of a project in that language with the language's tools, for tests of what
/// `paynotify plugin new` writes. The reason is given if the tools cannot be had.
///
/// # Errors
/// It does not build, there is no such language, or, in CI, the tools cannot be had.
pub fn build_project(name: &str, project: &Path) -> Result<Option<String>> {
    let language = language(name)?;
    match language.tools(project)? {
        Ok(tools) => tools.build(project).map(|()| None),
        Err(reason) => Ok(Some(reason)),
    }
}

/// Where the components are, and what they are built in.
fn folder() -> PathBuf {
    workspace::target_dir().join("examples").join("plugins")
}

/// Whether this is a machine where nothing may be skipped.
fn is_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true")
}

impl Language {
    fn component(&self) -> PathBuf {
        folder().join(format!("{}.wasm", self.name))
    }

    /// Why it was skipped.
    fn reason_file(&self) -> PathBuf {
        folder().join(format!("{}.skipped", self.name))
    }

    fn digest(&self) -> Result<String> {
        stamp::digest_of(&workspace::root(), self.inputs)
    }

    /// What builds a project of it, or in a sentence why that cannot be had here.
    fn tools(&self, project: &Path) -> Result<Result<tools::Tools, String>> {
        match (self.tools)(project) {
            Err(reason) if is_ci() => Err(reason.context("its tools cannot be had, and CI skips nothing")),
            Err(reason) => Ok(Err(format!("the example in {} is skipped: {reason:#}", self.name))),
            Ok(tools) => Ok(Ok(tools)),
        }
    }

    fn build(&self) -> Result<()> {
        let inputs = self.digest()?;
        if stamp::fresh(&self.component(), &inputs).is_some() {
            say(format!("examples: {} is fresh", self.name));
            return Ok(());
        }
        let start = Instant::now();
        let project = workspace::root().join(self.inputs[0]);
        let tools = match self.tools(&project)? {
            Ok(tools) => tools,
            Err(reason) => {
                say(format!("examples: {reason}"));
                return fs::write(self.reason_file(), reason).context("the reason cannot be noted");
            }
        };
        let ready = start.elapsed();
        let copy = folder().join(self.name);
        copied(&project, &copy)?;
        tools.build(&copy)?;
        let made = copy.join("acme.wasm");
        let bytes = fs::read(&made).with_context(|| format!("build.sh made no {}", made.display()))?;
        if !is_component(&bytes) {
            bail!("{} is no component", made.display());
        }
        stamp::publish(&self.component(), &bytes, self.name, &inputs)?;
        let built = (start.elapsed() - ready).as_secs_f32();
        let ready = ready.as_secs_f32();
        say(format!("examples: {} built in {built:.1} s, after {ready:.1} s for its tools", self.name));
        Ok(())
    }
}

fn language(name: &str) -> Result<&'static Language> {
    LANGUAGES.iter().find(|language| language.name == name).with_context(|| {
        let known = LANGUAGES.map(|language| language.name).join(", ");
        format!("there is no example in `{name}`, but in {known}")
    })
}

/// A fresh copy of the project's sources, links followed.
fn copied(project: &Path, copy: &Path) -> Result<()> {
    if copy.exists() {
        fs::remove_dir_all(copy).with_context(|| format!("{} cannot be removed", copy.display()))?;
    }
    for file in stamp::files(project)? {
        let to = copy.join(file.strip_prefix(project).unwrap_or(&file));
        fs::create_dir_all(to.parent().unwrap_or(copy))
            .and_then(|()| fs::copy(&file, &to))
            .with_context(|| format!("{} cannot be copied", file.display()))?;
    }
    Ok(())
}
