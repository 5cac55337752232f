//! Figures of the embedded broker, printed only when asked for:
//! `PAYNOTIFY_FIGURES=1 cargo test --release --test broker figures -- --nocapture --test-threads 1`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use paynotify::domain::Outcome;
use sqlx::query;

use crate::embedded::{File, take};
use crate::support::conformance::{Probe, envelope, envelope_with, event, now, readable};

/// Messages accepted and settled each second, by as many publishers and takers.
#[tokio::test(flavor = "multi_thread")]
async fn figures() {
    const EACH: usize = 500;
    if std::env::var_os("PAYNOTIFY_FIGURES").is_none() {
        return;
    }
    for (publishers, takers) in [(1, 1), (32, 32), (128, 128)] {
        let file = File::open(|_| ()).await;
        let total = publishers * EACH;
        let began = Instant::now();
        let publish = (0..publishers).map(|publisher| {
            let broker = file.broker();
            tokio::spawn(async move {
                for number in 0..EACH {
                    let new =
                        envelope_with(&format!("n-{publisher}-{number}"), r#","subject":"a cup of tea""#);
                    broker.publish(&new).await.expect("published");
                }
            })
        });
        let left = Arc::new(AtomicUsize::new(total));
        let take = (0..takers).map(|_| {
            let (broker, left) = (file.broker(), Arc::clone(&left));
            tokio::spawn(async move {
                while let Some(delivery) = broker.next().await {
                    let came = readable(&delivery);
                    let event = event(&came, &Outcome::Confirmed { detail: None });
                    // As much is written as by a finish, for which there is no proof here.
                    delivery.receipt.poison("for the test", Some(&event)).await.expect("settled");
                    if left.fetch_sub(1, Ordering::Relaxed) == 1 {
                        broker.stop_taking().await;
                    }
                }
            })
        });
        let tasks: Vec<_> = publish.chain(take).collect();
        for done in join_all(tasks).await {
            done.expect("no panic");
        }
        let (took, each) = (began.elapsed(), began.elapsed() / u32::try_from(total).expect("few"));
        let rate = 1_000_000_000 / each.as_nanos().max(1);
        println!(
            "{publishers} publishers, {takers} takers: {total} in {took:?}, {rate} accepted and settled/s"
        );
        file.broker().close().await;
    }
}

/// Opening a file in which a million messages wait, and how late one is that waits beside them.
#[tokio::test(flavor = "multi_thread")]
async fn figures_with_a_million_parked() {
    if std::env::var_os("PAYNOTIFY_FIGURES").is_none() {
        return;
    }
    let file = File::open(|_| ()).await;
    file.broker().close().await;
    let far = now().after(Duration::from_secs(86_400)).unix_milliseconds();
    let fill = "WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number LIMIT 1000000)
        INSERT INTO message (due, body, headers) SELECT ?1 + n, randomblob(300), '{}' FROM number";
    query(fill).bind(far).execute(&mut file.connect().await).await.expect("filled");
    let began = Instant::now();
    file.open_again().await;
    println!("opened in {:?}", began.elapsed());
    for round in 0..5 {
        file.broker().publish(&envelope(&format!("n{round}"))).await.expect("published");
        let delivery = take(&*file.broker()).await;
        let mut next = readable(&delivery);
        next.progress.due = now().after(Duration::from_secs(1));
        delivery.receipt.park(&next).await.expect("parked");
        let delivery = take(&*file.broker()).await;
        println!("{:?} late", now().since(readable(&delivery).progress.due));
        delivery.receipt.poison("for the test", None).await.expect("settled");
    }
    file.broker().close().await;
}
