//! One publisher's order: what to append, what to fetch again, what to give up.
//!
//! Pure: events come in, work goes out, nothing is awaited. The state is the
//! only judge of what is new, late or of a new life; the sequencer reacts to
//! its answers. At most one command per publisher is under way, so an answer
//! always speaks about the newest position.
//!
//! ```text
//!             live()                      take()            done()
//!  socket ───────────▶ ready ───────────────▶ append ───────────▶ gap? ──┐
//!                 └──▶ held ◀─────────────────────────────────────────── │
//!  replay ─ replayed() ▶ ready      ▲  released when the replay has ended │
//!     ▲                                                                   │
//!     └───────────── Ask / Replay ◀───────────────────────────────────────┘
//! ```

mod doubt;
mod live_order;
mod ready;
mod recovery;
#[cfg(test)]
mod tests;
mod work;

use proto_model::{Cursor, Incarnation, Outcome};

use crate::entry::Entry;
use doubt::Insistence;
use live_order::{LiveOrder, LiveVerdict};
use ready::{Held, Ready, Step};
use recovery::Run;
pub(crate) use work::{Note, Work};

/// The sequence that marks the end of a replay and numbers no message.
const END_MARK: u64 = u64::MAX;

/// What a sequencer may do and keep.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// Whether the publisher has a replay socket.
    pub(crate) replayable: bool,
    /// Tries of one replay.
    pub(crate) attempts: u32,
    /// Messages held back while a replay runs.
    pub(crate) held_messages: usize,
}

/// A replay to start. Answers carry `run`; those of an earlier run are ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReplayOrder {
    /// Which replay this is.
    pub(crate) run: u64,
    /// The first sequence to ask for.
    pub(crate) from: u64,
    /// Tries before this one.
    pub(crate) failures: u32,
}

/// How a replay ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReplayEnd {
    /// The engine said that there is no more.
    Complete,
    /// It could not be reached, fell silent or spoke nonsense.
    Failed,
}

impl ReplayEnd {
    /// The name used in metrics.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Failed => "failed",
        }
    }
}

#[derive(Debug)]
enum Phase {
    /// Live messages are appended as they come.
    Live,
    /// The state is being asked where it stands, so that a replay can begin.
    Asking,
    /// The incarnation is being ended.
    Resetting,
    /// A replay runs.
    Replaying(Run),
}

/// One publisher's order.
#[derive(Debug)]
pub(crate) struct Sequencer {
    rules: Rules,
    phase: Phase,
    order: LiveOrder,
    ready: Ready,
    held: Held,
    busy: bool,
    /// The newest answer of the state; the outer `None` before the first.
    cursor: Option<Option<Cursor>>,
    /// The expected sequence that a replay has failed to bring, and the newest
    /// live sequence when it ended.
    tried: Option<(u64, u64)>,
    /// What the state called stale and was insisted on, with a reset.
    insistence: Insistence,
    /// A new connection, which no replay verifies, has not brought anything yet.
    joining: bool,
    /// Whether the newest live message came by the only open connection.
    alone: bool,
    /// The incarnation that live messages of this connection were applied to.
    following: Option<Incarnation>,
    runs: u64,
    replay: Option<ReplayOrder>,
    notes: Vec<Note>,
}

impl Sequencer {
    pub(crate) fn new(rules: Rules) -> Self {
        Self {
            rules,
            phase: Phase::Live,
            order: LiveOrder::default(),
            ready: Ready::default(),
            held: Held::default(),
            busy: false,
            cursor: None,
            tried: None,
            insistence: Insistence::default(),
            joining: false,
            alone: true,
            following: None,
            runs: 0,
            replay: None,
            notes: Vec::new(),
        }
    }

    /// A connection to the publisher came up: what was missed meanwhile is
    /// fetched, and a restart that nobody saw is found, even if the engine is
    /// idle. Live messages wait until that is done.
    pub(crate) fn connected(&mut self) {
        self.following = None;
        if !self.rules.replayable {
            self.joining = true;
            return;
        }
        // A replay under way may be of a life that has ended since, and so may
        // what was held back for it: all of it is fetched again.
        self.tried = None;
        self.held.take();
        if matches!(self.phase, Phase::Resetting) {
            return;
        }
        self.replay = None;
        self.phase = Phase::Asking;
    }

    /// A message came on the live stream. `room` is false if no more memory may
    /// be used for messages that are held back.
    pub(crate) fn live(&mut self, mut entry: Entry, alone: bool, room: bool) {
        let message = &entry.message;
        let seen = (message.sequence, message.timestamp, message.stream);
        if message.sequence == END_MARK {
            return self.notes.push(Note::EndMark);
        }
        self.alone = alone;
        match self.order.judge(seen, alone) {
            LiveVerdict::Duplicate => return self.notes.push(Note::LiveDuplicate),
            LiveVerdict::ClockWentBack => {
                self.joining = false;
                self.insistence.add(message.sequence);
                self.reset();
            }
            LiveVerdict::NewLife => {
                self.joining = false;
                drop(self.held.take());
            }
            LiveVerdict::Pass => {
                let first = std::mem::take(&mut self.joining);
                entry.unverified = first && message.sequence > 0;
            }
        }
        let limit = self.held_limit();
        if matches!(self.phase, Phase::Live) {
            self.ready.push_back(Step::Entry(entry));
        } else if !self.held.push(entry, limit, room) {
            self.notes.push(Note::HeldDropped);
        }
    }

