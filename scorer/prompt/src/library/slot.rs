//! One model's place: empty, loaded, or failed for a while.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::LibraryError;
use crate::model::Model;

#[derive(Debug, Default)]
pub(super) struct Slot {
    /// Held while loading: whoever else wants the model waits for it here.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Empty,
    Loaded(Arc<Model>),
    Failed {
        error: LibraryError,
        until: Instant,
    },
}

impl Slot {
    pub(super) fn get_or_load(
        &self,
        failure_ttl: Duration,
        now: fn() -> Instant,
        load: impl FnOnce() -> Result<Model, LibraryError>,
    ) -> Result<Arc<Model>, LibraryError> {
        let mut state = self.state.lock();
        match &*state {
            State::Loaded(model) => return Ok(Arc::clone(model)),
            State::Failed { error, until } if now() < *until => return Err(error.clone()),
            State::Failed { .. } | State::Empty => {}
        }
        match load() {
            Ok(model) => {
                let model = Arc::new(model);
                *state = State::Loaded(Arc::clone(&model));
                Ok(model)
            }
            Err(error) => {
                *state = State::Failed {
                    error: error.clone(),
                    until: now() + failure_ttl,
                };
                Err(error)
            }
        }
    }

    pub(super) fn loaded(&self) -> Option<Arc<Model>> {
        match &*self.state.try_lock()? {
            State::Loaded(model) => Some(Arc::clone(model)),
            State::Empty | State::Failed { .. } => None,
        }
    }

    pub(super) fn is_loading(&self) -> bool {
        self.state.try_lock().is_none()
    }
}
