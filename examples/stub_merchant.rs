//! A merchant for trying things out: refuses each order a number of times, then confirms it.
//!
//! `cargo run --example stub_merchant -- 127.0.0.1:8461 2` listens there and refuses twice. A third argument is the word that confirms,
//! `success` unless given.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::Uri;

type Refusals = Arc<Mutex<HashMap<String, u32>>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:8461".to_owned());
    let refusals: u32 = arguments.next().unwrap_or_else(|| "2".to_owned()).parse()?;
    let heard = Refusals::default();
    let yes = arguments.next().unwrap_or_else(|| "success".to_owned());
    let answer = move |State(heard): State<Refusals>, uri: Uri| {
        let yes = yes.clone();
        async move { if confirms(&heard, &uri, refusals) { yes } else { "fail".to_owned() } }
    };
    let router = Router::new().fallback(answer).with_state(heard);
    let listener = tokio::net::TcpListener::bind(&address).await?;
    println!("a merchant listens on {}", listener.local_addr()?);
    axum::serve(listener, router).await?;
    Ok(())
}

fn confirms(heard: &Refusals, uri: &Uri, refusals: u32) -> bool {
    let order = uri
        .query()
        .unwrap_or_default()
        .split('&')
        .find_map(|pair| pair.strip_prefix("out_trade_no="))
        .unwrap_or("an order")
        .to_owned();
    let mut heard = heard.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let times = heard.entry(order.clone()).or_default();
    *times += 1;
    let confirms = *times > refusals;
    let word = if confirms { "confirms" } else { "refuses" };
    println!("the merchant is told of {order}, for the {times}. time, and {word}");
    confirms
}
