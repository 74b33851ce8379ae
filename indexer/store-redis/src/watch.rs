//! One watch: the follower's history, but never without Redis behind it.

use futures::stream::{self, StreamExt};
use indexer_store::{History, WatchError, WatchItem, WatchStream};
use proto_model::Revision;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::follow::{Confirmed, Follower, Seen};

pub(crate) fn watch(follower: Follower, after: Option<Revision>) -> WatchStream {
    let watcher = Watcher {
        seen: follower.seen(),
        follower,
        phase: Phase::Start(after),
        said: None,
    };
    Box::pin(stream::unfold(watcher, |mut watcher| async move {
        if matches!(watcher.phase, Phase::Ended) {
            return None;
        }
        let item = watcher.next().await;
        if item.is_err() {
            watcher.phase = Phase::Ended;
        }
        Some((item, watcher))
    }))
}

struct Watcher {
    follower: Follower,
    seen: watch::Receiver<Seen>,
    phase: Phase,
    /// The confirmation that the last heartbeat passed on.
    said: Option<Confirmed>,
}

enum Phase {
    Start(Option<Revision>),
    Live(WatchStream),
    Ended,
}

impl Watcher {
    async fn next(&mut self) -> Result<WatchItem, WatchError> {
        loop {
            match &mut self.phase {
                Phase::Start(after) => {
                    let after = *after;
                    let history = self.history(after).await?;
                    self.phase = Phase::Live(history.watch(after));
                }
                Phase::Live(items) => {
                    let item = items.next().await.unwrap_or_else(|| Err(closed()))?;
                    if let Some(item) = self.backed(item)? {
                        return Ok(item);
                    }
                }
                Phase::Ended => return Err(closed()),
            }
        }
    }

    /// The history, once it is as Redis has it and a reader that stands at `after`
    /// would not be taken back.
    async fn history(&mut self, after: Option<Revision>) -> Result<History, WatchError> {
        self.follower.start();
        let (begun, options) = (Instant::now(), self.follower.options());
        let (limit, silence) = (options.load_timeout, options.silence_max);
        let fits = |seen: &Seen| {
            let (Some(history), Some(confirmed)) = (&seen.history, seen.confirmed) else {
                return false;
            };
            // A place beyond what Redis has is of another history.
            let there = after.is_none_or(|after| history.revision() >= after);
            confirmed.at.elapsed() < silence && (there || confirmed.at > begun)
        };
        let follower = self.follower.clone();
        let found = tokio::select! {
            waited = tokio::time::timeout(limit, self.seen.wait_for(fits)) => match waited {
                Ok(Ok(seen)) => seen.history.clone(),
                Ok(Err(_)) => return Err(closed()),
                Err(_) => None,
            },
            () = follower.closed().cancelled() => return Err(closed()),
        };
        found.ok_or_else(|| {
            let trouble = self.seen.borrow().trouble.clone();
            let why = trouble.map_or_else(String::new, |trouble| format!(": {trouble}"));
            WatchError::Unavailable {
                reason: format!("the index is not loaded after {limit:?}{why}"),
            }
        })
    }

    /// The item, unless it is a heartbeat that Redis has not confirmed.
    fn backed(&mut self, item: WatchItem) -> Result<Option<WatchItem>, WatchError> {
        let (revision, at_ms) = match item {
            WatchItem::Heartbeat { revision, at_ms } => (revision, at_ms),
            item => return Ok(Some(self.dated(item))),
        };
        let seen = self.seen.borrow();
        let silent = seen
            .heard
            .map_or(std::time::Duration::MAX, |heard| heard.elapsed());
        if silent > self.follower.options().silence_max {
            let trouble = seen.trouble.clone();
            let why = trouble.map_or_else(String::new, |trouble| format!(": {trouble}"));
            return Err(WatchError::Unavailable {
                reason: format!("Redis has not answered for {silent:?}{why}"),
            });
        }
        let confirmed = seen.confirmed.filter(|_| seen.confirmed != self.said);
        drop(seen);
        let Some(confirmed) = confirmed else {
            return Ok(None);
        };
        self.said = Some(confirmed);
        Ok(Some(WatchItem::Heartbeat {
            revision,
            at_ms: at_ms.min(confirmed.at_ms),
        }))
    }
}

impl Watcher {
    /// Changes, dated as Redis confirmed: the history dates them when it applied
    /// them, and they may have been long on the way from Redis.
    fn dated(&self, mut item: WatchItem) -> WatchItem {
        if let WatchItem::Deltas { applied_at_ms, .. } = &mut item {
            let confirmed = self.seen.borrow().confirmed;
            let known = confirmed.map_or(*applied_at_ms, |confirmed| confirmed.at_ms);
            *applied_at_ms = known.min(*applied_at_ms);
        }
        item
    }
}

fn closed() -> WatchError {
    WatchError::Closed {
        reason: "the store was shut down".to_owned(),
    }
}
