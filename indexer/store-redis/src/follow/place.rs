//! Where the follower stands, and what an entry does to it.

use indexer_state::State;
use indexer_store::{AppendError, History, HistoryOptions};
use proto_model::{Batch, Revision};

use super::entries::{Entry, What};

/// A position in the history, with the state there.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) revision: Revision,
    /// Bytes of all batches up to here.
    pub(super) total: u64,
    /// The epoch that the revision belongs to, once it is known.
    pub(super) epoch: Option<String>,
    holding: Holding,
}

#[derive(Debug)]
enum Holding {
    /// A state that is not shown yet: it is older than `until`.
    Loading { state: Box<State>, until: Revision },
    /// The state that watches are served from.
    Shown(History),
}

/// What an entry was.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The next one.
    Taken,
    /// Not the next one: something between is not there any more, or never was.
    Hole,
}

impl Place {
    /// A state that was loaded and must come to `until` before it is shown.
    pub(super) fn loaded(state: State, revision: Revision, total: u64, until: Revision) -> Self {
        Self {
            revision,
            total,
            epoch: None,
            holding: Holding::Loading {
                state: Box::new(state),
                until,
            },
        }
    }

    /// The history, if it is shown.
    pub(super) fn shown(&self) -> Option<&History> {
        match &self.holding {
            Holding::Shown(history) => Some(history),
            Holding::Loading { .. } => None,
        }
    }

    /// Redis now stands at `revision`: a state that is not shown must come there.
    pub(super) fn must_reach(&mut self, revision: Revision) {
        if let Holding::Loading { until, .. } = &mut self.holding {
            *until = (*until).max(revision);
        }
    }

    /// Takes the entry if it is the next one.
    pub(super) fn take(&mut self, entry: &Entry) -> Result<Step, AppendError> {
        match &entry.what {
            What::Batch {
                batch,
                total,
                bytes,
            } if self.is_next(entry.revision, *total, *bytes) => {
                self.apply(batch)?;
                self.total = *total;
            }
            What::Epoch { after } if *after == self.revision => {
                self.epoch = Some(entry.revision.0.to_string());
                if let Holding::Shown(history) = &self.holding {
                    // The same state, under the number that all will see it by.
                    let (_, state) = history.state();
                    history.replace(state, entry.revision);
                }
            }
            What::Batch { .. } | What::Epoch { .. } => return Ok(Step::Hole),
        }
        self.revision = entry.revision;
        Ok(Step::Taken)
    }

    /// Whether a batch follows what was taken. The sum of bytes tells a stream
    /// that was put back in time and went on with other batches, on the same
    /// server and so in the same epoch.
    fn is_next(&self, revision: Revision, total: u64, bytes: usize) -> bool {
        revision.0 == self.revision.0 + 1 && total == self.total + bytes as u64
    }

    /// Shows the state if it has come far enough: in `history`, if there is one
    /// that watches know, or a new one.
    pub(super) fn show(
        &mut self,
        history: Option<History>,
        epoch: &str,
        options: &HistoryOptions,
    ) -> Option<History> {
        let Holding::Loading { state, until } = &mut self.holding else {
            return None;
        };
        if self.revision < *until {
            return None;
        }
        let empty = State::new(options.limits.clone());
        let state = std::mem::replace(&mut **state, empty);
        let history = match history {
            Some(history) => {
                history.replace(state, self.revision);
                history
            }
            None => History::new(state, self.revision, options.clone()),
        };
        self.epoch = Some(epoch.to_owned());
        self.holding = Holding::Shown(history.clone());
        Some(history)
    }

    fn apply(&mut self, batch: &Batch) -> Result<(), AppendError> {
        match &mut self.holding {
            Holding::Loading { state, .. } => {
                for command in &batch.commands {
                    state.apply(command, &mut Vec::new());
                }
                Ok(())
            }
            Holding::Shown(history) => history.apply(batch).map(drop),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(revision: u64) -> Entry {
        Entry {
            revision: Revision(revision),
            what: What::Batch {
                batch: Batch::default(),
                total: revision * 10,
                bytes: 10,
            },
        }
    }

    fn epoch(revision: u64, after: u64) -> Entry {
        Entry {
            revision: Revision(revision),
            what: What::Epoch {
                after: Revision(after),
            },
        }
    }

    fn place(revision: u64, until: u64) -> Place {
        let options = HistoryOptions::default();
        let state = State::new(options.limits);
        Place::loaded(state, Revision(revision), revision * 10, Revision(until))
    }

    #[test]
    fn a_state_is_shown_only_once_it_has_come_far_enough() {
        let options = HistoryOptions::default();
        let mut place = place(10, 12);
        assert!(place.show(None, "e", &options).is_none());
        assert_eq!(place.take(&batch(11)).expect("open"), Step::Taken);
        assert!(place.show(None, "e", &options).is_none());
        assert_eq!(place.take(&batch(12)).expect("open"), Step::Taken);
        let history = place.show(None, "e", &options).expect("is shown");
        assert_eq!((history.revision(), place.total), (Revision(12), 120));
    }

    #[test]
    fn an_epoch_goes_on_only_from_where_the_one_before_ended() {
        let options = HistoryOptions::default();
        let mut place = place(10, 10);
        let history = place.show(None, "e", &options).expect("is shown");
        assert_eq!(place.take(&epoch(99, 9)).expect("open"), Step::Hole);
        assert_eq!(place.take(&epoch(99, 10)).expect("open"), Step::Taken);
        assert_eq!(history.revision(), Revision(99));
        assert_eq!(place.epoch.as_deref(), Some("99"));
        assert_eq!(place.take(&batch(101)).expect("open"), Step::Hole);
        let mut next = batch(100);
        assert_eq!(place.take(&next).expect("open"), Step::Hole, "another sum");
        if let What::Batch { total, .. } = &mut next.what {
            *total = 110;
        }
        assert_eq!(place.take(&next).expect("open"), Step::Taken);
    }

    #[test]
    fn a_stream_that_was_put_back_and_went_on_otherwise_is_no_continuation() {
        let options = HistoryOptions::default();
        let mut place = place(10, 11);
        assert_eq!(place.take(&batch(11)).expect("open"), Step::Taken);
        place.show(None, "e", &options).expect("is shown");
        // Here 11 had ten bytes; where it had twelve, 12 says so.
        let mut other = batch(12);
        if let What::Batch { total, .. } = &mut other.what {
            *total += 2;
        }
        assert_eq!(place.take(&other).expect("open"), Step::Hole);
        assert_eq!(place.revision, Revision(11));
        assert_eq!(place.take(&batch(12)).expect("open"), Step::Taken);
    }
}
