//! Decisions and the client of scorers, against scorers that answer over real
//! sockets as they are told to.

mod estimated;
mod pool;
mod requests;
mod scorer_double;
mod scorers;
mod tickets;
mod tracking;

use std::future::Future;
use std::time::Duration;

/// Nothing here takes this long unless it is broken.
const LIMIT: Duration = Duration::from_secs(60);

/// Waits for something to come about.
async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    within(what, async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

/// Waits for something to end.
async fn within<T>(what: &str, work: impl Future<Output = T>) -> T {
    let ended = tokio::time::timeout(LIMIT, work).await;
    ended.unwrap_or_else(|_| panic!("no {what} within {LIMIT:?}"))
}
