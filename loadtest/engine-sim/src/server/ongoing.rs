//! A request that the engine works on, seen from its connection.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::body::{Asked, Kind};
use super::outbox::{End, Outbox, Progress};
use super::reply::Reply;
use super::shared::Shared;
use super::truth::Truth;

/// Dropped when the response is complete or its client is gone; then the engine
/// stops working on it.
pub(crate) struct Ongoing {
    pub(crate) shared: Arc<Shared>,
    pub(crate) kind: Kind,
    pub(crate) asked: Asked,
    pub(crate) reply: Reply,
    /// The response's id, as `chatcmpl-1`.
    pub(crate) id: String,
    pub(crate) request_id: String,
    /// The prompt, where the client wants to see it.
    pub(crate) prompt_ids: Option<Vec<u32>>,
    pub(crate) prompt_tokens: usize,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) began: Instant,
}

/// The connection is to be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cut;

impl Ongoing {
    /// Waits for tokens beyond those sent, as far as faults let any through. Gives
    /// how many there are then.
    pub(crate) async fn beyond(&self, sent: usize) -> Result<usize, Cut> {
        let faults = self.shared.faults.borrow().clone();
        if faults.die_after_tokens.is_some_and(|limit| sent >= limit) {
            return Err(Cut);
        }
        self.released(sent).await;
        let progress = self.outbox.beyond(sent).await;
        if sent == 0 {
            tokio::time::sleep(Duration::from_millis(faults.first_token_delay_ms)).await;
        }
        self.shared.thawed().await;
        if matches!(progress.end, Some(End::Cut | End::Refused(_))) {
            return Err(Cut);
        }
        let faults = self.shared.faults.borrow();
        let limits = [faults.die_after_tokens, faults.hold_after_tokens];
        let limit = limits.into_iter().flatten().min().unwrap_or(usize::MAX);
        Ok(progress.generated.min(limit.max(sent)))
    }

    /// Waits until the reply may go on.
    async fn released(&self, sent: usize) {
        let mut faults = self.shared.faults.subscribe();
        // The sender lives as long as this request, so waiting cannot fail.
        let _ = faults
            .wait_for(|now| now.hold_after_tokens.is_none_or(|limit| sent < limit))
            .await;
    }

    pub(crate) fn progress(&self) -> Progress {
        self.outbox.progress()
    }

    pub(crate) fn cached_tokens(&self) -> usize {
        let first = self.progress().first;
        first.map_or(0, |first| first.cached_tokens)
    }
}

impl Drop for Ongoing {
    fn drop(&mut self) {
        self.outbox.give_up();
        let progress = self.progress();
        let stops = self.reply.stops();
        let took = self.began.elapsed().mul_f64(self.shared.config.speed);
        self.shared.with_state(|state| {
            let statistics = &mut state.statistics;
            statistics.finished(progress.end, stops);
            if let Some(first) = progress.first {
                statistics.first_token.observe(first.after);
                statistics.whole.observe(took.max(first.after));
            }
        });
        if progress.first.is_some() {
            self.shared.remember(Truth {
                request_id: std::mem::take(&mut self.request_id),
                engine: self.shared.config.name.clone(),
                prompt_tokens: self.prompt_tokens,
                cached_tokens: self.cached_tokens(),
                generated_tokens: progress.generated,
                complete: progress.end == Some(End::Complete),
            });
        }
    }
}
