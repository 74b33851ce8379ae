//! Outcomes that contradict what the engine has just said.

use proto_model::{Cursor, Outcome};

use super::ready::Step;
use super::{Note, Phase, Sequencer};
use crate::entry::Entry;

/// Resets of one publisher that have not brought it further yet.
#[derive(Debug, Default)]
pub(super) struct Insistence {
    /// The highest sequence for whose sake the incarnation was ended.
    point: Option<u64>,
    resets: u32,
}

impl Insistence {
    /// The incarnation is ended because of this message.
    pub(super) fn add(&mut self, sequence: u64) {
        self.point = self.point.max(Some(sequence));
        self.resets = self.resets.saturating_add(1);
    }

    /// Resets beyond the first: so often does the next replay wait.
    pub(super) fn repeated(&self) -> u32 {
        self.resets.saturating_sub(1)
    }

    /// The state expects `next`.
    pub(super) fn reached(&mut self, next: u64) {
        if self.point.is_some_and(|point| next > point) {
            *self = Self::default();
        }
    }
}

impl Sequencer {
    pub(super) fn events_done(
        &mut self,
        mut entries: Vec<Entry>,
        outcome: &Outcome,
        before: Option<Cursor>,
    ) {
        let joined_at = entries.iter().rposition(|entry| entry.unverified);
        let doubtful =
            joined_at.is_some_and(|place| joins_by_number_alone(place, outcome, &entries));
        if outcome.stale > 0 && self.stale_is_news(&entries, before) {
            if self.insists(&entries) {
                // What came before the newest connection is of a life that is over.
                return self.overrule(entries.split_off(joined_at.unwrap_or(0)));
            }
            self.notes.push(Note::ClockWentBack);
            self.finish_events(entries, outcome);
            return self.doubt();
        }
        self.finish_events(entries, outcome);
        if doubtful {
            self.doubt();
        }
    }

    fn finish_events(&mut self, entries: Vec<Entry>, outcome: &Outcome) {
        if outcome.applied > 0 {
            self.insistence.reached(self.expected());
            if entries.iter().any(|entry| !entry.replayed) {
                self.following = self.known().map(|cursor| cursor.incarnation);
            }
        }
        if let Some(gap) = outcome.gap {
            self.fill_gap(entries, gap);
        }
    }

    /// Whether the state should not have called these stale. The tail of a life
    /// that it has seen end is rightly stale: such a tail comes by the connection
    /// whose messages were applied to that life.
    fn stale_is_news(&self, entries: &[Entry], before: Option<Cursor>) -> bool {
        let current = matches!(self.phase, Phase::Replaying(_) | Phase::Live);
        if entries.iter().any(|entry| entry.replayed) {
            return current;
        }
        let follows = |now: Cursor| match (self.following, before) {
            (Some(followed), _) => followed == now.incarnation,
            (None, Some(before)) => before.incarnation == now.incarnation,
            (None, None) => true,
        };
        matches!(self.phase, Phase::Live) && self.known().is_some_and(follows)
    }

    /// Whether to end the incarnation for these messages: not if that was done
    /// for them before, and not if they may be an old connection's.
    fn insists(&self, entries: &[Entry]) -> bool {
        let replayed = entries.iter().any(|entry| entry.replayed);
        self.insistence.point.is_none() && (replayed || self.alone)
    }

    /// The engine has just said these; the state takes them for a dead life's,
    /// because the engine's clock went back. What is live comes again after the
    /// reset; what is replayed is replayed again.
    fn overrule(&mut self, entries: Vec<Entry>) {
        let newest = entries.iter().map(|entry| entry.message.sequence).max();
        self.insistence.add(newest.unwrap_or(0));
        self.notes.push(Note::ClockWentBack);
        let waiting = self.ready.take().into_iter().filter_map(|step| match step {
            Step::Entry(entry) => Some(entry),
            Step::Gap { .. } | Step::Reset | Step::Doubt => None,
        });
        let all = entries.into_iter().chain(waiting).chain(self.held.take());
        let live: Vec<Entry> = all.filter(|entry| !entry.replayed).collect();
        self.reset();
        let limit = self.held_limit();
        for entry in live {
            if !self.held.push(entry, limit, true) {
                self.notes.push(Note::HeldDropped);
            }
        }
    }

    /// Has the state say that it cannot be believed.
    fn doubt(&mut self) {
        self.notes.push(Note::Doubted);
        self.ready.push_front(Step::Doubt);
    }
}

/// Whether the first message of a connection was applied only because its number
/// fits: a new life may have come to the same number unheard.
fn joins_by_number_alone(place: usize, outcome: &Outcome, entries: &[Entry]) -> bool {
    let first = entries.get(place).map(|entry| entry.message.sequence);
    let left_out = outcome.gap.is_some_and(|gap| Some(gap.found) <= first);
    let handled = (outcome.applied + outcome.duplicates + outcome.stale) as usize;
    // If it is not the first in the command, the counts may be about those before
    // it. (A restart that it shows itself is a gap too: it is not number 0.)
    let applied = place > 0 || (outcome.duplicates == 0 && outcome.stale == 0);
    applied && !left_out && handled > place
}
