//! Who may put plugins here: detached signatures as minisign makes them.
//!
//! When the configuration names signers, a file `acme.wasm` needs a file `acme.wasm.minisig` beside it (`minisign -Sm
//! acme.wasm`) that one of them has made. The rule: it is checked before anything looks into the file.

use std::io;
use std::path::{Path, PathBuf};

use minisign_verify::{PublicKey, Signature};

/// Whose signatures count. None: nobody's is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signers(Vec<PublicKey>);

/// Why a file counts as signed by nobody.
#[derive(Debug, thiserror::Error)]
pub enum SignatureProblem {
    /// No signature.
    #[error("has no signature beside it: {file} cannot be read ({error}); `minisign -Sm` makes it")]
    Missing {
        /// Where it should be.
        file: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A file that is none.
    #[error("has a signature beside it that cannot be read as one of minisign's")]
    Malformed,
    /// Of another key, or of another content.
    #[error("is signed, but not as it is and by any key of `plugin.signers`")]
    Foreign,
}

impl Signers {
    /// Public keys as minisign prints them: the line that begins with `RW`.
    ///
    /// # Errors
    /// The number of the text that is none, from 0.
    pub fn parse(keys: &[String]) -> Result<Self, usize> {
        let parse = |(index, text): (usize, &String)| PublicKey::from_base64(text).map_err(|_| index);
        keys.iter().enumerate().map(parse).collect::<Result<_, _>>().map(Self)
    }

    /// Where a file's signature is.
    #[must_use]
    pub fn file_beside(plugin: &Path) -> PathBuf {
        let mut name = plugin.as_os_str().to_owned();
        name.push(".minisig");
        name.into()
    }

    /// Checks the file's content against the signature beside it. Blocks.
    pub(super) fn check(&self, plugin: &Path, content: &[u8]) -> Result<(), SignatureProblem> {
        if self.0.is_empty() {
            return Ok(());
        }
        let file = Self::file_beside(plugin);
        let text = match read(&file) {
            Ok(text) => text,
            Err(error) => return Err(SignatureProblem::Missing { file, error }),
        };
        let signature = Signature::decode(&text).map_err(|_| SignatureProblem::Malformed)?;
        // The older form, which is not of the content's hash, would have the whole content in memory only; it is refused.
        let signed = self.0.iter().any(|key| key.verify(content, &signature, false).is_ok());
        if signed { Ok(()) } else { Err(SignatureProblem::Foreign) }
    }
}

/// A signature has four short lines.
fn read(file: &Path) -> io::Result<String> {
    use std::io::Read;
    const LONGEST: u64 = 4_096;
    let mut text = String::new();
    std::fs::File::open(file)?.take(LONGEST).read_to_string(&mut text)?;
    Ok(text)
}
