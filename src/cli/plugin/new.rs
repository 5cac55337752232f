//! `paynotify plugin new`: a project to begin with.

use std::path::{Path, PathBuf};

use anyhow::anyhow;
use clap::Args;

use super::super::Failure;
use crate::kit::project::{self, Language, ProjectError};

#[derive(Debug, Args)]
pub(in crate::cli) struct New {
    /// The format's name: a-z, 0-9 and -.
    name: String,
    /// The language.
    #[arg(long, value_enum)]
    lang: Language,
    /// The folder to write into, which is new or empty. Unless given, it has the format's name.
    #[arg(long, value_name = "FOLDER")]
    into: Option<PathBuf>,
}

pub(super) fn new(arguments: &New) -> Result<(), Failure> {
    let name = &arguments.name;
    let folder = arguments.into.as_deref().unwrap_or(Path::new(name));
    project::write(name, arguments.lang, folder).map_err(|error| match error {
        ProjectError::Name(_) | ProjectError::Taken(_) => Failure::Wrong(vec![format!("paynotify: {error}")]),
        ProjectError::Unwritable(..) => Failure::Failed(anyhow!(error)),
    })?;
    let prepare = match arguments.lang {
        Language::Rust => "rustup target add wasm32-unknown-unknown",
        Language::Js => "npm ci",
        Language::Python | Language::C | Language::Go => {
            "python3 -m venv .venv && .venv/bin/pip install --require-hashes -r requirements.txt"
        }
    };
    println!(
        "{}: a plugin for the format `{name}`. README.md says what is where. To build and try it:",
        folder.display()
    );
    println!(
        "  cd {}\n  {prepare}\n  sh build.sh\n  paynotify plugin check {name}.wasm\n  paynotify plugin cases {name}.wasm",
        folder.display()
    );
    Ok(())
}
