//! The files of the projects, as they lie in `examples/`.

use super::Language;

/// The path in the project, and what is in the file.
type File = (&'static str, &'static [u8]);

/// One file: its path in the project, and where it lies below the workspace.
macro_rules! file {
    ($path:literal, $from:literal) => {
        ($path, include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/", $from)))
    };
}

/// The files of one example, by their paths in it.
macro_rules! example {
    ($folder:literal: $($path:literal)*) => {
        [$(($path, include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/", $folder, "/", $path)))),*]
    };
}

/// What every project has.
pub(super) const COMMON: &[File] = &[
    file!(".gitignore", "examples/.gitignore"),
    file!("acme.cases/no-key.json", "examples/acme.cases/no-key.json"),
    file!("acme.cases/no-order.json", "examples/acme.cases/no-order.json"),
    file!("acme.cases/odd-text.json", "examples/acme.cases/odd-text.json"),
    file!("acme.cases/payment.json", "examples/acme.cases/payment.json"),
    file!("acme.cases/refund.json", "examples/acme.cases/refund.json"),
    file!("record.json", "examples/ready/records/order-1001.json"),
    file!("wit/merchant.wit", "wit/merchant.wit"),
];

/// What a project has for its language.
pub(super) fn of(language: Language) -> &'static [File] {
    match language {
        Language::Rust => RUST,
        Language::Js => JS,
        Language::Python => PYTHON,
        Language::C => C,
        Language::Go => GO,
    }
}

const JS: &[File] = &example!["plugin-js":
    "README.md"
    "acme.js"
    "build.sh"
    "package-lock.json"
    "package.json"
];

const PYTHON: &[File] = &example!["plugin-python":
    "README.md"
    "app.py"
    "build.sh"
    "requirements.txt"
];

const C: &[File] = &example!["plugin-c":
    "README.md"
    "acme.c"
    "bindings/merchant_plugin.c"
    "bindings/merchant_plugin.h"
    "bindings/merchant_plugin_component_type.o"
    "build.sh"
    "requirements.txt"
    "text.h"
];

const GO: &[File] = &example!["plugin-go":
    "README.md"
    "adapter.wat"
    "build.sh"
    "export_paynotify_merchant_plugin/acme.go"
    "go.mod"
    "paynotify_merchant_crypto/empty.s"
    "paynotify_merchant_crypto/wit_bindings.go"
    "paynotify_merchant_log/empty.s"
    "paynotify_merchant_log/wit_bindings.go"
    "paynotify_merchant_plugin/empty.s"
    "paynotify_merchant_plugin/wit_bindings.go"
    "paynotify_merchant_types/empty.s"
    "paynotify_merchant_types/wit_bindings.go"
    "requirements.txt"
    "vendored/LICENSE"
    "vendored/go.mod"
    "vendored/wit/async/async.go"
    "vendored/wit/async/empty.s"
    "vendored/wit/runtime/empty.s"
    "vendored/wit/runtime/runtime.go"
    "vendored/wit/types/future.go"
    "vendored/wit/types/option.go"
    "vendored/wit/types/result.go"
    "vendored/wit/types/stream.go"
    "vendored/wit/types/tuple.go"
    "vendored/wit/types/unit.go"
    "wit_exports.go"
];

/// The SDK without what it has for the tests of the plugins that paynotify ships.
const RUST: &[File] = &[
    file!("Cargo.lock", "examples/plugin-rust/Cargo.lock"),
    file!("Cargo.toml", "examples/plugin-rust/Cargo.toml"),
    file!("README.md", "examples/plugin-rust/README.md"),
    file!("build.sh", "examples/plugin-rust/build.sh"),
    file!("src/lib.rs", "examples/plugin-rust/src/lib.rs"),
    file!("vendor/paynotify-plugin/Cargo.toml", "examples/plugin-rust/vendor/paynotify-plugin/Cargo.toml"),
    file!("vendor/paynotify-plugin/src/canonical.rs", "plugins/sdk/src/canonical.rs"),
    file!("vendor/paynotify-plugin/src/encode.rs", "plugins/sdk/src/encode.rs"),
    file!("vendor/paynotify-plugin/src/event.rs", "plugins/sdk/src/event.rs"),
    file!("vendor/paynotify-plugin/src/form.rs", "plugins/sdk/src/form.rs"),
    file!("vendor/paynotify-plugin/src/json.rs", "plugins/sdk/src/json.rs"),
    file!("vendor/paynotify-plugin/src/lib.rs", "plugins/sdk/src/lib.rs"),
    file!("vendor/paynotify-plugin/src/memory.rs", "plugins/sdk/src/memory.rs"),
    file!("vendor/paynotify-plugin/src/money.rs", "plugins/sdk/src/money.rs"),
    file!("vendor/paynotify-plugin/src/percent.rs", "plugins/sdk/src/percent.rs"),
    file!("vendor/paynotify-plugin/src/plugin.rs", "plugins/sdk/src/plugin.rs"),
    file!("vendor/paynotify-plugin/src/record.rs", "plugins/sdk/src/record.rs"),
    file!("vendor/paynotify-plugin/src/reply.rs", "plugins/sdk/src/reply.rs"),
    file!("vendor/paynotify-plugin/src/request.rs", "plugins/sdk/src/request.rs"),
    file!("vendor/paynotify-plugin/src/settings.rs", "plugins/sdk/src/settings.rs"),
    file!("vendor/paynotify-plugin/src/sign.rs", "plugins/sdk/src/sign.rs"),
    file!("vendor/paynotify-plugin/src/testing.rs", "plugins/sdk/src/testing.rs"),
    file!("vendor/paynotify-plugin/src/time.rs", "plugins/sdk/src/time.rs"),
    file!("vendor/paynotify-plugin/src/verdict.rs", "plugins/sdk/src/verdict.rs"),
    file!("vendor/paynotify-plugin/src/xml.rs", "plugins/sdk/src/xml.rs"),
];
