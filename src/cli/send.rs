//! `paynotify send`: hands in a payment result.

use std::io::Read;

use anyhow::Context;

use super::client::Api;
use super::table::text;
use super::{Failure, Send};

pub(super) async fn send(arguments: &Send) -> Result<(), Failure> {
    let record = if arguments.record.as_os_str() == "-" {
        let mut record = Vec::new();
        std::io::stdin().read_to_end(&mut record).context("standard input cannot be read")?;
        record
    } else {
        std::fs::read(&arguments.record)
            .with_context(|| format!("{} cannot be read", arguments.record.display()))?
    };
    let api = Api::at(&arguments.api)?;
    let answer = api.post("/v1/notifications", record).await?;
    Ok(api.show(&answer, |answer| format!("{}\n", text(&answer["notification_id"])))?)
}
