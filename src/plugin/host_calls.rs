//! What a guest asked of `crypto` and what it was answered, in order: with it a call can be made again without any key.
//!
//! The rule: nothing secret is in it. Arguments are kept as their SHA-256 only (they may be long, and where the secret
//! stands in a message they say "the secret"); answers are signatures, digests and ciphertexts, which were made to be
//! sent, and what `crypto.describe` tells anybody.
//!
//! A call that is made again gets the answers of the record wherever it asks the same: all of `crypto` gives the same
//! answer to the same question. What else it asks is answered by a key if there is one, and otherwise by the answer
//! that has its place, so that one can see what the rest would have become; each answer says whose it is.

use std::collections::VecDeque;

use aws_lc_rs::digest::{Context, SHA256};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::bindings::paynotify::merchant::crypto::{self, CryptoError, KeyInfo, Part};
use super::fault::{Limit, for_people};

/// The most calls of one guest's call that are kept. Formats make one to three.
const MOST_CALLS: usize = 256;

/// The most bytes of answers that are kept of one guest's call: a sealed body of the usual bound of 64 KiB, and room.
const MOST_BYTES: usize = 256 << 10;

/// The longest name of a key that is kept, in characters: a guest may ask for any text.
const LONGEST_KEY: usize = 80;

/// The calls of `crypto` that one call of a guest made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostCalls {
    /// In the order in which they were made.
    pub calls: Vec<HostCall>,
    /// There were more, or longer ones, than are kept: the call cannot be made again from this.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub left_out: bool,
}

/// One call of `crypto`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostCall {
    /// What was called.
    pub function: HostFunction,
    /// The key that it was called with, by its name, as the guest gave it.
    pub key: String,
    /// What it was called with.
    pub arguments: ArgumentsDigest,
    /// What it gave.
    pub answer: HostAnswer,
    /// Where the answer came from.
    #[serde(skip)]
    pub answered_by: AnsweredBy,
}

/// A function of `crypto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "each is documented once, in the contract")]
pub enum HostFunction {
    Sign,
    Seal,
    Describe,
}

/// What `crypto` answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostAnswer {
    /// A signature, a digest or a ciphertext.
    Bytes(Base64),
    /// What may be known about a key.
    Key {
        /// Its id.
        id: String,
        /// Its certificate as PEM.
        certificate_pem: Option<String>,
        /// Its public half, as DER.
        public_key: Option<Base64>,
    },
    /// None, and why, as the contract names it (`crypto-error`).
    Error(HostCallError),
    /// None: the guest went over its bound of host calls, and was ended.
    OverBound,
}

/// The contract's `crypto-error`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "each is documented once, in the contract")]
pub enum HostCallError {
    NoSuchKey,
    AlgorithmNotAllowed,
    BadInput,
    Internal,
}

/// Whose an answer is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AnsweredBy {
    /// The endpoint's key gave it.
    #[default]
    Key,
    /// The same was asked before; this was the answer.
    Record,
    /// Something else was asked before in its place; this was the answer to that, and is none to this.
    StandIn,
    /// Nothing was asked before in its place, and there is no key.
    Nobody,
}

/// SHA-256 of a call's arguments, each with its length before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArgumentsDigest([u8; 32]);

impl Serialize for ArgumentsDigest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(self.0))
    }
}

impl<'de> Deserialize<'de> for ArgumentsDigest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = Base64::deserialize(deserializer)?;
        bytes.0.try_into().map(Self).map_err(|_| de::Error::custom("a digest has 32 bytes"))
    }
}

/// Bytes that are written as Base64 (RFC 4648, section 4).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Base64(pub Vec<u8>);

impl Serialize for Base64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        STANDARD.decode(text.as_bytes()).map(Self).map_err(|_| de::Error::custom("it is no Base64"))
    }
}

/// A call of `crypto` before it is answered.
pub(super) struct Asked {
    function: HostFunction,
    key: String,
    arguments: ArgumentsDigest,
}

impl Asked {
    pub(super) fn sign(key: &str, algorithm: crypto::Algorithm, message: &[Part]) -> Self {
        let algorithm = match algorithm {
            crypto::Algorithm::HmacSha256 => 0,
            crypto::Algorithm::Md5 => 1,
            crypto::Algorithm::Sha256 => 2,
            crypto::Algorithm::RsaPkcs1v15Sha256 => 3,
            crypto::Algorithm::Ed25519 => 4,
        };
        let parts = message.iter().map(|part| match part {
            Part::Bytes(bytes) => (b'b', bytes.as_slice()),
            Part::Secret => (b's', [].as_slice()),
            Part::SecretSha256Hex => (b'h', [].as_slice()),
        });
        Self::new(HostFunction::Sign, key, [(b'a', [algorithm].as_slice())].into_iter().chain(parts))
    }

