//! I8: once a scorer has shown a lifetime of an engine, nothing of an earlier one
//! is ever scored again.
//!
//! A prompt that only one lifetime runs says which lifetime an answer is from. Two
//! rules follow: of one scorer process, later answers show no earlier life; and no
//! scorer that stands beyond a revision shows an earlier life than another one
//! did before that revision.

use std::sync::{Arc, Mutex, PoisonError};

/// What all scorers have shown of all engines. Clones are the same knowledge.
#[derive(Clone)]
pub(crate) struct Lives {
    /// Per engine.
    shown: Arc<Mutex<Vec<Shown>>>,
}

/// At this revision a scorer had shown this life, rising.
type Shown = Vec<(u64, u32)>;

/// What one scorer process has shown.
pub(crate) struct ProcessLives {
    all: Lives,
    /// Per engine: the newest life, and the revision of that answer.
    newest: Vec<(u32, u64)>,
}

impl Lives {
    pub(crate) fn new(engines: usize) -> Self {
        Self {
            shown: Arc::new(Mutex::new(vec![Vec::new(); engines])),
        }
    }

    /// A scorer process that has said nothing yet.
    pub(crate) fn process(&self) -> ProcessLives {
        let engines = self
            .shown
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .len();
        ProcessLives {
            all: self.clone(),
            newest: vec![(0, 0); engines],
        }
    }
}

impl ProcessLives {
    /// An answer at `revision` that scored a block of this life of the engine.
    /// What is wrong with it, if anything.
    pub(crate) fn scored(&mut self, engine: usize, life: u32, revision: u64) -> Option<String> {
        let (newest, _) = self.newest[engine];
        if life < newest {
            return Some(format!(
                "a block of life {life} of engine {engine} is scored, \
                 after the same process had shown life {newest}"
            ));
        }
        if life > newest {
            self.newest[engine] = (life, revision);
        }
        let shown = self.all.shown.lock();
        let shown = shown.unwrap_or_else(PoisonError::into_inner);
        let later = shown[engine]
            .iter()
            .rev()
            .find(|(at, other)| *at <= revision && *other > life);
        later.map(|(at, other)| {
            format!(
                "a block of life {life} of engine {engine} is scored at revision {revision}, \
                 after life {other} had been shown before revision {at}"
            )
        })
    }

    /// The process stands at `revision` now: an answer may hold a little more than
    /// the revision that it reports, but not more than the next one reported.
    pub(crate) fn stands_at(&mut self, revision: u64) {
        let mut shown = None;
        for (engine, (life, seen)) in self.newest.iter().enumerate() {
            if *life == 0 || *seen >= revision {
                continue;
            }
            let shown = shown.get_or_insert_with(|| {
                self.all
                    .shown
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
            });
            let known = &mut shown[engine];
            if known.iter().all(|(_, other)| other < life) {
                known.push((revision, *life));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_never_goes_back_to_an_earlier_life() {
        let mut process = Lives::new(1).process();
        assert_eq!(process.scored(0, 1, 10), None);
        assert_eq!(process.scored(0, 2, 10), None);
        assert!(process.scored(0, 1, 10).is_some());
        assert_eq!(process.scored(0, 2, 11), None);
    }

    #[test]
    fn scorers_are_compared_by_revision() {
        let lives = Lives::new(1);
        let (mut ahead, mut behind) = (lives.process(), lives.process());
        assert_eq!(ahead.scored(0, 2, 10), None);
        ahead.stands_at(10);
        assert_eq!(behind.scored(0, 1, 10), None);
        ahead.stands_at(12);
        assert_eq!(behind.scored(0, 1, 11), None);
        assert!(behind.scored(0, 1, 12).is_some());
    }
}
