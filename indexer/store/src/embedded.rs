//! The store that lives in this process.
//!
//! ```text
//!  append ──▶ [journal thread: write, fsync] ──▶ history ──▶ watchers
//!                (only if on a disk)
//! ```

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use proto_model::{Batch, Cursor, Publisher, Revision};

use crate::disk::{Journaled, OpenError};
use crate::history::{Core, History, Shared};
use crate::options::{DiskOptions, EmbeddedOptions};
use crate::seam::{AppendError, Appended, IndexWatch, IndexWriter, WatchStream};
use crate::stamp::{clock, stamped};
use crate::stats::HistoryStats;
use crate::weight::batch_weight;

/// An index store in this process, in memory or on a disk.
///
/// In memory it forgets everything when it is dropped; on a disk an acknowledged
/// batch survives a crash of the process and of the machine.
#[derive(Debug)]
pub struct EmbeddedStore {
    history: History,
    batch_bytes_max: usize,
    /// Set if batches go through a journal.
    journaled: Option<Journaled>,
}

impl EmbeddedStore {
    /// A store that keeps nothing beyond its own life.
    ///
    /// Its revisions start at a number taken from the clock, so that a watcher
    /// that comes from an earlier store cannot take this history for that one's.
    #[must_use]
    pub fn in_memory(options: EmbeddedOptions) -> Self {
        let core = Core::fresh(&options.history);
        let shared = Arc::new(Shared::new(core, options.history));
        Self {
            history: History { shared },
            batch_bytes_max: options.batch_bytes_max,
            journaled: None,
        }
    }

    /// Opens the store in `directory`, which is made if it is missing. Reads all
    /// of it before it returns, so call it off the async threads.
    ///
    /// # Errors
    /// If another process has it open, or the files are unreadable or damaged.
    pub fn open(
        directory: &Path,
        options: EmbeddedOptions,
        disk: DiskOptions,
    ) -> Result<Self, OpenError> {
        let batch_bytes_max = options.batch_bytes_max;
        let (shared, journaled) = Journaled::open(directory, options, disk)?;
        Ok(Self {
            history: History { shared },
            batch_bytes_max,
            journaled: Some(journaled),
        })
    }

    /// Where a publisher stands; `None` if it is not known.
    #[must_use]
    pub fn cursor(&self, publisher: &Publisher) -> Option<Cursor> {
        self.history.cursor(publisher)
    }

    /// The position of the last batch applied.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.history.revision()
    }

    /// The store, counted.
    #[must_use]
    pub fn stats(&self) -> HistoryStats {
        self.history.stats()
    }

    /// Takes no more batches, ends all watches, and waits until everything is on
    /// the disk and the directory is free again.
    pub async fn close(&self) {
        if let Some(journaled) = &self.journaled {
            journaled.close().await;
        }
        self.history.close("the store was shut down");
    }
}

#[async_trait]
impl IndexWriter for EmbeddedStore {
    async fn append(&self, batch: &Batch) -> Result<Appended, AppendError> {
        let (bytes, limit) = (batch_weight(batch), self.batch_bytes_max);
        if bytes > limit {
            return Err(AppendError::TooLarge { bytes, limit });
        }
        let batch = stamped(batch, clock);
        match &self.journaled {
            Some(journaled) => journaled.append(&batch).await,
            None => self.history.apply(&batch),
        }
    }
}

impl IndexWatch for EmbeddedStore {
    fn watch(&self, after: Option<Revision>) -> WatchStream {
        self.history.watch(after)
    }
}
