//! The engine itself: prefix cache, scheduler and timing, as vLLM's V1 engine has
//! them.
//!
//! Pure: no clock, no sockets, no randomness. Time comes in as a duration since
//! any moment the caller likes and goes out as the duration of a step, so that a
//! wall clock and a virtual clock drive the same code.

mod cache;
mod config;
mod event;
mod hash;
mod outcome;
mod pool;
mod scheduler;
mod sequence;
mod timing;

use std::collections::BTreeMap;
use std::time::Duration;

pub use config::{ConfigError, EngineConfig, Generation};
pub use event::{CacheEvent, Stored};
pub use hash::{Algorithm, Extras, Hasher, Link, Lora};
pub use outcome::{First, Generated, Load, StepOutcome, Totals};
pub use sequence::{RequestId, Submission};
pub use timing::Calibration;

use scheduler::Scheduler;
use sequence::Sequence;

/// One engine.
#[derive(Debug)]
pub struct Engine {
    scheduler: Scheduler,
    calibration: Calibration,
    max_model_len: usize,
    max_waiting: usize,
    /// Requests on their way to the scheduler, by the time of their arrival.
    coming: BTreeMap<(Duration, u64), Sequence>,
    submitted: u64,
}

/// Why a request is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// There is nothing to compute.
    #[error("the prompt is empty; give at least one token")]
    EmptyPrompt,
    /// There is nothing to generate.
    #[error("the reply is empty; ask for at least one token")]
    EmptyReply,
    /// Prompt and reply exceed the model's length.
    #[error(
        "prompt ({prompt}) and reply ({reply}) exceed max_model_len ({max_model_len}); shorten them"
    )]
    TooLong {
        /// Tokens of the prompt.
        prompt: usize,
        /// Tokens of the reply.
        reply: usize,
        /// The limit.
        max_model_len: usize,
    },
    /// Too many requests wait.
    #[error("{limit} requests wait already; try again later")]
    Full {
        /// The limit.
        limit: usize,
    },
}

impl SubmitError {
    /// Whether the same request can be taken later.
    #[must_use]
    pub fn retryable(&self) -> bool {
        matches!(self, Self::Full { .. })
    }
}

impl Engine {
    /// An engine with an empty cache.
    ///
    /// # Errors
    /// If its numbers contradict each other.
    pub fn new(config: &EngineConfig) -> Result<Self, ConfigError> {
        config.validate()?;
        Ok(Self {
            scheduler: Scheduler::new(config),
            calibration: config.calibration,
            max_model_len: config.max_model_len,
            max_waiting: config.max_waiting,
            coming: BTreeMap::new(),
            submitted: 0,
        })
    }

    /// Takes a request. It reaches the scheduler when its admission has passed.
    ///
    /// # Errors
    /// If it is empty or too long, or too many wait.
    pub fn submit(&mut self, now: Duration, submission: Submission) -> Result<(), SubmitError> {
        self.check(&submission)?;
        let arrival = now + self.calibration.admission(submission.prompt.len());
        self.submitted += 1;
        let sequence = Sequence::new(submission, now);
        self.coming.insert((arrival, self.submitted), sequence);
        Ok(())
    }

    /// Gives a request up, wherever it is; its blocks are free at once. False if it
    /// is not there any more.
    pub fn abort(&mut self, id: RequestId) -> bool {
        let coming = self.coming.iter().find(|(_, sequence)| sequence.id == id);
        if let Some(key) = coming.map(|(key, _)| *key) {
            self.coming.remove(&key);
            return true;
        }
        self.scheduler.abort(id)
    }

    /// Runs one step that begins now. `None` if there is nothing to do; then
    /// [`next_arrival`](Self::next_arrival) says when there will be.
    ///
    /// The engine stands after the step at once: the caller lets `duration` pass
    /// before it calls again.
    pub fn step(&mut self, now: Duration) -> Option<StepOutcome> {
        while let Some(entry) = self.coming.first_entry() {
            if entry.key().0 > now {
                break;
            }
            self.scheduler.enqueue(entry.remove());
        }
        let mut outcome = self.scheduler.step(now, &self.calibration)?;
        outcome.load.waiting += self.coming.len();
        Some(outcome)
    }

    /// When the first of the requests on their way arrives.
    #[must_use]
    pub fn next_arrival(&self) -> Option<Duration> {
        self.coming.first_key_value().map(|((at, _), _)| *at)
    }

    /// Forgets all prefixes, unless blocks are in use; then false. The event comes
    /// with the next step, as in vLLM.
    pub fn reset_prefix_cache(&mut self) -> bool {
        self.scheduler.reset_prefix_cache()
    }

    /// How busy it is between steps.
    #[must_use]
    pub fn load(&self) -> Load {
        let mut load = self.scheduler.load();
        load.waiting += self.coming.len();
        load
    }

    /// What it has done so far.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.scheduler.totals()
    }

    fn check(&self, submission: &Submission) -> Result<(), SubmitError> {
        let (prompt, reply) = (submission.prompt.len(), submission.reply.len());
        if prompt == 0 {
            return Err(SubmitError::EmptyPrompt);
        }
        if reply == 0 {
            return Err(SubmitError::EmptyReply);
        }
        if prompt + reply > self.max_model_len {
            return Err(SubmitError::TooLong {
                prompt,
                reply,
                max_model_len: self.max_model_len,
            });
        }
        if self.load().waiting >= self.max_waiting {
            return Err(SubmitError::Full {
                limit: self.max_waiting,
            });
        }
        Ok(())
    }
}
