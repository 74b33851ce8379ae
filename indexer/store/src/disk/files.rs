//! Names, the lock, and making changes to a directory durable.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use proto_model::Revision;

use super::{OpenError, io_error};

/// What a file in the directory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Snapshot,
    Journal,
}

impl Kind {
    fn prefix(self) -> &'static str {
        match self {
            Self::Snapshot => "snapshot-",
            Self::Journal => "journal-",
        }
    }
}

/// `snapshot-00000000000000000042.kva`: sorts as the revisions do.
pub(super) fn path(directory: &Path, kind: Kind, revision: Revision) -> PathBuf {
    directory.join(format!("{}{:020}.kva", kind.prefix(), revision.0))
}

/// The files of one kind, ascending by revision.
pub(super) fn list(directory: &Path, kind: Kind) -> Result<Vec<(Revision, PathBuf)>, OpenError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).map_err(io_error("list", directory))? {
        let path = entry.map_err(io_error("list", directory))?.path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        let number = name
            .strip_prefix(kind.prefix())
            .and_then(|rest| rest.strip_suffix(".kva"));
        if let Some(revision) = number.and_then(|digits| digits.parse().ok()) {
            found.push((Revision(revision), path));
        }
    }
    found.sort();
    Ok(found)
}

/// Holds a directory. The system lets go of it when the process dies.
#[derive(Debug)]
pub(super) struct DirectoryLock(File);

impl Drop for DirectoryLock {
    fn drop(&mut self) {
        // Closing is not enough: a child that is being started at this moment has
        // the file too, and the lock with it, until it executes its program.
        if let Err(error) = self.0.unlock() {
            tracing::warn!(%error, "the store's lock file could not be unlocked");
        }
    }
}

/// Makes the directory if it is missing, and locks it.
pub(super) fn lock(directory: &Path) -> Result<DirectoryLock, OpenError> {
    fs::create_dir_all(directory).map_err(io_error("create", directory))?;
    let path = directory.join("LOCK");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(io_error("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(DirectoryLock(file)),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked { path }),
        Err(TryLockError::Error(source)) => Err(OpenError::Io {
            action: "lock",
            path,
            source,
        }),
    }
}

/// Makes names that were created, renamed or removed durable.
pub(super) fn sync_directory(directory: &Path) -> std::io::Result<()> {
    File::open(directory)?.sync_all()
}

/// Removes what a newer snapshot has made superfluous: everything older.
pub(super) fn remove_before(directory: &Path, revision: Revision) -> Result<(), OpenError> {
    for kind in [Kind::Journal, Kind::Snapshot] {
        for (of, path) in list(directory, kind)? {
            if of < revision {
                fs::remove_file(&path).map_err(io_error("remove", &path))?;
            }
        }
    }
    Ok(())
}
