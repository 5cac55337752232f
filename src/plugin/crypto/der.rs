//! As much of DER (ITU-T X.690) as it takes to say what somebody has handed us, and to find two things in a certificate.
//!
//! Nothing here decides whether a key is sound: the library that will use it parses it anew. This is for the message
//! to the one who gave us a certificate instead of a key.

/// What a text that should be a private key turns out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `RSAPrivateKey` (RFC 8017, A.1.2).
    Rsa {
        /// The length of the modulus.
        bits: usize,
    },
    /// `PrivateKeyInfo` (RFC 5208) with an RSA key in it.
    Pkcs8Rsa {
        /// The length of the modulus.
        bits: usize,
    },
    /// `PrivateKeyInfo` with an Ed25519 key in it (RFC 8410).
    Pkcs8Ed25519,
    /// An elliptic curve key, in `PrivateKeyInfo` or alone (RFC 5915).
    EllipticCurve,
    /// An RSA key that may be used with RSASSA-PSS only.
    RsaPss,
    /// `PrivateKeyInfo` with another kind of key in it.
    Pkcs8Other,
    /// `EncryptedPrivateKeyInfo` (RFC 5208).
    Encrypted,
    /// `SubjectPublicKeyInfo` (RFC 5280), or `RSAPublicKey` (RFC 8017).
    PublicKey,
    /// `Certificate` (RFC 5280).
    Certificate,
    /// None of these.
    Unknown,
}

impl Kind {
    /// For people.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Rsa { .. } | Self::Pkcs8Rsa { .. } => "an RSA private key",
            Self::Pkcs8Ed25519 => "an Ed25519 private key",
            Self::EllipticCurve => "an elliptic curve private key",
            Self::RsaPss => "an RSA key for RSASSA-PSS only",
            Self::Pkcs8Other => "a private key of another kind",
            Self::Encrypted => "an encrypted private key",
            Self::PublicKey => "a public key",
            Self::Certificate => "a certificate",
            Self::Unknown => "no private key in DER (PKCS#1 or PKCS#8)",
        }
    }
}

/// What there is to know about a certificate here.
pub(super) struct Certificate<'a> {
    /// The serial number, big-endian, with the leading zero if the encoding needs one.
    pub(super) serial: &'a [u8],
    /// The `SubjectPublicKeyInfo`, whole.
    pub(super) public_key: &'a [u8],
}

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const OBJECT_IDENTIFIER: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
/// The optional version of a certificate: context-specific, constructed, number 0.
const VERSION: u8 = 0xa0;

/// Object identifiers: 1.2.840.113549.1.1.1, 1.2.840.113549.1.1.10, 1.3.101.112 and 1.2.840.10045.2.1.
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const RSA_PSS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a];
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];

/// Says what it is.
pub(super) fn kind(der: &[u8]) -> Kind {
    let Some(parts) = sequence(der) else { return Kind::Unknown };
    let tags: Vec<u8> = parts.iter().map(|part| part.tag).collect();
    match tags.as_slice() {
        [INTEGER, SEQUENCE, OCTET_STRING, ..] => pkcs8(&parts[1], &parts[2]),
        [INTEGER, OCTET_STRING, ..] => Kind::EllipticCurve,
        [INTEGER, INTEGER] | [SEQUENCE, BIT_STRING] => Kind::PublicKey,
        [INTEGER, INTEGER, INTEGER, ..] => Kind::Rsa { bits: bits(parts[1].content) },
        [SEQUENCE, OCTET_STRING] => Kind::Encrypted,
        [SEQUENCE, SEQUENCE, BIT_STRING] => Kind::Certificate,
        _ => Kind::Unknown,
    }
}