    pub(super) fn seal(key: &str, nonce: &[u8], additional: &[u8], plaintext: &[u8]) -> Self {
        Self::new(HostFunction::Seal, key, [(b'n', nonce), (b'd', additional), (b'p', plaintext)])
    }

    pub(super) fn describe(key: &str) -> Self {
        Self::new(HostFunction::Describe, key, [])
    }

    /// Each argument is told from the next by its kind and its length.
    fn new<'a>(
        function: HostFunction,
        key: &'a str,
        arguments: impl IntoIterator<Item = (u8, &'a [u8])>,
    ) -> Self {
        let mut context = Context::new(&SHA256);
        let whole = [(b'f', function.name().as_bytes()), (b'k', key.as_bytes())].into_iter().chain(arguments);
        for (kind, argument) in whole {
            context.update(&[kind]);
            context.update(&(argument.len() as u64).to_le_bytes());
            context.update(argument);
        }
        let mut digest = [0; 32];
        digest.copy_from_slice(context.finish().as_ref());
        Self { function, key: key.to_owned(), arguments: ArgumentsDigest(digest) }
    }

    pub(super) fn key(&self) -> &str {
        &self.key
    }
}

impl HostFunction {
    /// The contract's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sign => "sign",
            Self::Seal => "seal",
            Self::Describe => "describe",
        }
    }
}

/// What a function of `crypto` comes to: an answer, an error of the contract, or the end of the guest.
pub(super) type Answered<A> = Result<Result<A, CryptoError>, Limit>;

/// What can be kept of an answer, and made of it again.
pub(super) trait Answer: Sized {
    fn keep(&self) -> HostAnswer;
    /// `None` if it is an answer to another function.
    fn again(kept: HostAnswer) -> Option<Self>;
}

impl Answer for Vec<u8> {
    fn keep(&self) -> HostAnswer {
        HostAnswer::Bytes(Base64(self.clone()))
    }

    fn again(kept: HostAnswer) -> Option<Self> {
        match kept {
            HostAnswer::Bytes(bytes) => Some(bytes.0),
            HostAnswer::Key { .. } | HostAnswer::Error(_) | HostAnswer::OverBound => None,
        }
    }
}

impl Answer for KeyInfo {
    fn keep(&self) -> HostAnswer {
        let Self { id, certificate_pem, public_key } = self.clone();
        HostAnswer::Key { id, certificate_pem, public_key: public_key.map(Base64) }
    }

    fn again(kept: HostAnswer) -> Option<Self> {
        match kept {
            HostAnswer::Key { id, certificate_pem, public_key } => {
                Some(Self { id, certificate_pem, public_key: public_key.map(|key| key.0) })
            }
            HostAnswer::Bytes(_) | HostAnswer::Error(_) | HostAnswer::OverBound => None,
        }
    }
}

/// Answers from the record, and notes all answers.
#[derive(Default)]
pub(super) struct Desk {
    /// What was answered before and has not been asked again yet; `None` when the call is made for the first time.
    before: Option<VecDeque<HostCall>>,
    noted: HostCalls,
    size: usize,
}

impl Desk {
    pub(super) fn new(before: Option<HostCalls>) -> Self {
        Self { before: before.map(|before| before.calls.into()), ..Self::default() }
    }

    /// The answer, if it is not for a key to give. `has_key`: there is a key of that name.
    pub(super) fn look_up(&mut self, asked: &Asked, has_key: bool) -> Option<(HostAnswer, AnsweredBy)> {
        let before = self.before.as_mut()?;
        if let Some(index) = before.iter().position(|call| call.arguments == asked.arguments) {
            return Some((before.remove(index)?.answer, AnsweredBy::Record));
        }
        if has_key {
            return None;
        }
        match before.iter().position(|call| call.function == asked.function) {
            Some(index) => Some((before.remove(index)?.answer, AnsweredBy::StandIn)),
            None => Some((HostAnswer::Error(HostCallError::Internal), AnsweredBy::Nobody)),
        }
    }

    pub(super) fn note<A: Answer>(&mut self, asked: Asked, answered: &Answered<A>, answered_by: AnsweredBy) {
        let answer = match answered {
            Ok(Ok(answer)) => answer.keep(),
            Ok(Err(error)) => HostAnswer::Error((*error).into()),
            Err(_) => HostAnswer::OverBound,
        };
        self.size = self.size.saturating_add(answer.size());
        if self.noted.left_out || self.noted.calls.len() >= MOST_CALLS || self.size > MOST_BYTES {
            self.noted.left_out = true;
            return;
        }
        let Asked { function, key, arguments } = asked;
        let key = for_people(&key, LONGEST_KEY);
        self.noted.calls.push(HostCall { function, key, arguments, answer, answered_by });
    }

    pub(super) fn take_noted(&mut self) -> HostCalls {
        std::mem::take(&mut self.noted)
    }
}

