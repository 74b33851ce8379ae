//! The embedded store's directory: snapshots, journals, and who may use them.
//!
//! ```text
//!  LOCK                        held while the store is open
//!  snapshot-<revision>.kva     the whole state at that revision
//!  journal-<revision>.kva      the batches after that revision
//! ```
//!
//! What is in force is the newest snapshot and every journal from its revision
//! on. The formats are described in `docs/state.md`.

mod compact;
mod files;
mod frame;
mod journal;
mod load;
mod snapshot;
mod thread;

use std::io;
use std::path::PathBuf;

pub(crate) use thread::Journaled;

/// Why a store's directory could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process, or another store in this one, has it open.
    #[error(
        "{path} is locked: another process has this store open; stop it or use another directory"
    )]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// The operating system refused an operation.
    #[error("cannot {action} {path}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file does not hold what was written to it. Nothing is changed; restore
    /// the directory from a copy, or remove it and let the engines fill it anew.
    #[error("{path} is damaged at byte {offset}: {what}; it was left as it is")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where in it.
        offset: u64,
        /// What was seen.
        what: String,
    },
    /// The file was written by a version that this one cannot read.
    #[error("{path} has format {seen}; this version reads format {known}")]
    Format {
        /// The file.
        path: PathBuf,
        /// Its format.
        seen: u32,
        /// The format known here.
        known: u32,
    },
    /// There are journals, but not the snapshot that they go on from.
    #[error(
        "{path} has journals but no snapshot; restore the snapshot, or empty the directory and let the engines fill it anew"
    )]
    NoSnapshot {
        /// The directory.
        path: PathBuf,
    },
    /// The journals do not follow one another.
    #[error(
        "{path} begins after revision {found}, but revision {expected} was the last one read; a journal is missing"
    )]
    Hole {
        /// The journal.
        path: PathBuf,
        /// The last revision read before it.
        expected: u64,
        /// The revision that it begins after.
        found: u64,
    },
}

/// Gives an I/O error its file and action.
fn io_error(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> OpenError {
    let path = path.into();
    move |source| OpenError::Io {
        action,
        path,
        source,
    }
}
