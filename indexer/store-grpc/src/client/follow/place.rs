//! Where a reader stands, and what it may be given next.

use indexer_store::WatchItem;
use proto_api::v1;
use proto_api::v1::watch_response::Item;
use proto_model::Revision;

use super::super::reassembly::Reassembly;
use super::Broken;
use crate::convert;

/// The guard between nodes and a reader: nothing passes that lies before the
/// reader's place, twice, or beyond a hole.
pub(super) struct Place {
    /// Where the reader stands: what it came with, then what was delivered.
    at: Option<Revision>,
    /// Whether the reader was given anything by this watch.
    begun: bool,
    within_snapshot: bool,
    parts: Reassembly,
    revision_bytes_max: usize,
}

/// What becomes of a message.
#[derive(Debug)]
pub(super) enum Step {
    /// The reader gets it.
    Deliver(WatchItem),
    /// Nothing, yet.
    Nothing,
    /// The watch must end, for a snapshot can only come at the beginning of one.
    NeedsSnapshot(Revision),
}

impl Place {
    pub(super) fn new(after: Option<Revision>, revision_bytes_max: usize) -> Self {
        Self {
            at: after,
            begun: false,
            within_snapshot: false,
            parts: Reassembly::default(),
            revision_bytes_max,
        }
    }

    pub(super) fn at(&self) -> Option<Revision> {
        self.at
    }

    pub(super) fn within_snapshot(&self) -> bool {
        self.within_snapshot
    }

    /// Parts of a revision are of no use without the others.
    pub(super) fn left_node(&mut self) {
        self.parts = Reassembly::default();
    }

    pub(super) fn take(&mut self, item: Item, bytes: usize) -> Result<Step, Broken> {
        let step = match item {
            Item::SnapshotBegin(_) => self.snapshot_begin()?,
            Item::Snapshot(piece) if self.within_snapshot => {
                Step::Deliver(WatchItem::Snapshot(convert::deltas(piece.deltas)?))
            }
            Item::Snapshot(_) => return Err(Broken::OutOfPlace("a snapshot piece")),
            Item::SnapshotEnd(end) => self.snapshot_end(Revision(end.revision))?,
            Item::Changes(changes) => self.changes(changes, bytes)?,
            Item::Heartbeat(heartbeat) => self.heartbeat(&heartbeat)?,
        };
        self.begun |= matches!(step, Step::Deliver(_));
        Ok(step)
    }

    fn snapshot_begin(&mut self) -> Result<Step, Broken> {
        if self.within_snapshot || self.parts.is_open() {
            return Err(Broken::OutOfPlace("the beginning of a snapshot"));
        }
        match self.at {
            Some(at) if self.begun => Ok(Step::NeedsSnapshot(at)),
            _ => {
                self.within_snapshot = true;
                Ok(Step::Deliver(WatchItem::SnapshotBegin))
            }
        }
    }

    fn snapshot_end(&mut self, revision: Revision) -> Result<Step, Broken> {
        if !self.within_snapshot {
            return Err(Broken::OutOfPlace("the end of a snapshot"));
        }
        // Of a node that is behind, or of another history: the reader keeps what
        // it has. Still within the snapshot, so that the reader is told.
        if let Some(at) = self.at
            && revision < at
        {
            let (found, at) = (revision.0, at.0);
            return Err(Broken::Elsewhere { found, at });
        }
        (self.at, self.within_snapshot) = (Some(revision), false);
        Ok(Step::Deliver(WatchItem::SnapshotEnd(revision)))
    }

    fn changes(&mut self, changes: v1::Changes, bytes: usize) -> Result<Step, Broken> {
        let Some(at) = self.at.filter(|_| !self.within_snapshot) else {
            return Err(Broken::OutOfPlace("a change"));
        };
        if changes.revision <= at.0 {
            let (found, at) = (changes.revision, at.0);
            return Err(Broken::Elsewhere { found, at });
        }
        let revision = Revision(changes.revision);
        let complete = self.parts.add(changes, bytes, self.revision_bytes_max)?;
        Ok(match complete {
            None => Step::Nothing,
            Some(item) => {
                self.at = Some(revision);
                Step::Deliver(item)
            }
        })
    }

    fn heartbeat(&mut self, heartbeat: &v1::Heartbeat) -> Result<Step, Broken> {
        let Some(at) = self.at.filter(|_| !self.within_snapshot) else {
            return Err(Broken::OutOfPlace("a heartbeat"));
        };
        // Behind: the node is. Beyond: something was left out on the way.
        if heartbeat.revision != at.0 || self.parts.is_open() {
            let (found, at) = (heartbeat.revision, at.0);
            return Err(Broken::Elsewhere { found, at });
        }
        Ok(Step::Deliver(WatchItem::Heartbeat {
            revision: at,
            at_ms: heartbeat.at_ms,
        }))
    }
}
