//! What of `wasm-tools component` the build scripts use, with the same arguments: on this machine they need not install it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Subcommand;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// `wasm-tools component …`.
#[derive(Subcommand)]
pub enum Component {
    /// Notes in a core module which world it is made for.
    Embed {
        /// The folder with the contract.
        wit: PathBuf,
        /// The core module.
        module: PathBuf,
        /// The world's name.
        #[arg(long)]
        world: String,
        /// What to write.
        #[arg(long, short)]
        output: PathBuf,
    },
    /// Makes a component of a core module that knows its world.
    New {
        /// The core module.
        module: PathBuf,
        /// What stands in for a module of the name that it imports: `NAME=FILE`.
        #[arg(long, value_parser = adapter)]
        adapt: Vec<(String, PathBuf)>,
        /// What to write.
        #[arg(long, short)]
        output: PathBuf,
    },
}

fn adapter(text: &str) -> Result<(String, PathBuf), String> {
    let (name, file) = text.split_once('=').ok_or("not of the form NAME=FILE")?;
    Ok((name.to_owned(), file.into()))
}

/// Does what `wasm-tools component …` does.
///
/// # Errors
/// A file cannot be read or written, or the module is not one of the world.
pub fn wasm_tools(command: &Component) -> Result<()> {
    let (bytes, output) = match command {
        Component::Embed { wit, module, world, output } => (embed(wit, module, world)?, output),
        Component::New { module, adapt, output } => (new(module, adapt)?, output),
    };
    fs::write(output, bytes).with_context(|| format!("{} cannot be written", output.display()))
}

fn embed(wit: &Path, module: &Path, world: &str) -> Result<Vec<u8>> {
    let mut bytes = read(module)?;
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(wit).context("the contract cannot be read")?;
    let world = resolve.select_world(&[package], Some(world))?;
    embed_component_metadata(&mut bytes, &resolve, world, StringEncoding::UTF8, false)?;
    Ok(bytes)
}

fn new(module: &Path, adapters: &[(String, PathBuf)]) -> Result<Vec<u8>> {
    let mut encoder = ComponentEncoder::default();
    encoder.validate(true).module(&read(module)?)?;
    for (name, file) in adapters {
        encoder.adapter(name, &read(file)?)?;
    }
    encoder.encode()
}

/// A module, from its bytes or its text.
fn read(module: &Path) -> Result<Vec<u8>> {
    wat::parse_file(module).with_context(|| format!("{} cannot be read", module.display()))
}
