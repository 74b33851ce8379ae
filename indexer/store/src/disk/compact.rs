//! Replaces journals by a snapshot, beside the writers.

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use indexer_state::State;
use proto_model::Revision;

use super::{files, snapshot};
use crate::history::Shared;

/// The compaction that is going on, if any.
#[derive(Debug, Default)]
pub(super) struct Compactor {
    running: Option<JoinHandle<()>>,
}

impl Compactor {
    /// Whether another one may start.
    pub(super) fn is_idle(&self) -> bool {
        self.running.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Writes `state` as it was at `revision`, then removes everything older.
    ///
    /// A failure costs nothing but space: the old files are still in force.
    pub(super) fn start(
        &mut self,
        directory: &Path,
        shared: &Arc<Shared>,
        state: State,
        revision: Revision,
    ) {
        self.wait();
        let (directory, shared) = (directory.to_owned(), Arc::clone(shared));
        let work = move || match compact(&directory, &state, revision) {
            Ok(()) => shared.core.lock().compactions += 1,
            Err(reason) => {
                tracing::warn!(directory = %directory.display(), reason, "the store's snapshot failed");
            }
        };
        self.running = std::thread::Builder::new()
            .name("kva-compact".to_owned())
            .spawn(work)
            .ok();
    }

    /// Waits for the compaction that is going on.
    pub(super) fn wait(&mut self) {
        if let Some(running) = self.running.take()
            && running.join().is_err()
        {
            tracing::error!("the thread that writes the store's snapshot failed");
        }
    }
}

fn compact(directory: &Path, state: &State, revision: Revision) -> Result<(), String> {
    snapshot::write(directory, state, revision).map_err(|error| error.to_string())?;
    files::remove_before(directory, revision).map_err(|error| error.to_string())?;
    files::sync_directory(directory).map_err(|error| error.to_string())
}
