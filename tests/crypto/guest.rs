//! A guest that makes one call of `crypto` and sends what it got as its request's body.

use paynotify::plugin::{Endpoint, Host, Key, Keys, Plugin, Settings};

use super::support::call::{attempt, endpoint, notification};
use super::support::guest::Guest;

/// The contract's `part`.
pub(crate) enum Part<'a> {
    Bytes(&'a [u8]),
    Secret,
    SecretSha256Hex,
}

/// The contract's `algorithm`, as the number that it has there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Algorithm {
    HmacSha256,
    Md5,
    Sha256,
    Rsa,
    Ed25519,
}

/// A call of `crypto`; of what `describe` gives, one field, which is empty if it is absent.
pub(crate) enum Call<'a> {
    Sign(Algorithm, &'a [Part<'a>]),
    Seal { nonce: &'a [u8], additional: &'a [u8], plaintext: &'a [u8] },
    Id,
    CertificatePem,
    PublicKey,
}

pub(crate) const NO_SUCH_KEY: u8 = 0;
pub(crate) const NOT_ALLOWED: u8 = 1;
pub(crate) const BAD_INPUT: u8 = 2;

const IMPORTS: &str = r#"
    (import "paynotify:merchant/crypto@0.1.0" "sign" (func $sign (param i32 i32 i32 i32 i32 i32)))
    (import "paynotify:merchant/crypto@0.1.0" "seal"
        (func $seal (param i32 i32 i32 i32 i32 i32 i32 i32 i32)))
    (import "paynotify:merchant/crypto@0.1.0" "describe" (func $describe (param i32 i32 i32)))"#;

/// Where the result of the call lies.
const RESULT: usize = 8_192;

/// What the call gives with these keys at hand: bytes, or the number of the contract's `crypto-error`.
pub(crate) async fn call(keys: Vec<Key>, name: &str, call: Call<'_>) -> Result<Vec<u8>, u8> {
    let host = Host::new(Settings::default()).expect("plugins can be run");
    let plugin = host.load_bytes("guest", component(name, &call)).await.expect("a plugin");
    let body = format(&plugin, keys).await.expect("a request");
    match body.split_first() {
        Some((b'+', bytes)) => Ok(bytes.to_vec()),
        Some((b'-', [digit])) => Err(digit - b'0'),
        _ => panic!("{body:?}"),
    }
}

/// The body of the guest's request.
pub(crate) async fn format(plugin: &Plugin, keys: Vec<Key>) -> Result<Vec<u8>, paynotify::plugin::CallError> {
    let endpoint = Endpoint { keys: Keys::new(keys), ..endpoint("https://shop.example/") };
    let request = plugin.format(&notification(""), &endpoint, &attempt()).await?;
    Ok(request.body.to_vec())
}

/// Makes the call, and answers `+` and the bytes, or `-` and the error's number.
pub(crate) fn component(name: &str, call: &Call<'_>) -> Vec<u8> {
    let mut memory = Memory::default();
    let (call, at) = code(name, call, &mut memory);
    let format = format!(
        "{call}
        (if (i32.load8_u (i32.const {RESULT})) (then
            (i32.store8 (i32.const 9000) (i32.const 45))
            (i32.store8 (i32.const 9001) (i32.add (i32.const 48) (i32.load8_u (i32.const {}))))
            (i32.store (i32.const 4224) (i32.const 2)))
         (else
            (i32.store8 (i32.const 9000) (i32.const 43))
            (memory.copy (i32.const 9001) (i32.load (i32.const {at})) (i32.load (i32.const {})))
            (i32.store (i32.const 4224) (i32.add (i32.const 1) (i32.load (i32.const {}))))))
        (i32.store (i32.const 4220) (i32.const 9000))
        (i32.const 4192)",
        RESULT + 4,
        at + 4,
        at + 4,
    );
    build(&memory, format)
}

/// Makes the call again and again, for ever.
pub(crate) fn looping_component(name: &str, call: &Call<'_>) -> Vec<u8> {
    let mut memory = Memory::default();
    let (call, _) = code(name, call, &mut memory);
    build(&memory, format!("(loop $more {call} (br $more)) (unreachable)"))
}

