//! From a directory to the store that was acknowledged.

use std::path::Path;

use proto_model::Revision;

use super::files::{self, Kind};
use super::frame::FORMAT;
use super::journal::{self, Journal};
use super::{OpenError, io_error, snapshot};
use crate::history::Core;
use crate::options::HistoryOptions;

/// What was found in the directory.
pub(super) struct Loaded {
    pub(super) core: Core,
    pub(super) journal: Journal,
}

/// Reads the newest snapshot and the journals after it, and gets the last one
/// ready to go on.
pub(super) fn load(directory: &Path, options: &HistoryOptions) -> Result<Loaded, OpenError> {
    snapshot::remove_unfinished(directory)?;
    let newest = files::list(directory, Kind::Snapshot)?.pop();
    let mut journals = files::list(directory, Kind::Journal)?;
    let Some((revision, path)) = newest else {
        if !journals.is_empty() {
            return Err(OpenError::NoSnapshot {
                path: directory.to_owned(),
            });
        }
        return begin_first(directory, options);
    };
    let state = snapshot::read(&path, revision, options.limits.clone())?;
    journals.retain(|(base, _)| *base >= revision);
    let mut core = Core::at(state, revision, options);
    let mut last = None;
    let count = journals.len();
    for (index, (base, path)) in journals.into_iter().enumerate() {
        let read = journal::read(&path, base, core.ring.head(), |batch| {
            core.apply(batch).revision
        })?;
        if read.torn && index + 1 < count {
            let what = "the file ends within a group, and a later journal exists".to_owned();
            return Err(OpenError::Damaged {
                path,
                offset: read.length,
                what,
            });
        }
        if read.torn {
            tracing::warn!(
                file = %path.display(), offset = read.length,
                "the last group was not completely written and never acknowledged; cutting it off"
            );
        }
        last = Some((base, path, read));
    }
    core.batches = 0;
    let Some((base, path, read)) = last else {
        return begin(directory, core);
    };
    if read.length == 0 {
        // Not even the header was finished, so nothing was acknowledged in it.
        std::fs::remove_file(&path).map_err(io_error("remove", &path))?;
        return begin(directory, core);
    }
    let journal = Journal::resume(&path, read.length)?;
    if read.format == FORMAT {
        return Ok(Loaded { core, journal });
    }
    // What comes now may have what the older format has not.
    if base == core.ring.head() {
        std::fs::remove_file(&path).map_err(io_error("remove", &path))?;
    }
    begin(directory, core)
}

/// Begins a new store: an empty snapshot, so that a journal without one is always
/// the sign of a loss.
fn begin_first(directory: &Path, options: &HistoryOptions) -> Result<Loaded, OpenError> {
    let core = Core::fresh(options);
    snapshot::write(directory, &core.state, core.ring.head())
        .map_err(io_error("write the first snapshot in", directory))?;
    begin(directory, core)
}

/// Begins a journal where the store stands.
fn begin(directory: &Path, core: Core) -> Result<Loaded, OpenError> {
    let head: Revision = core.ring.head();
    let journal = Journal::create(directory, head).map_err(io_error(
        "create",
        files::path(directory, Kind::Journal, head),
    ))?;
    Ok(Loaded { core, journal })
}
