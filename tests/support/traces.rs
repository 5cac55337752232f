//! Looking for secrets where none may be: in a guest's memory, in logs and files.
//!
//! A secret is looked for in every form in which it could show itself: the text of the file, the bytes that it decodes
//! to, the numbers within a private key; each of these as it is, backwards (as libraries keep large numbers), in
//! hexadecimal digits, percent-encoded, and in Base64, wherever within other Base64 it may begin.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// Less would be found by chance.
const SHORTEST: usize = 8;

/// All forms of some secrets, and whose they are.
#[derive(Default)]
pub struct Traces {
    /// Each form's bytes by its first two, so that one look at each place tells that nothing begins there.
    by_begin: BTreeMap<[u8; 2], Vec<(Vec<u8>, String)>>,
}

impl Traces {
    /// Also looks for this text, and for what it decodes to as hexadecimal digits, Base64 (also after `whsec_` and
    /// the like) and PEM.
    #[must_use]
    pub fn of(mut self, name: &str, text: &str) -> Self {
        let text = text.trim();
        // A private key's text is looked for line by line: a line break is written in many ways.
        for line in text.lines().filter(|line| !line.starts_with("-----")) {
            self.add_all_forms(name, line.as_bytes());
        }
        let base64: String = text.lines().filter(|line| !line.starts_with("-----")).collect();
        let base64 = base64.split_once('_').map_or(base64.as_str(), |(_, rest)| rest);
        if let Ok(bytes) = STANDARD.decode(base64) {
            self.add_all_forms(&format!("{name}, decoded"), &bytes);
            for (index, number) in private_numbers(&bytes).iter().enumerate() {
                self.add_all_forms(&format!("{name}, number {index}"), number);
            }
        }
        if let Ok(bytes) = hex::decode(text) {
            self.add_all_forms(&format!("{name}, decoded"), &bytes);
        }
        self
    }

    fn add_all_forms(&mut self, name: &str, bytes: &[u8]) {
        let backwards: Vec<u8> = bytes.iter().rev().copied().collect();
        self.add(name, "as it is", bytes.to_vec());
        self.add(name, "backwards", backwards);
        self.add(name, "in hexadecimal digits", hex::encode(bytes).into_bytes());
        self.add(name, "in capital hexadecimal digits", hex::encode_upper(bytes).into_bytes());
        let plain: [fn(u8) -> bool; 3] = [
            |byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte),
            |byte| byte.is_ascii_alphanumeric(),
            |_| false,
        ];
        for is_plain in plain {
            for digits in ["0123456789ABCDEF", "0123456789abcdef"].map(str::as_bytes) {
                let each = |byte: &u8| match is_plain(*byte) {
                    true => vec![*byte],
                    false => vec![b'%', digits[usize::from(byte >> 4)], digits[usize::from(byte & 15)]],
                };
                self.add(name, "percent-encoded", bytes.iter().flat_map(each).collect());
            }
        }
        // What stands before it decides how its bits fall into Base64's digits; the digits at both ends are shared.
        for before in 0..3 {
            let shifted = [&[0_u8; 3][..before], bytes].concat();
            for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
                let digits = engine.encode(&shifted).into_bytes();
                let own = digits.get(before + usize::from(before > 0)..digits.len() - 1).unwrap_or_default();
                self.add(name, "in Base64", own.to_vec());
            }
        }
    }

    fn add(&mut self, name: &str, form: &str, bytes: Vec<u8>) {
        if bytes.len() >= SHORTEST {
            self.by_begin.entry([bytes[0], bytes[1]]).or_default().push((bytes, format!("{name}, {form}")));
        }
    }

    /// Which secrets are in it, and how they are written. Each is named once.
    pub fn found_in(&self, haystack: &[u8]) -> Vec<&str> {
        let mut begins = vec![false; 1 << 16];
        for begin in self.by_begin.keys() {
            begins[usize::from(u16::from_be_bytes(*begin))] = true;
        }
        let mut found = Vec::new();
        for (at, pair) in haystack.array_windows::<2>().enumerate() {
            if !begins[usize::from(u16::from_be_bytes(*pair))] {
                continue;
            }
            for (bytes, name) in &self.by_begin[pair] {
                if haystack[at..].starts_with(bytes) && !found.contains(&name.as_str()) {
                    found.push(name);
                }
            }
        }
        found
    }
}

/// The secret numbers of a private key in DER (RFC 8017, 8410, 5958): all long ones but RSA's modulus, which is public.
fn private_numbers(der: &[u8]) -> Vec<Vec<u8>> {
    const INTEGER: u8 = 2;
    const OCTETS: u8 = 4;
    const SEQUENCE: u8 = 0x30;
    let mut integers = Vec::new();
    let mut octets = Vec::new();
    let mut open = vec![der];
    while let Some(mut rest) = open.pop() {
        while let Some((tag, content, after)) = element(rest) {
            match tag {
                SEQUENCE => open.push(content),
                OCTETS if element(content).is_some_and(|(_, _, after)| after.is_empty()) => {
                    open.push(content)
                }
                OCTETS if content.len() >= 16 => octets.push(content.to_vec()),
                INTEGER if content.len() >= 16 => integers.push(content.to_vec()),
                _ => {}
            }
            rest = after;
        }
    }
    integers
        .into_iter()
        .skip(1)
        .map(|number| number[usize::from(number[0] == 0)..].to_vec())
        .chain(octets)
        .collect()
}

/// The first element: its tag, its content and what comes after it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&length, rest) = rest.split_first()?;
    let (length, rest) = match length {
        0..=0x7f => (usize::from(length), rest),
        0x81 => (usize::from(*rest.first()?), rest.get(1..)?),
        0x82 => (usize::from(u16::from_be_bytes([*rest.first()?, *rest.get(1)?])), rest.get(2..)?),
        _ => return None,
    };
    Some((tag, rest.get(..length)?, rest.get(length..)?))
}