fn build(memory: &Memory, format: String) -> Vec<u8> {
    let module = memory.text.clone().leak();
    Guest { imports: IMPORTS, module, format: format.leak(), ..Guest::WELL_BEHAVED }.build()
}

/// The code of the call, and where the address and length of its bytes are found after it.
fn code(name: &str, call: &Call<'_>, memory: &mut Memory) -> (String, usize) {
    let name = memory.put(name.as_bytes());
    match call {
        Call::Sign(algorithm, parts) => {
            let list: Vec<u8> = parts.iter().flat_map(|part| part.layout(memory)).collect();
            let (at, _) = memory.constants(&list);
            let (count, number) = (parts.len(), *algorithm as u8);
            let rest = format!("(i32.const {at}) (i32.const {count}) (i32.const {RESULT})");
            (format!("(call $sign {name} (i32.const {number}) {rest})"), RESULT + 4)
        }
        Call::Seal { nonce, additional, plaintext } => {
            let [nonce, additional, plaintext] =
                [nonce, additional, plaintext].map(|bytes| memory.put(bytes));
            (format!("(call $seal {name} {nonce} {additional} {plaintext} (i32.const {RESULT}))"), RESULT + 4)
        }
        // Texts and lists are an address and a length; an optional one has a word before it that says whether.
        Call::Id => (format!("(call $describe {name} (i32.const {RESULT}))"), RESULT + 4),
        Call::CertificatePem => (format!("(call $describe {name} (i32.const {RESULT}))"), RESULT + 16),
        Call::PublicKey => (format!("(call $describe {name} (i32.const {RESULT}))"), RESULT + 28),
    }
}

impl Part<'_> {
    /// Its twelve bytes in the guest's memory.
    fn layout(&self, memory: &mut Memory) -> Vec<u8> {
        let (case, (at, length)) = match self {
            Self::Bytes(bytes) => (0_u32, memory.constants(bytes)),
            Self::Secret => (1, (0, 0)),
            Self::SecretSha256Hex => (2, (0, 0)),
        };
        [case, at, length].iter().flat_map(|word| word.to_le_bytes()).collect()
    }
}

/// Constants in the guest's memory, between what the template uses and what the gateway hands over.
#[derive(Default)]
struct Memory {
    text: String,
    used: usize,
}

impl Memory {
    fn constants(&mut self, bytes: &[u8]) -> (u32, u32) {
        let at = 24_576 + self.used;
        self.used += bytes.len().next_multiple_of(4);
        assert!(self.used <= 40_960, "too much for the guest's memory");
        let digits: String = bytes.iter().map(|byte| format!("\\{byte:02x}")).collect();
        self.text.push_str(&format!("(data (i32.const {at}) \"{digits}\")"));
        (u32::try_from(at).expect("small"), u32::try_from(bytes.len()).expect("small"))
    }

    fn put(&mut self, bytes: &[u8]) -> String {
        let (at, length) = self.constants(bytes);
        format!("(i32.const {at}) (i32.const {length})")
    }
}

/// A key that the guest asks for: its role, the algorithms, and whether it is required.
pub(crate) type Need<'a> = (&'a str, &'a [Algorithm], bool);

/// A guest named `guest` that asks for keys.
pub(crate) fn needing(needs: &[Need<'_>]) -> Vec<u8> {
    let mut memory = Memory::default();
    let mut list = Vec::new();
    for (role, algorithms, required) in needs {
        let numbers: Vec<u8> = algorithms.iter().map(|algorithm| *algorithm as u8).collect();
        let (role, summary, numbers) =
            (memory.constants(role.as_bytes()), memory.constants(b"for a test"), memory.constants(&numbers));
        let words = [role.0, role.1, summary.0, summary.1, numbers.0, numbers.1, u32::from(*required)];
        list.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    }
    let (at, _) = memory.constants(&list);
    // The list of keys is the fifth field of the description.
    let describe = format!(
        "(i32.store (i32.const 4128) (i32.const {at})) (i32.store (i32.const 4132) (i32.const {}))
        (i32.const 4096)",
        needs.len()
    );
    Guest { module: memory.text.leak(), describe: describe.leak(), ..Guest::WELL_BEHAVED }.build()
}
