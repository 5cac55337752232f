//! The bounds of plugins, all in one place, each with a name.

use std::path::PathBuf;
use std::time::Duration;

use super::signature::Signers;

/// What plugins may use. The default is sane for formats in any language; the bounds are per call unless they say
/// otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where compiled code is kept, so that a file is compiled once per machine and not once per start. The folder is
    /// made if there is none, with access for its owner only; what lies in it is run without a further look, so a
    /// folder that others may write to is refused. None: compiled at each start.
    pub cache_folder: Option<PathBuf>,
    /// The longest file that is looked at, in bytes. 64 MiB: a JavaScript or Python guest is 2 to 20 MB. Compiling is
    /// the one thing that is not otherwise bounded.
    pub longest_component: usize,
    /// Who may sign plugins' files. Nobody: no signature is asked for.
    pub signers: Signers,
    /// The memory of all of a guest's memories together, in bytes; a multiple of 64 KiB. 128 MiB.
    pub memory: usize,
    /// The elements of one table. 100,000.
    pub table_elements: usize,
    /// The tables of a guest. 64.
    pub tables: u32,
    /// The memories of a guest. 8: stubbed QuickJS has three.
    pub memories: u32,
    /// The core instances of a guest. 256: CPython needs more than 32.
    pub instances: u32,
    /// The stack of a guest's own calls, in bytes. 1 MiB.
    pub stack: usize,
    /// The component-model handles that are alive at the same time. 1,000.
    pub handles: usize,
    /// The WASI resources (streams, pollables) that are alive at the same time. 256.
    pub resources: usize,
    /// How long a call may run: the time that processors work for it, looked at every 10 ms. Waiting for one does not
    /// count, so a machine with too much to do does not turn honest calls into faults. 1 second; the call of a Rust
    /// guest takes less than 0.1 ms.
    pub call_timeout: Duration,
    /// The bytes that one call into the gateway, or the result of a call into the guest, may carry. 8 MiB.
    pub host_call_bytes: usize,
    /// The calls of `crypto`. 10,000. What takes longer counts more often, at about a microsecond each: one more for
    /// each KiB of the message, 50 for an Ed25519 signature, 400 for one of RSA with 2048 bits and 3,200 with 4096. So
    /// a call has the gateway calculate for about 10 ms at most, as long as a guest may run before others have their
    /// turn. The calls of `log` are not counted, only its lines: logging never ends a call.
    pub host_calls: u32,
    /// The lines that are logged: of `log`, standard output and standard error together. 32.
    pub log_lines: u32,
    /// The bytes of a logged line that are kept. 1 KiB.
    pub log_line_bytes: usize,
    /// The longest body of a request, in bytes. 1 MiB.
    pub longest_body: usize,
    /// The calls of all plugins under way at the same time. 64.
    pub concurrent_calls: u32,
    /// The calls of one plugin under way at the same time, so that one that loops leaves room for the others. 8:
    /// a call waits for nothing but a processor, so more would not be quicker.
    pub calls_per_plugin: u32,
    /// The instances that are kept over their attempt's POST, to judge the reply; without room, a fresh one judges. 256,
    /// beside the calls under way.
    pub kept_instances: u32,
    /// The memory up to which an instance is kept, in bytes. 2 MiB: more of a Rust guest's is seldom touched.
    pub kept_memory: usize,
    /// How long a call waits for its place before it is [`CallError::Busy`](super::CallError::Busy). 1 second.
    pub longest_wait: Duration,
    /// Keep memories and stacks ready for the next call. It takes much address space (about 4 GiB for each memory
    /// that could be in use) and little memory; where the machine refuses so much, each call asks the system instead.
    pub pooling: bool,
}

impl Default for Settings {
    fn default() -> Self {
        const MIB: usize = 1 << 20;
        Self {
            cache_folder: None,
            longest_component: 64 * MIB,
            signers: Signers::default(),
            memory: 128 * MIB,
            table_elements: 100_000,
            tables: 64,
            memories: 8,
            instances: 256,
            stack: MIB,
            handles: 1_000,
            resources: 256,
            call_timeout: Duration::from_secs(1),
            host_call_bytes: 8 * MIB,
            host_calls: 10_000,
            log_lines: 32,
            log_line_bytes: 1_024,
            longest_body: MIB,
            concurrent_calls: 64,
            calls_per_plugin: 8,
            kept_instances: 256,
            kept_memory: 2 * MIB,
            longest_wait: Duration::from_secs(1),
            pooling: true,
        }
    }
}
