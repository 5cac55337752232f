//! What no guest can be made to do: a panic of the gateway's own code in the middle of a call.

use super::super::Settings;
use super::super::host::Host;
use super::*;

/// The call ends with a fault, its place is free again, and the next call is as good as ever.
#[tokio::test]
async fn a_panic_ends_the_call_and_nothing_else() {
    let few = Settings { concurrent_calls: 1, calls_per_plugin: 1, ..Settings::default() };
    let host = Host::new(few).expect("plugins can be run");
    let file = xtask::guests::built("plain").expect("built");
    let plugin = host.load(&file).await.expect("a plugin");
    for _ in 0..3 {
        let callee = &plugin.0.callee;
        let instance = callee.instance(Occasion::none());
        let (called, _) = callee
            .call::<()>(Patience::Bounded, instance, None, |_, _| {
                Box::pin(async { panic!("a bug of the\ngateway") })
            })
            .await;
        let result = called.result;
        let Err(CallError::Fault(fault)) = result else { panic!("{result:?} is no fault") };
        assert_eq!(fault.name(), "panicked");
        let text = fault.to_string();
        assert!(text.starts_with("made the gateway panic: ") && !text.contains('\n'), "{text}");
        assert!(text.contains("a bug of the\\ngateway"), "{text}");
        assert_eq!(plugin.check_settings("{}").await, Ok(()));
    }
    host.close().await;
}