fn pkcs8(algorithm: &Element<'_>, key: &Element<'_>) -> Kind {
    let identifier = elements(algorithm.content).and_then(|parts| parts.first().copied());
    match identifier.map(|identifier| (identifier.tag, identifier.content)) {
        Some((OBJECT_IDENTIFIER, RSA)) => match sequence(key.content).as_deref() {
            Some([version, modulus, ..]) if [version.tag, modulus.tag] == [INTEGER; 2] => {
                Kind::Pkcs8Rsa { bits: bits(modulus.content) }
            }
            _ => Kind::Unknown,
        },
        Some((OBJECT_IDENTIFIER, RSA_PSS)) => Kind::RsaPss,
        Some((OBJECT_IDENTIFIER, ED25519)) => Kind::Pkcs8Ed25519,
        Some((OBJECT_IDENTIFIER, EC)) => Kind::EllipticCurve,
        Some((OBJECT_IDENTIFIER, _)) => Kind::Pkcs8Other,
        _ => Kind::Unknown,
    }
}

/// Finds the parts of a certificate; `None` if it is none.
pub(super) fn certificate(der: &[u8]) -> Option<Certificate<'_>> {
    if kind(der) != Kind::Certificate {
        return None;
    }
    let signed = sequence(der)?.first().copied()?;
    let mut parts = elements(signed.content)?;
    if parts.first()?.tag == VERSION {
        parts.remove(0);
    }
    // Serial number, signature algorithm, issuer, validity, subject, public key.
    match parts.as_slice() {
        [serial, _, _, _, _, public_key, ..] if serial.tag == INTEGER && public_key.tag == SEQUENCE => {
            Some(Certificate { serial: serial.content, public_key: public_key.whole })
        }
        _ => None,
    }
}

#[derive(Clone, Copy)]
struct Element<'a> {
    tag: u8,
    content: &'a [u8],
    /// With tag and length.
    whole: &'a [u8],
}

/// The elements of the one sequence that the text is.
fn sequence(der: &[u8]) -> Option<Vec<Element<'_>>> {
    match elements(der)?.as_slice() {
        [only] if only.tag == SEQUENCE => elements(only.content),
        _ => None,
    }
}

/// All elements, one after the other; `None` if they do not end where the text ends, or are too many.
fn elements(mut der: &[u8]) -> Option<Vec<Element<'_>>> {
    const MOST: usize = 64;
    let mut found = Vec::new();
    while !der.is_empty() {
        let (element, rest) = element(der)?;
        found.push(element);
        der = rest;
        if found.len() > MOST {
            return None;
        }
    }
    Some(found)
}

/// One element with a definite length, and what follows it.
fn element(der: &[u8]) -> Option<(Element<'_>, &[u8])> {
    let (&[tag, first], rest) = der.split_first_chunk::<2>()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    let whole = &der[..der.len() - rest.len()];
    Some((Element { tag, content, whole }, rest))
}

/// How many binary digits a number has.
fn bits(number: &[u8]) -> usize {
    match number.iter().position(|digit| *digit != 0) {
        Some(first) => (number.len() - first) * 8 - number[first].leading_zeros() as usize,
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_measured_without_leading_zeros() {
        for (number, wanted) in [(&[][..], 0), (&[0, 0], 0), (&[1], 1), (&[0, 0x80], 8), (&[1, 0], 9)] {
            assert_eq!(bits(number), wanted);
        }
    }

    #[test]
    fn lengths_that_lie_are_no_der() {
        for der in [
            &[][..],
            &[0x30],
            &[0x30, 0x01],
            &[0x30, 0x80, 0, 0],
            &[0x30, 0x85, 0, 0, 0, 0, 0],
            &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
            &[0x30, 0, 0],
        ] {
            assert_eq!(kind(der), Kind::Unknown, "{der:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(der: Vec<u8>, start in 0_usize..4) {
            kind(&der);
            certificate(&der);
            // Most of what is random is no sequence at all.
            let head = [&[][..], &[0x30], &[0x30, 0x81], &[0x30, 0x82, 0]][start];
            kind(&[head, &der].concat());
        }
    }
}
