//! Replays, gaps that cannot be filled, and lives that only the ingestor sees end.

use proto_model::{Cursor, Message, SequenceGap, Timestamp};

use super::ready::Step;
use super::{Note, Phase, ReplayEnd, ReplayOrder, Sequencer};
use crate::entry::Entry;

/// The time of a payload that could not be read even so far.
const UNKNOWN: Timestamp = Timestamp(0);

/// A replay under way.
#[derive(Debug)]
pub(super) struct Run {
    number: u64,
    /// What the state needed when the replay began.
    expected: u64,
    /// What was asked for first.
    from: u64,
    failures: u32,
    /// The newest message when the last try began.
    before: Option<u64>,
    /// The newest message that came, if any.
    last: Option<(u64, Timestamp)>,
}

impl Sequencer {
    /// Asks for everything from one before `expected`: the overlap shows by its
    /// timestamp if the engine restarted behind the gap.
    pub(super) fn start_replay(&mut self, expected: u64) {
        let from = expected.saturating_sub(1);
        self.runs += 1;
        let number = self.runs;
        let failures = self.insistence.repeated();
        self.phase = Phase::Replaying(Run {
            number,
            expected,
            from,
            failures: 0,
            before: None,
            last: None,
        });
        self.replay = Some(ReplayOrder {
            run: number,
            from,
            failures,
        });
    }

    /// The state left out `entries` (from the one it names on), because
    /// messages before them are missing.
    pub(super) fn fill_gap(&mut self, mut entries: Vec<Entry>, gap: SequenceGap) {
        let first = entries
            .iter()
            .position(|entry| entry.message.sequence == gap.found);
        let left_out = entries.split_off(first.unwrap_or(0));
        let (hopeless, in_replay) = match &self.phase {
            // These messages are of the life that is being ended.
            Phase::Resetting => return,
            // These are of before the newest connection: the replay that is
            // about to be asked for brings them, if their life goes on.
            Phase::Asking => {
                self.ready.take();
                return;
            }
            Phase::Replaying(run) => (run.from <= gap.expected, true),
            Phase::Live => (self.was_tried(&gap), false),
        };
        self.put_entries_back(left_out);
        let missing = gap.found.saturating_sub(gap.expected);
        if hopeless || !self.rules.replayable {
            self.notes.push(Note::GapGivenUp(missing));
            return self.ready.push_front(Step::Gap { next: gap.found });
        }
        self.notes.push(Note::GapFound(missing));
        if in_replay {
            // What the abandoned replay brought comes again with the next one.
            self.ready.take();
        } else {
            self.hold_ready();
        }
        self.start_replay(gap.expected);
    }

    /// Whether a replay that ended after the message beyond the gap came has
    /// not brought what is missing.
    fn was_tried(&self, gap: &SequenceGap) -> bool {
        let same = |(expected, newest)| expected == gap.expected && gap.found <= newest;
        self.tried.is_some_and(same)
    }

    /// Live messages that were about to be appended wait for the replay.
    fn hold_ready(&mut self) {
        let limit = self.rules.held_messages;
        let later = self.held.take();
        let ready = self.ready.take().into_iter().filter_map(|step| match step {
            Step::Entry(entry) => Some(entry),
            Step::Gap { .. } | Step::Reset | Step::Doubt => None,
        });
        for entry in ready.chain(later) {
            if !self.held.push(entry, limit, true) {
                self.notes.push(Note::HeldDropped);
            }
        }
    }

    /// Ends the incarnation that the state knows; messages wait until it has.
    pub(super) fn reset(&mut self) {
        // What waits is of a life that is over: the reset makes it void.
        self.held.take();
        if matches!(self.phase, Phase::Resetting) {
            return;
        }
        self.notes.push(Note::ResetNeeded);
        self.ready.take();
        self.ready.push_back(Step::Reset);
        self.replay = None;
        self.phase = Phase::Resetting;
    }

    /// The old life is over: the new one is fetched from its beginning.
    pub(super) fn after_reset(&mut self) {
        self.tried = None;
        if self.rules.replayable {
            self.start_replay(0);
        } else {
            self.release_held(None);
        }
    }

    /// A message of replay `run` came.
    pub(crate) fn replayed(&mut self, run: u64, mut entry: Entry) {
        let known = self.known();
        let Phase::Replaying(current) = &mut self.phase else {
            return;
        };
        if current.number != run {
            return;
        }
        let message = &entry.message;
        let first = current.last.is_none();
        let sequence = message.sequence;
        if first && known.is_some_and(|cursor| of_another_life(message, &cursor)) {
            self.insistence.add(sequence);
            return self.reset();
        }
        current.last = Some((sequence, message.timestamp));
        entry.replayed = true;
        self.ready.push_back(Step::Entry(entry));
    }

    /// Replay `run` is over.
    pub(crate) fn replay_ended(&mut self, run: u64, end: ReplayEnd) {
        let known = self.known();
        let Phase::Replaying(current) = &mut self.phase else {
            return;
        };
        if current.number != run {
            return;
        }
        if end == ReplayEnd::Failed {
            let reached = current.last.map(|(sequence, _)| sequence);
            // A try that brought something does not count against the next.
            let progress = reached > current.before;
            current.before = reached;
            current.failures = if progress { 1 } else { current.failures + 1 };
            if progress || current.failures < self.rules.attempts {
                let from = current.last.map_or(current.from, |(sequence, _)| sequence);
                let failures = current.failures.max(self.insistence.repeated());
                self.replay = Some(ReplayOrder {
                    run,
                    from,
                    failures,
                });
                return;
            }
            self.notes.push(Note::ReplayGivenUp);
        }
        let (last, expected, from) = (current.last, current.expected, current.from);
        let nothing = end == ReplayEnd::Complete && last.is_none() && !self.held.reaches(from);
        if nothing && known.is_some_and(|cursor| cursor.next > 0) {
            // The engine has not yet come to a number that the state has seen:
            // it is a new life.
            self.insistence.add(0);
            return self.reset();
        }
        self.tried = self.held.newest().map(|newest| (expected, newest));
        self.release_held(last);
    }

    /// Live messages go on. Those not newer than what the replay brought are
    /// dropped: the replay brought them too, or they are of a life before it.
    fn release_held(&mut self, last: Option<(u64, Timestamp)>) {
        self.phase = Phase::Live;
        let seen = |entry: &Entry| {
            let Message {
                sequence,
                timestamp,
                ..
            } = entry.message;
            last.is_some_and(|(newest, time)| {
                if UNKNOWN == timestamp || UNKNOWN == time {
                    sequence <= newest
                } else {
                    timestamp <= time
                }
            })
        };
        let held = self.held.take();
        for entry in held.into_iter().filter(|entry| !seen(entry)) {
            self.ready.push_back(Step::Entry(entry));
        }
    }
}

/// Whether the first message of a replay, which was asked for from one before
/// the state's position on, shows a life that the state does not know.
fn of_another_life(message: &Message, cursor: &Cursor) -> bool {
    // What the state has under this number, or before it, was made later: the
    // engine restarted and its clock went back. (If this is newer, the state
    // sees the restart itself.)
    let older = message.timestamp < cursor.timestamp && message.timestamp != UNKNOWN;
    if message.sequence.saturating_add(1) >= cursor.next && older {
        return true;
    }
    // The overlap is gone from the engine's buffer: nothing shows that this
    // message follows on what the state has.
    message.sequence == cursor.next && cursor.next > 0
}
