//! What to change, by what is wrong.

use crate::plugin::{Fault, LoadProblem, Refusal};

/// What to do about a file that is refused.
pub(super) fn on_file(problem: &LoadProblem) -> &'static str {
    match problem {
        LoadProblem::Unreadable(_) => "name a file that can be read",
        LoadProblem::TooLong { .. } => {
            "make it smaller: leave out debugging information (`wasm-tools strip`) and what is not used, and build it for size"
        }
        LoadProblem::Precompiled => "give the component itself (.wasm), not what was compiled of it (.cwasm)",
        LoadProblem::CoreModule => {
            "build it for wasm32-wasip2, or wrap it: `wasm-tools component new MODULE -o FILE`"
        }
        LoadProblem::NotWebAssembly => "give the .wasm file that the build makes",
        LoadProblem::Invalid(_) => {
            "build it anew; if it asks for too much memory or too large a table from the start, make that smaller"
        }
        LoadProblem::Signature(_) => {
            "sign it anew with a key that the gateway's configuration names: `minisign -Sm FILE`"
        }
        LoadProblem::Import(_) => {
            "take out what needs it: a plugin has no network, no files and no processes of its own; some compilers can be told to stub it"
        }
        LoadProblem::Export => {
            "export the interface `plugin` of the world `merchant-plugin` in wit/merchant.wit"
        }
        LoadProblem::Contract(_) => "generate the bindings anew from wit/merchant.wit, and build it again",
        LoadProblem::Describe(_) => {
            "`describe` is called when the file is loaded, with the language's own start before it: it must come to an end within the bounds and not fail"
        }
        LoadProblem::Description(_) => "correct what `describe` returns",
        LoadProblem::Duplicate { .. } => "remove one of them",
    }
}

/// What to do about a fault of a call that should have had an answer.
pub(super) fn on_fault(fault: &Fault) -> &'static str {
    match fault {
        Fault::Trapped(_) => {
            "answer with an error of the contract instead of a panic, an abort or an exception that nobody catches; and hand over texts as UTF-8"
        }
        Fault::TimedOut(_) => {
            "make the work smaller than the record, or refuse what is too long for the format"
        }
        Fault::OverLimit(_) => "use less of it, or refuse what is too long for the format",
        Fault::Refused { kind: Refusal::UnusableRecord, .. } => {
            "the record has every field that it needs: write it, or give a record that the format can tell with --record"
        }
        Fault::Refused { kind: Refusal::UnusableSettings, .. } => {
            "what `check-settings` accepts must do for every record: refuse these settings there"
        }
        Fault::Refused { kind: Refusal::UnusableKey, .. } => {
            "ask for the key in `describe` (`keys`), with each algorithm that it is used with, and find it by its role"
        }
        Fault::Refused { kind: Refusal::Other, .. } => {
            "answer `unusable-record` and name the field, if the record is to blame"
        }
        Fault::InvalidRequest(_) => {
            "percent-encode what goes into the URL, leave line breaks and control characters out of header fields, keep the merchant's origin, and leave framing to the gateway; or answer `unusable-record`"
        }
        Fault::Panicked(_) => "this is paynotify's to mend: report it, with the plugin",
    }
}

/// A fault as the end of a sentence about the plugin.
pub(super) fn words(fault: &Fault) -> String {
    match fault {
        Fault::InvalidRequest(problem) => problem.to_string(),
        Fault::Trapped(_)
        | Fault::TimedOut(_)
        | Fault::OverLimit(_)
        | Fault::Refused { .. }
        | Fault::Panicked(_) => format!("it {fault}"),
    }
}
