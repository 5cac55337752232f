//! The operations themselves, each over parts that are joined without separators.

use aws_lc_rs::signature::{self, Ed25519KeyPair, RsaKeyPair};
use aws_lc_rs::{aead, digest, hmac};
use md5::{Digest as _, Md5};
use zeroize::Zeroizing;

use super::super::bindings::paynotify::merchant::crypto::{CryptoError, Part};

/// The most parts of a message in which the secret may stand: no format has more than two, and a guest could
/// otherwise have the gateway hash a gigabyte for one short call.
const MOST_SECRET_PARTS: usize = 16;

/// HMAC-SHA256 (RFC 2104).
pub(super) fn hmac_sha256(secret: &[u8], message: &[Part]) -> Result<Vec<u8>, CryptoError> {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, secret));
    feed(secret, message, |bytes| context.update(bytes))?;
    Ok(context.sign().as_ref().to_vec())
}

/// MD5 (RFC 1321) over text with the secret in it. Its state is overwritten when it is dropped.
pub(super) fn md5(secret: &[u8], message: &[Part]) -> Result<Vec<u8>, CryptoError> {
    needs_secret(message)?;
    let mut context = Md5::new();
    feed(secret, message, |bytes| context.update(bytes))?;
    Ok(context.finalize().to_vec())
}

/// SHA-256 (FIPS 180-4) over text with the secret in it.
pub(super) fn sha256(secret: &[u8], message: &[Part]) -> Result<Vec<u8>, CryptoError> {
    needs_secret(message)?;
    let mut context = digest::Context::new(&digest::SHA256);
    feed(secret, message, |bytes| context.update(bytes))?;
    Ok(context.finish().as_ref().to_vec())
}

/// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017, section 8.2).
pub(super) fn rsa(pair: &RsaKeyPair, message: &[Part]) -> Result<Vec<u8>, CryptoError> {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in message {
        context.update(plain(part)?);
    }
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign_digest(&signature::RSA_PKCS1_SHA256, &context.finish(), &mut signature)
        .map_err(|_| CryptoError::Internal)?;
    Ok(signature)
}

/// Ed25519 (RFC 8032), which reads the message twice and so needs it in one piece.
pub(super) fn ed25519(pair: &Ed25519KeyPair, message: &[Part]) -> Result<Vec<u8>, CryptoError> {
    let pieces = message.iter().map(plain).collect::<Result<Vec<_>, _>>()?;
    Ok(pair.sign(&pieces.concat()).as_ref().to_vec())
}

/// AES-256-GCM (NIST SP 800-38D): the ciphertext, and the tag of 16 bytes after it.
pub(super) fn seal(
    key: &aead::LessSafeKey,
    nonce: &[u8],
    additional: &[u8],
    plaintext: Vec<u8>,
) -> Result<Vec<u8>, CryptoError> {
    // The attempt's entropy makes it unique. The same attempt made again seals the same text, to the same bytes.
    let nonce = aead::Nonce::try_assume_unique_for_key(nonce).map_err(|_| CryptoError::BadInput)?;
    let mut sealed = plaintext;
    key.seal_in_place_append_tag(nonce, aead::Aad::from(additional), &mut sealed)
        .map_err(|_| CryptoError::Internal)?;
    Ok(sealed)
}

/// SHA-256 as 64 lower-case hexadecimal digits.
pub(in super::super) fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA256, bytes))
}

/// How long a part is, as far as the guest made it so.
pub(super) fn length(part: &Part) -> usize {
    match part {
        Part::Bytes(bytes) => bytes.len(),
        Part::Secret | Part::SecretSha256Hex => 0,
    }
}

fn feed(secret: &[u8], message: &[Part], mut take: impl FnMut(&[u8])) -> Result<(), CryptoError> {
    if message.iter().filter(|part| !matches!(part, Part::Bytes(_))).count() > MOST_SECRET_PARTS {
        return Err(CryptoError::BadInput);
    }
    for part in message {
        match part {
            Part::Bytes(bytes) => take(bytes),
            Part::Secret => take(secret),
            // Some formats use it as a key: it is as secret as the secret.
            Part::SecretSha256Hex => take(Zeroizing::new(sha256_hex(secret)).as_bytes()),
        }
    }
    Ok(())
}

/// A hash of what the guest knows anyway is no signature.
fn needs_secret(message: &[Part]) -> Result<(), CryptoError> {
    if message.iter().all(|part| matches!(part, Part::Bytes(_))) {
        return Err(CryptoError::BadInput);
    }
    Ok(())
}

/// The bytes of a part; an asymmetric key has no text to put into a message.
fn plain(part: &Part) -> Result<&[u8], CryptoError> {
    match part {
        Part::Bytes(bytes) => Ok(bytes),
        Part::Secret | Part::SecretSha256Hex => Err(CryptoError::BadInput),
    }
}
