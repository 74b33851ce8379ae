//! Why there is no score.

use std::time::Duration;

use proto_api::{Failure, FailureKind};

/// No scorer gave an answer that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScoreError {
    /// None is configured, or no name of theirs leads to an address.
    #[error("no scorer is known")]
    NoScorer,
    /// All failed lately and are left out for a moment.
    #[error("all {0} scorers are left out after failures")]
    AllLeftOut(usize),
    /// This picker waits for too many answers already.
    #[error("{0} requests wait for scorers already")]
    Busy(usize),
    /// A scorer says no.
    #[error("scorer {scorer}: {failure}")]
    Failed {
        /// Its address.
        scorer: String,
        /// What it said. Scorers put no prompt text there.
        failure: Failure,
    },
    /// None answered in time.
    #[error("no scorer answered within {0:?}")]
    Late(Duration),
    /// A scorer answered, but has not heard its store for too long.
    #[error("scorer {scorer} last heard its store {age:?} ago, more than {bound:?}")]
    TooOld {
        /// Its address.
        scorer: String,
        /// How long ago that was.
        age: Duration,
        /// How long it may be.
        bound: Duration,
    },
}

impl ScoreError {
    /// Whether the same request may succeed later.
    #[must_use]
    pub fn retryable(&self) -> bool {
        match self {
            Self::Failed { failure, .. } => failure.retryable(),
            Self::NoScorer
            | Self::AllLeftOut(_)
            | Self::Busy(_)
            | Self::Late(_)
            | Self::TooOld { .. } => true,
        }
    }

    /// A short name for logs and metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoScorer => "no_scorer",
            Self::AllLeftOut(_) => "left_out",
            Self::Busy(_) => "busy",
            Self::Late(_) => "late",
            Self::TooOld { .. } => "stale",
            Self::Failed { failure, .. } => match failure.kind {
                FailureKind::InvalidArgument => "refused",
                FailureKind::NotFound => "unknown_model",
                FailureKind::FailedPrecondition => "not_configured",
                FailureKind::TooLarge => "too_large",
                FailureKind::Busy => "scorer_busy",
                FailureKind::Unavailable => "unavailable",
                FailureKind::DeadlineExceeded => "late",
                FailureKind::Cancelled | FailureKind::Internal => "internal",
            },
        }
    }
}
