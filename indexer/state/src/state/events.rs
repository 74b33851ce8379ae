//! Events: which messages are applied, and where a command stops.

use proto_model::{Change, Delta, EventsCommand, Outcome, Refusal, SequenceGap};

use super::State;
use crate::changes::Changes;
use crate::entry::Entry;
use crate::limits::StateLimits;
use crate::order::{Position, Verdict};

impl State {
    pub(super) fn apply_events(
        &mut self,
        command: &EventsCommand,
        deltas: &mut Vec<Delta>,
    ) -> Outcome {
        let entry = self.publishers.get(&command.publisher);
        if !spaces_fit(command, entry.map(AsRef::as_ref), &self.limits) {
            let cursor = entry.map(|entry| entry.cursor());
            return Outcome {
                refused: Some(Refusal::BadSpace),
                cursor,
                ..Outcome::default()
            };
        }
        if entry.is_none() {
            if let Some(outcome) = outcome_if_unknown(command) {
                return outcome;
            }
            if !self.add_publisher(&command.publisher, deltas) {
                let refused = Some(Refusal::TooManyPublishers);
                return Outcome {
                    refused,
                    ..Outcome::default()
                };
            }
        }
        self.with_entry(&command.publisher, deltas, |entry, emit, shared| {
            let mut changes =
                Changes::new(entry, &command.publisher, &command.spaces, emit, shared);
            let outcome = apply_messages(&mut changes, command);
            if outcome.applied > 0 && entry.model != command.model {
                entry.model.clone_from(&command.model);
            }
            outcome
        })
    }
}

/// What becomes of a command for a publisher that the state does not know, if
/// none of its messages can be applied: then the publisher stays unknown.
fn outcome_if_unknown(command: &EventsCommand) -> Option<Outcome> {
    let mut outcome = Outcome::default();
    for message in &command.messages {
        match Position::default().judge(message) {
            Verdict::Apply => return None,
            Verdict::Gap | Verdict::Restart => {
                outcome.gap = Some(SequenceGap {
                    expected: 0,
                    found: message.sequence,
                });
                break;
            }
            Verdict::Duplicate => outcome.duplicates += 1,
            Verdict::Stale => outcome.stale += 1,
        }
    }
    Some(outcome)
}

fn apply_messages(changes: &mut Changes<'_, '_, '_>, command: &EventsCommand) -> Outcome {
    let mut outcome = Outcome::default();
    for message in &command.messages {
        let mut verdict = changes.entry.position.judge(message);
        if verdict == Verdict::Restart {
            changes.restart(message);
            outcome.restarted = true;
            // A new incarnation begins with sequence 0, whatever came before.
            verdict = if message.sequence == 0 {
                Verdict::Apply
            } else {
                Verdict::Gap
            };
        }
        match verdict {
            Verdict::Apply => {
                changes.message(message);
                outcome.applied += 1;
            }
            Verdict::Duplicate => outcome.duplicates += 1,
            Verdict::Stale => outcome.stale += 1,
            Verdict::Gap | Verdict::Restart => {
                let expected = changes.entry.position.next;
                outcome.gap = Some(SequenceGap {
                    expected,
                    found: message.sequence,
                });
                break;
            }
        }
    }
    outcome
}

/// Whether every index names a space, and the publisher may have all of them.
fn spaces_fit(command: &EventsCommand, entry: Option<&Entry>, limits: &StateLimits) -> bool {
    let named = command.spaces.len();
    let inside = |change: &Change| match change {
        Change::Stored { space, .. } | Change::StoredByHash { space, .. } => {
            usize::from(*space) < named
        }
        _ => true,
    };
    let known = entry.map_or(0, |entry| entry.spaces.len());
    let fits = known + named <= limits.spaces() || {
        let is_new = |space: &&_| entry.is_none_or(|entry| entry.space_index(space).is_none());
        let mut new: Vec<_> = command.spaces.iter().filter(is_new).collect();
        new.sort_unstable();
        new.dedup();
        known + new.len() <= limits.spaces()
    };
    fits && command
        .messages
        .iter()
        .flat_map(|message| &message.changes)
        .all(inside)
}
