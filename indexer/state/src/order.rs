//! Which message is new, late, lost or of another life: the order rules.

use proto_model::{Message, StreamId, Timestamp};
use serde::{Deserialize, Serialize};

/// How far behind an incarnation's first message its own messages may date,
/// because the engine's clock was stepped: one second. Whatever is older belongs
/// to a life before it; no engine restarts faster than that.
const CLOCK_STEP_MICROS: u64 = 1_000_000;

/// The sequence that marks the end of a replay and numbers no message.
const END_MARK: u64 = u64::MAX;

/// The floor of an incarnation that began with a reset. No known time is as old.
const NO_FLOOR: Timestamp = Timestamp(0);

/// Whether the message says when it was made. A payload that cannot be read may
/// not: then the sequence alone decides.
fn is_known(timestamp: Timestamp) -> bool {
    timestamp.0 != 0
}

/// Where a publisher stands in its own history.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position {
    /// The stream id of this incarnation, once one was seen.
    pub(crate) stream: Option<StreamId>,
    /// The sequence expected next.
    pub(crate) next: u64,
    /// Nothing up to this time belongs to this incarnation.
    pub(crate) floor: Option<Timestamp>,
    /// The newest timestamp applied in this incarnation; 0 if none was known.
    pub(crate) last: Option<Timestamp>,
    /// The timestamp of the message that showed this incarnation to have begun.
    pub(crate) shown: Option<Timestamp>,
}

/// What is to become of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Next in order.
    Apply,
    /// Seen before.
    Duplicate,
    /// Of an incarnation that is over.
    Stale,
    /// The first sign of a new incarnation: begin it, then judge again.
    Restart,
    /// Some messages before it are missing.
    Gap,
}

impl Position {
    /// Judges one message; the table is in `docs/state.md`.
    pub(crate) fn judge(&self, message: &Message) -> Verdict {
        let Message {
            sequence,
            timestamp,
            stream,
            ..
        } = message;
        if *sequence == END_MARK {
            return Verdict::Stale;
        }
        if let (Some(known), Some(seen)) = (self.stream, *stream) {
            if known == seen {
                return self.judge_sequence(*sequence, || Verdict::Duplicate, || Verdict::Gap);
            }
            let newest = self.last.max(self.shown).max(self.floor);
            let newer = newest.is_none_or(|newest| *timestamp > newest) && is_known(*timestamp);
            return if newer {
                Verdict::Restart
            } else {
                Verdict::Stale
            };
        }
        if !is_known(*timestamp) {
            return self.judge_sequence(*sequence, || Verdict::Duplicate, || Verdict::Gap);
        }
        if self.floor.is_some_and(|floor| *timestamp <= floor) {
            return Verdict::Stale;
        }
        let newest = self.last.max(self.shown);
        self.judge_sequence(
            *sequence,
            || match self.last {
                Some(last) if *timestamp > last => Verdict::Restart,
                _ => Verdict::Duplicate,
            },
            || match newest {
                Some(newest) if *timestamp < newest => Verdict::Stale,
                _ => Verdict::Gap,
            },
        )
    }

    fn judge_sequence(
        &self,
        sequence: u64,
        before: impl FnOnce() -> Verdict,
        beyond: impl FnOnce() -> Verdict,
    ) -> Verdict {
        match sequence.cmp(&self.next) {
            std::cmp::Ordering::Less => before(),
            std::cmp::Ordering::Equal => Verdict::Apply,
            std::cmp::Ordering::Greater => beyond(),
        }
    }

    /// Moves on after `message`, which is the next one.
    pub(crate) fn advance(&mut self, message: &Message) {
        let first = !self.last.is_some_and(is_known) && is_known(message.timestamp);
        if first && self.floor != Some(NO_FLOOR) {
            let earliest = message
                .timestamp
                .0
                .checked_sub(CLOCK_STEP_MICROS)
                .map(Timestamp);
            self.floor = self.floor.max(earliest);
        }
        self.next = message.sequence.saturating_add(1);
        self.last = self.last.max(Some(message.timestamp));
        self.stream = self.stream.or(message.stream);
    }

    /// The position after a reset: the clocks were wrong, so no time is too old,
    /// and the first message, which may date from before the clock was set right,
    /// lifts no floor.
    pub(crate) fn after_reset() -> Self {
        Self {
            floor: Some(NO_FLOOR),
            ..Self::default()
        }
    }

    /// The position of the incarnation that `message` shows to have begun.
    pub(crate) fn after_restart(&self, message: &Message) -> Self {
        Self {
            stream: message.stream,
            next: 0,
            floor: self.floor.max(self.last).filter(|floor| is_known(*floor)),
            last: None,
            shown: Some(message.timestamp),
        }
    }
}
