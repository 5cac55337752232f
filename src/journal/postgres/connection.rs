//! How a connection is made, and what holds in it.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, query_scalar, raw_sql};
use tokio::time::timeout;

use super::problem::Problem;

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(3);

/// Connects.
pub(super) async fn open(options: &PgConnectOptions) -> Result<PgConnection, Problem> {
    let connecting = async {
        let mut connection = options.connect().await?;
        set_bounds(&mut connection).await?;
        let encoding: String = query_scalar("SHOW server_encoding").fetch_one(&mut connection).await?;
        if encoding != "UTF8" {
            return Err(Problem::Encoding(encoding));
        }
        Ok(connection)
    };
    timeout(CONNECT, connecting).await.unwrap_or(Err(Problem::Silent(CONNECT)))
}

/// So that a statement that hangs, or a gateway that was frozen in the middle of one, lets go of its locks; and a commit
/// that returns is on the disk, whatever the server's configuration says. What that asks for beyond, such as a standby's answer, stays.
pub(super) async fn set_bounds(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    raw_sql(
        "SET statement_timeout = '10s';
        SET lock_timeout = '5s';
        SET idle_in_transaction_session_timeout = '5s';
        SET client_min_messages = warning;
        SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'",
    )
    .execute(connection)
    .await
    .map(drop)
}
