//! PEM (RFC 7468), by hand: the crates for it leave copies of what they decode, and skip an encrypted key instead of
//! saying that it is one.

use super::secret::Secret;
use super::text;

/// One block of a text, not yet decoded.
#[derive(Clone, Copy)]
pub(super) struct Block<'a> {
    /// What it says that it is, such as `PRIVATE KEY`.
    pub(super) label: &'a str,
    /// What stands between the two lines.
    body: &'a str,
}

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// Whether there is a block in the text.
pub(super) fn is_in(text: &str) -> bool {
    text.contains(BEGIN)
}

/// All blocks that have an end. What stands around them is no matter (RFC 7468, section 2).
pub(super) fn blocks(text: &str) -> Vec<Block<'_>> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(block) = rest.find(BEGIN).map(|at| &rest[at + BEGIN.len()..]) {
        rest = block;
        let Some((label, body)) = block.split_once(DASHES) else { break };
        let Some((body, after)) = body.split_once(&format!("{END}{label}{DASHES}")) else { continue };
        found.push(Block { label, body });
        rest = after;
    }
    found
}

impl Block<'_> {
    /// Encrypted in the way that PEM had before PKCS#8 (RFC 1421, section 4.6.1.1).
    pub(super) fn is_encrypted(&self) -> bool {
        self.body.contains("Proc-Type:") || self.label.starts_with("ENCRYPTED")
    }

    /// The block as a text of its own, with line feeds only.
    pub(super) fn to_text(self) -> String {
        let lines: Vec<_> = self.body.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        format!("{BEGIN}{0}{DASHES}\n{1}\n{END}{0}{DASHES}\n", self.label, lines.join("\n"))
    }

    /// The bytes; `None` if the text is no base64. Line breaks of any kind and blanks are no matter.
    pub(super) fn decode(&self) -> Option<Secret<Vec<u8>>> {
        text::base64_with_blanks(self.body)
    }
}
