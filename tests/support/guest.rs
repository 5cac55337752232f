//! Plugins as text: a core module of a few functions, made into a component of the contract's world.
//!
//! The template behaves: it describes itself as `guest`, accepts any settings, posts `hello` to `/` and confirms
//! whatever comes back. A test replaces one function's body, or adds to the module, and so says all that is wrong
//! with its guest.
//!
//! The layouts in memory follow from the contract by the component model's canonical ABI. Addresses below 4096 hold
//! constant texts, 4096 to 8191 results, and what the gateway hands over is laid from 64 KiB upwards.

use std::path::Path;

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// A plugin to be.
pub struct Guest {
    /// WIT packages that the world's imports come from.
    pub packages: &'static str,
    /// What the world imports besides the contract, such as `import wasi:io/poll@0.2.0;`.
    pub world: &'static str,
    /// Core imports: they stand before everything else in the module.
    pub imports: &'static str,
    /// More of the module: functions, tables, memories, a start.
    pub module: &'static str,
    /// What `cabi_realloc` does before it gives room, each time the gateway hands something over.
    pub realloc: &'static str,
    /// The body of `describe: () -> i32`.
    pub describe: &'static str,
    /// The body of `check-settings: (text, length) -> i32`.
    pub check_settings: &'static str,
    /// The body of `format: (arguments) -> i32`.
    pub format: &'static str,
    /// The body of `judge: (arguments) -> i32`.
    pub judge: &'static str,
}

impl Guest {
    /// One that behaves.
    pub const WELL_BEHAVED: Self = Self {
        packages: "",
        world: "",
        imports: "",
        module: "",
        realloc: "",
        describe: "(i32.const 4096)",
        check_settings: "(i32.const 4160)",
        format: "(i32.const 4192)",
        judge: "(i32.const 4256)",
    };

    /// The component's bytes.
    pub fn build(&self) -> Vec<u8> {
        self.build_named("guest")
    }

    /// The same for a format of another name, of five letters as well.
    pub fn build_named(&self, name: &str) -> Vec<u8> {
        assert_eq!(name.len(), 5, "the template's layout");
        let text = self.text().replace("guest1.0.0", &format!("{name}1.0.0"));
        let mut module = wat::parse_str(text).expect("the guest's text is a module");
        let mut resolve = Resolve::default();
        resolve.push_path(Path::new("wit")).expect("the contract parses");
        let source = format!(
            "package test:guest; {} world guest {{ include paynotify:merchant/merchant-plugin@0.1.0; {} }}",
            self.packages, self.world
        );
        encode(&mut resolve, &source, &mut module)
    }

    fn text(&self) -> String {
        let Self { imports, module, realloc, describe, check_settings, format, judge, .. } = self;
        let plugin = "paynotify:merchant/plugin@0.1.0";
        format!(
            r#"(module
  {imports}
  (memory (export "memory") 2)
  (data (i32.const 0) "guest1.0.0{{}}POST/hello")
  ;; description: name, version, summary, settings-schema, keys, ladders
  (data (i32.const 4096) "\00\00\00\00\05\00\00\00\05\00\00\00\05\00\00\00\00\00\00\00\00\00\00\00\0a\00\00\00\02\00\00\00")
  ;; 4160: ok. 4192: ok, method, url, headers, body
  (data (i32.const 4196) "\0c\00\00\00\04\00\00\00\10\00\00\00\01\00\00\00\00\00\00\00\00\00\00\00\11\00\00\00\05\00\00\00")
  ;; 4256: ok, confirmed, none
  (global $free (mut i32) (i32.const 65536))
  (func (export "cabi_realloc") (param i32 i32) (param $align i32) (param $size i32) (result i32)
    (local $at i32)
    {realloc}
    (local.set $at (i32.and
      (i32.add (global.get $free) (i32.sub (local.get $align) (i32.const 1)))
      (i32.sub (i32.const 0) (local.get $align))))
    (global.set $free (i32.add (local.get $at) (local.get $size)))
    (block $enough (loop $more
      (br_if $enough (i32.le_u (global.get $free) (i32.shl (memory.size) (i32.const 16))))
      (br_if $enough (i32.eq (memory.grow (i32.const 16)) (i32.const -1)))
      (br $more)))
    (local.get $at))
  (func (export "{plugin}#describe") (result i32) {describe})
  (func (export "{plugin}#check-settings") (param i32 i32) (result i32) {check_settings})
  (func (export "{plugin}#format") (param i32) (result i32) {format})
  (func (export "{plugin}#judge") (param i32) (result i32) {judge})
  {module})"#
        )
    }
}

/// A component of another world than the contract's, written whole: the world `guest` of the source, and the module.
pub fn component(source: &str, module: &str) -> Vec<u8> {
    let mut module = wat::parse_str(module).expect("the guest's text is a module");
    encode(&mut Resolve::default(), source, &mut module)
}

fn encode(resolve: &mut Resolve, source: &str, module: &mut Vec<u8>) -> Vec<u8> {
    let package = resolve.push_source("guest.wit", source).expect("the guest's world parses");
    let world = resolve.select_world(&[package], Some("guest")).expect("there is such a world");
    embed_component_metadata(module, resolve, world, StringEncoding::UTF8, false)
        .expect("the world can be embedded");
    ComponentEncoder::default()
        .validate(true)
        .module(module)
        .and_then(|encoder| encoder.encode())
        .expect("the module is one of the world")
}
