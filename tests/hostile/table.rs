//! Every guest of the table through the host: each is stopped where the table says, by name, and within a bound.

use std::time::{Duration, Instant};

use paynotify::plugin::{CallError, Plugin, SettingsError};

use super::guests::{Call, End, Made, all};
use super::{endpoint, format, host, judge};
use crate::support::call::{attempt, notification};

/// Far more than a call's 200 ms, for a machine that is busy; far less than anything that is not ended.
const BOUND: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_is_stopped_where_the_table_says() {
    let host = host();
    let guests = all();
    assert!(guests.len() >= 20);
    let mut names: Vec<_> = guests.iter().map(|guest| guest.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), guests.len(), "two of one name");
    let mut wrong = Vec::new();
    println!("| guest | what it does | stopped | ms |\n|---|---|---|---|");
    for hostile in guests {
        let bytes = match &hostile.made {
            Made::Of(guest) => guest.build(),
            Made::Bytes(make) => make(),
        };
        let mut start = Instant::now();
        let loaded = host.load_bytes("guest.wasm", bytes).await;
        let met = match (loaded, hostile.end) {
            (Err(error), End::Refused(wanted)) => {
                let text = error.to_string();
                text.starts_with(&format!("plugin `guest.wasm` {wanted}")).then_some("refused").ok_or(text)
            }
            (Err(error), _) => Err(error.to_string()),
            (Ok(_), End::Refused(_)) => Err("it was taken for a plugin".to_owned()),
            (Ok(plugin), end) => {
                start = Instant::now();
                called(&plugin, end).await
            }
        };
        let took = start.elapsed();
        match met {
            Ok(how) => {
                println!("| {} | {} | {how} | {} |", hostile.name, hostile.does, took.as_millis());
                if took > BOUND {
                    wrong.push(format!("{}: took {took:?}", hostile.name));
                }
            }
            Err(what) => wrong.push(format!("{}: {what:?}, wanted {:?}", hostile.name, hostile.end)),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Has the guest do its worst: how it was stopped, or what came of it instead.
async fn called(plugin: &Plugin, end: End) -> Result<&'static str, String> {
    match end {
        End::Refused(_) => Err("it was taken for a plugin".to_owned()),
        End::Fault(call, name, text) => {
            let error = match call {
                Call::CheckSettings => match plugin.check_settings("{}").await {
                    Err(SettingsError::Call(error)) => error,
                    other => return Err(format!("{other:?}")),
                },
                Call::Format => format(plugin).await.err().ok_or("a request")?,
                Call::Judge => {
                    format(plugin).await.map_err(|error| error.to_string())?;
                    judge(plugin).await.err().ok_or("a verdict")?
                }
            };
            let CallError::Fault(fault) = error else { return Err(error.to_string()) };
            let said = fault.to_string();
            let right = fault.name() == name && said.starts_with(text);
            let readable = said.chars().count() <= 700 && !said.contains('\n');
            (right && readable).then_some(name).ok_or(format!("{}: {said}", fault.name()))
        }
        End::Nothing(body) => {
            let attempt = attempt();
            let request =
                plugin.format(&notification(""), &endpoint("https://shop.example/"), &attempt).await;
            let request = request.map_err(|error| error.to_string())?;
            // What was random may go on after the bytes that the table pins.
            let wanted = body.iter().rposition(|byte| *byte != 0).map_or(body, |last| &body[..=last]);
            let (len, given) = (request.body.len(), &request.body);
            let right = len == body.len() && given.starts_with(wanted);
            let again = plugin.format(&notification(""), &endpoint("https://shop.example/"), &attempt).await;
            let same = again.is_ok_and(|again| again.body == request.body);
            (right && same).then_some("gets nothing").ok_or(format!("{given:?}, the same again: {same}"))
        }
    }
}