    /// What cannot be fetched again is dropped only when memory runs out.
    fn held_limit(&self) -> usize {
        if self.rules.replayable {
            self.rules.held_messages
        } else {
            usize::MAX
        }
    }

    /// The next command to append, of at most so many messages and bytes (but
    /// always at least one message); `None` while one is under way.
    pub(crate) fn take(&mut self, messages: usize, bytes: usize) -> Option<Work> {
        if self.busy {
            return None;
        }
        let work = self.next_work(messages, bytes)?;
        self.busy = true;
        Some(work)
    }

    fn next_work(&mut self, messages: usize, bytes: usize) -> Option<Work> {
        match self.ready.front() {
            Some(Step::Entry(_)) => Some(Work::Events(self.ready.take_entries(messages, bytes))),
            Some(Step::Gap { next }) => {
                let work = Work::Gap {
                    incarnation: self.known().map(|c| c.incarnation),
                    next: *next,
                };
                self.ready.pop_front();
                Some(work)
            }
            Some(Step::Reset) => {
                let Some(cursor) = self.cursor else {
                    return Some(Work::Ask);
                };
                self.ready.pop_front();
                let Some(cursor) = cursor else {
                    self.after_reset();
                    return self.next_work(messages, bytes);
                };
                Some(Work::Reset {
                    incarnation: cursor.incarnation,
                })
            }
            Some(Step::Doubt) => {
                let Some(cursor) = self.cursor else {
                    return Some(Work::Ask);
                };
                self.ready.pop_front();
                let Some(cursor) = cursor else {
                    return self.next_work(messages, bytes);
                };
                Some(Work::Gap {
                    incarnation: Some(cursor.incarnation),
                    next: cursor.next,
                })
            }
            None => matches!(self.phase, Phase::Asking).then_some(Work::Ask),
        }
    }

    /// The command was not appended: it is next again.
    pub(crate) fn put_back(&mut self, work: Work) {
        self.busy = false;
        match work {
            Work::Events(entries) => self.put_entries_back(entries),
            Work::Gap { next, .. } => self.ready.push_front(Step::Gap { next }),
            Work::Reset { .. } => self.ready.push_front(Step::Reset),
            Work::Ask => {}
        }
    }

    /// These entries did not fit into the command after all; the command with
    /// those before them stays under way.
    pub(crate) fn put_entries_back(&mut self, entries: Vec<Entry>) {
        for entry in entries.into_iter().rev() {
            self.ready.push_front(Step::Entry(entry));
        }
    }

    /// The command was appended, with this outcome.
    pub(crate) fn done(&mut self, work: Work, outcome: &Outcome) {
        self.busy = false;
        if outcome.restarted && matches!(work, Work::Events(_)) {
            self.notes.push(Note::Restarted);
        }
        let before = self.known();
        self.learn(outcome.cursor);
        if outcome.refused.is_some() {
            self.notes.push(Note::Refused);
            return self.give_up_entries();
        }
        match work {
            Work::Ask => {
                if matches!(self.phase, Phase::Asking) && self.ready.is_empty() {
                    self.start_replay(self.expected());
                }
            }
            Work::Gap { next, .. } => {
                // A doubt names what a replay may still have to bring.
                self.tried.take_if(|(expected, _)| *expected < next);
            }
            Work::Reset { .. } => self.after_reset(),
            Work::Events(entries) => self.events_done(entries, outcome, before),
        }
    }

    /// Another incarnation makes what was tried before void.
    fn learn(&mut self, cursor: Option<Cursor>) {
        if let (Some(old), Some(new)) = (self.known(), cursor)
            && old.incarnation != new.incarnation
        {
            self.tried = None;
        }
        self.cursor = Some(cursor);
    }

    /// A refused publisher's messages have nowhere to go.
    fn give_up_entries(&mut self) {
        self.ready.take();
        self.held.take();
        self.phase = Phase::Live;
        self.replay = None;
    }

    fn known(&self) -> Option<Cursor> {
        self.cursor.flatten()
    }

    fn expected(&self) -> u64 {
        self.known().map_or(0, |cursor| cursor.next)
    }

    /// A replay that should be started now, once.
    pub(crate) fn take_replay(&mut self) -> Option<ReplayOrder> {
        self.replay.take()
    }

    /// What happened since this was last asked.
    pub(crate) fn take_notes(&mut self) -> Vec<Note> {
        std::mem::take(&mut self.notes)
    }

    /// Where the state last said it stands.
    pub(crate) fn cursor(&self) -> Option<Cursor> {
        self.known()
    }

    /// Whether there is work that [`Self::take`] would give.
    pub(crate) fn has_work(&self) -> bool {
        !self.busy && (!self.ready.is_empty() || matches!(self.phase, Phase::Asking))
    }

    /// Whether nothing waits, is under way or is held back.
    pub(crate) fn idle(&self) -> bool {
        !self.busy && self.ready.is_empty() && matches!(self.phase, Phase::Live)
    }

    /// Whether a replay is wanted or runs.
    pub(crate) fn recovering(&self) -> bool {
        !matches!(self.phase, Phase::Live)
    }

    /// Estimated bytes that are held back.
    pub(crate) fn held_bytes(&self) -> usize {
        self.held.bytes()
    }

    /// Estimated bytes that wait to be appended.
    pub(crate) fn ready_bytes(&self) -> usize {
        self.ready.bytes()
    }
}
