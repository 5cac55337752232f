//! What went into a component, as a digest.
//!
//! The shipped plugins have one digest of inputs: over `plugins/`, `wit/`, the workspace's `Cargo.toml` and `Cargo.lock`, and
//! the compiler's version. A change to one plugin so makes all of them stale, which costs a second of cargo finding out that
//! the others need nothing, and spares us to know which shares what with which. Each example of another language has a
//! digest of its own (`examples`), for there a needless build takes longer.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

/// What goes into every shipped plugin, below the workspace.
const INPUTS: [&str; 4] = ["Cargo.lock", "Cargo.toml", "plugins", "wit"];
/// Folders beside the sources that are none: what building leaves there, and recorded cases, which are no part of the
/// component that they are held against. What begins with a dot is an editor's.
const NO_SOURCES: [&str; 4] = ["target", "node_modules", "__pycache__", "cases"];

/// What is known of a component.
#[derive(Debug, PartialEq)]
pub(crate) struct Stamp {
    /// Which way it was compiled, and with what: `exact …`.
    pub(crate) toolchain: String,
    /// SHA-256 over the toolchain's name and the inputs.
    inputs: String,
    /// SHA-256 of the component, so that a damaged or exchanged file is not taken for ours.
    component: String,
}

impl Stamp {
    /// The stamp of a component that this toolchain made of these inputs.
    pub(crate) fn new(toolchain: &str, inputs: &str, component: &[u8]) -> Self {
        let mut with_toolchain = Sha256::new();
        absorb(&mut with_toolchain, toolchain.as_bytes());
        absorb(&mut with_toolchain, inputs.as_bytes());
        let component = hexadecimal(&Sha256::digest(component));
        Self { toolchain: toolchain.to_owned(), inputs: hexadecimal(&with_toolchain.finalize()), component }
    }

    /// Whether it was compiled this way.
    pub(crate) fn is_of_way(&self, way: &str) -> bool {
        self.toolchain.split(' ').next() == Some(way)
    }

    /// Reads what [`Stamp::to_text`] wrote. `None` for anything else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let mut field = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(": ").map(str::to_owned);
        Some(Self {
            toolchain: field("toolchain")?,
            inputs: field("inputs")?,
            component: field("component")?,
        })
    }

    /// The file's text.
    pub(crate) fn to_text(&self) -> String {
        format!("toolchain: {}\ninputs: {}\ncomponent: {}\n", self.toolchain, self.inputs, self.component)
    }
}

/// The stamp's file beside a component.
pub(crate) fn file_of(component: &Path) -> PathBuf {
    component.with_extension("stamp")
}

/// The stamp of a component that was made of these inputs and is whole. `None` if it is stale, damaged or missing.
pub(crate) fn fresh(component: &Path, inputs: &str) -> Option<Stamp> {
    let stamp = Stamp::parse(&fs::read_to_string(file_of(component)).ok()?)?;
    let bytes = fs::read(component).ok()?;
    (stamp == Stamp::new(&stamp.toolchain, inputs, &bytes)).then_some(stamp)
}

/// Puts a component in its place, whole: readers see the old one or the new one. The stamp comes last, so that an
/// interruption between the two leaves a stale component, not a wrong one.
pub(crate) fn publish(component: &Path, bytes: &[u8], toolchain: &str, inputs: &str) -> Result<()> {
    replace(component, bytes)?;
    replace(&file_of(component), Stamp::new(toolchain, inputs, bytes).to_text().as_bytes())
}

fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let temporary = path.with_extension("new");
    fs::write(&temporary, bytes)
        .and_then(|()| fs::rename(&temporary, path))
        .with_context(|| format!("{} cannot be written", path.display()))
}

/// The digest of everything in the workspace that the shipped plugins are made of, and of the compiler's version.
pub(crate) fn digest_of_inputs(root: &Path) -> Result<String> {
    digest_of(root, &INPUTS)
}

/// The digest of these files and folders below the workspace, and of the compiler's version.
pub(crate) fn digest_of(root: &Path, inputs: &[&str]) -> Result<String> {
    let mut digest = Sha256::new();
    absorb(&mut digest, env!("XTASK_RUSTC_VERSION").as_bytes());
    for input in inputs {
        for path in files(&root.join(input))? {
            let content = fs::read(&path).with_context(|| format!("{} cannot be read", path.display()))?;
            let name = path.strip_prefix(root).unwrap_or(&path);
            absorb(&mut digest, name.as_os_str().as_encoded_bytes());
            absorb(&mut digest, &content);
        }
    }
    Ok(hexadecimal(&digest.finalize()))
}

/// The file itself, or all files below the folder, in a fixed order, without what is no source.
pub(crate) fn files(path: &Path) -> Result<Vec<PathBuf>> {
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = fs::read_dir(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.retain(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let ends = [".wasm", ".cases"].iter().any(|end| name.ends_with(end));
        !name.starts_with('.') && !NO_SOURCES.contains(&name.as_ref()) && !ends
    });
    paths.sort();
    let nested = paths.iter().map(|path| files(path)).collect::<Result<Vec<_>>>()?;
    Ok(nested.concat())
}

/// Adds a piece with its length before it, so that no two sequences of pieces have the same digest.
fn absorb(digest: &mut Sha256, piece: &[u8]) {
    digest.update((piece.len() as u64).to_le_bytes());
    digest.update(piece);
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_survives_its_file_and_fits_nothing_else() {
        let stamp = Stamp::new("exact 1.95.0", "abc", b"component");
        assert_eq!(Stamp::parse(&stamp.to_text()), Some(Stamp::new("exact 1.95.0", "abc", b"component")));
        assert_ne!(stamp, Stamp::new("exact 1.95.0", "abd", b"component"));
        assert_ne!(stamp, Stamp::new("exact 1.95.0", "abc", b"Component"));
        assert_ne!(stamp.inputs, Stamp::new("pair 1.95.0", "abc", b"component").inputs);
        assert!(stamp.is_of_way("exact") && !stamp.is_of_way("exac"));
        assert_eq!(Stamp::parse("toolchain: exact\ninputs: 12"), None);
    }

    #[test]
    fn any_change_of_an_input_changes_the_digest() {
        let root = std::env::temp_dir().join(format!("paynotify-stamp-{}", std::process::id()));
        for folder in ["plugins/a/src", "plugins/a/target", "wit"] {
            fs::create_dir_all(root.join(folder)).expect("a folder");
        }
        let write = |name: &str, text: &str| fs::write(root.join(name), text).expect("a file");
        let digest = || digest_of_inputs(&root).expect("a digest");
        for name in ["Cargo.lock", "Cargo.toml", "plugins/a/src/lib.rs", "wit/w.wit"] {
            write(name, "text");
        }
        let mut seen = vec![digest()];
        for (name, text) in [
            ("wit/w.wit", "texts"),
            ("plugins/a/src/lib.rs", "Text"),
            ("plugins/a/src/new.rs", ""),
            ("Cargo.lock", ""),
            ("Cargo.toml", "x"),
        ] {
            write(name, text);
            seen.push(digest());
        }
        fs::rename(root.join("wit/w.wit"), root.join("wit/v.wit")).expect("renamed");
        seen.push(digest());
        write("plugins/a/target/made", "x");
        write("plugins/a/src/.lib.rs.swp", "x");
        assert_eq!(seen.last(), Some(&digest()), "what cargo and editors leave does not count");
        let all = seen.len();
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), all);
        fs::remove_dir_all(&root).expect("removed");
    }
}