impl HostAnswer {
    /// What the record says, as an answer again; `bound` is what ended the guest then, if that is what it says.
    pub(super) fn again<A: Answer>(self, bound: Limit) -> Answered<A> {
        match self {
            Self::Error(error) => Ok(Err(error.into())),
            Self::OverBound => Err(bound),
            answer @ (Self::Bytes(_) | Self::Key { .. }) => Ok(A::again(answer).ok_or(CryptoError::Internal)),
        }
    }

    fn size(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.0.len(),
            Self::Key { id, certificate_pem, public_key } => {
                let public_key = public_key.as_ref().map_or(0, |key| key.0.len());
                id.len() + certificate_pem.as_ref().map_or(0, String::len) + public_key
            }
            Self::Error(_) | Self::OverBound => 0,
        }
    }
}

impl From<CryptoError> for HostCallError {
    fn from(error: CryptoError) -> Self {
        match error {
            CryptoError::NoSuchKey => Self::NoSuchKey,
            CryptoError::AlgorithmNotAllowed => Self::AlgorithmNotAllowed,
            CryptoError::BadInput => Self::BadInput,
            CryptoError::Internal => Self::Internal,
        }
    }
}

impl From<HostCallError> for CryptoError {
    fn from(error: HostCallError) -> Self {
        match error {
            HostCallError::NoSuchKey => Self::NoSuchKey,
            HostCallError::AlgorithmNotAllowed => Self::AlgorithmNotAllowed,
            HostCallError::BadInput => Self::BadInput,
            HostCallError::Internal => Self::Internal,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sign(message: &[Part]) -> Asked {
        Asked::sign("k", crypto::Algorithm::Md5, message)
    }

    fn bytes(text: &str) -> Part {
        Part::Bytes(text.as_bytes().to_vec())
    }

    #[test]
    fn arguments_that_differ_have_different_digests() {
        let asked = [
            sign(&[bytes("ab")]),
            sign(&[bytes("a"), bytes("b")]),
            sign(&[bytes("ab"), Part::Secret]),
            sign(&[Part::Secret, bytes("ab")]),
            sign(&[bytes("ab"), Part::SecretSha256Hex]),
            Asked::sign("k", crypto::Algorithm::Sha256, &[bytes("ab")]),
            Asked::sign("l", crypto::Algorithm::Md5, &[bytes("ab")]),
            Asked::seal("k", b"a", b"b", b""),
            Asked::seal("k", b"ab", b"", b""),
            Asked::describe("k"),
        ];
        for (index, one) in asked.iter().enumerate() {
            for other in &asked[index + 1..] {
                assert_ne!(one.arguments, other.arguments);
            }
        }
        assert_eq!(sign(&[bytes("ab")]).arguments, sign(&[bytes("ab")]).arguments);
    }

    #[test]
    fn the_record_answers_what_was_asked_before_and_says_so_otherwise() {
        let mut first = Desk::new(None);
        for (text, signature) in [("one", 1), ("two", 2)] {
            assert!(
                first.look_up(&sign(&[bytes(text)]), false).is_none(),
                "a first call is the keys' affair"
            );
            first.note(sign(&[bytes(text)]), &Ok(Ok(vec![signature])), AnsweredBy::Key);
        }
        let record = first.take_noted();
        let text = serde_json::to_string(&record).expect("JSON");
        let read: HostCalls = serde_json::from_str(&text).expect("JSON");
        assert_eq!(read, record, "{text}");
        let mut again = Desk::new(Some(read));
        let mut answer = |asked: &Asked, has_key| {
            again
                .look_up(asked, has_key)
                .map(|(answer, by)| (answer.again::<Vec<u8>>(Limit::HostCalls(1)), by))
        };
        assert_eq!(answer(&sign(&[bytes("two")]), true), Some((Ok(Ok(vec![2])), AnsweredBy::Record)));
        assert_eq!(answer(&sign(&[bytes("new")]), true), None, "there is a key for it");
        assert_eq!(answer(&sign(&[bytes("new")]), false), Some((Ok(Ok(vec![1])), AnsweredBy::StandIn)));
        let nobody = Some((Ok(Err(CryptoError::Internal)), AnsweredBy::Nobody));
        assert_eq!(answer(&sign(&[bytes("one")]), false), nobody, "each answer is given once");
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut desk = Desk::new(None);
        for _ in 0..MOST_CALLS + 1 {
            desk.note::<Vec<u8>>(
                Asked::describe(&"k".repeat(1 << 12)),
                &Err(Limit::HostCalls(1)),
                AnsweredBy::Key,
            );
        }
        let kept = desk.take_noted();
        assert_eq!((kept.calls.len(), kept.left_out), (MOST_CALLS, true));
        assert!(kept.calls.iter().all(|call| call.key.chars().count() <= LONGEST_KEY + 1));
        let mut desk = Desk::new(None);
        desk.note(sign(&[]), &Ok(Ok(vec![0; MOST_BYTES + 1])), AnsweredBy::Key);
        assert_eq!(desk.take_noted(), HostCalls { calls: Vec::new(), left_out: true });
    }
}
