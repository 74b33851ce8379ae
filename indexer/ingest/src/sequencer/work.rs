//! What a sequencer wants done, and what it has noticed.

use proto_model::Incarnation;

use crate::entry::Entry;

/// One command's worth of work. Goes back to [`Sequencer::done`](super::Sequencer::done) with the
/// outcome, or to [`Sequencer::put_back`](super::Sequencer::put_back) if it was not appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Work {
    /// Append these messages.
    Events(Vec<Entry>),
    /// Append no messages, only to learn the cursor.
    Ask,
    /// Say that everything before `next` is lost.
    Gap {
        /// The incarnation as last seen in the state.
        incarnation: Option<Incarnation>,
        /// The first sequence that will be delivered.
        next: u64,
    },
    /// End the incarnation.
    Reset {
        /// The incarnation that is over.
        incarnation: Incarnation,
    },
}

impl Work {
    /// How many messages it appends.
    pub(crate) fn messages(&self) -> usize {
        if let Self::Events(entries) = self {
            entries.len()
        } else {
            0
        }
    }

    /// Their estimated size.
    pub(crate) fn bytes(&self) -> usize {
        if let Self::Events(entries) = self {
            entries.iter().map(Entry::bytes).sum()
        } else {
            0
        }
    }
}

/// What happened, for counters and logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Note {
    /// A live message was seen before.
    LiveDuplicate,
    /// A live message was dropped because too many are held; it will be fetched.
    HeldDropped,
    /// The state found a gap of so many messages.
    GapFound(u64),
    /// So many messages are given up as lost.
    GapGivenUp(u64),
    /// The engine restarted, and the state noticed.
    Restarted,
    /// The engine restarted in a way that only the ingestor can see.
    ResetNeeded,
    /// The state called stale what the engine has just said: its clock was set.
    ClockWentBack,
    /// Nobody can tell whether these messages follow on what the state has.
    Doubted,
    /// A live message has the number that marks the end of replays.
    EndMark,
    /// A replay was given up after its last try.
    ReplayGivenUp,
    /// The state refused the publisher.
    Refused,
}
