//! What the writer thread is asked to do.

use openraft::storage::LogFlushed;
use openraft::{Entry, LogId, Vote};
use tokio::sync::oneshot;

use super::error::DiskError;
use super::head::StoredSnapshot;
use crate::types::{ClusterId, NodeId, TypeConfig};

/// Answered when the request is durable.
pub(crate) type Done = oneshot::Sender<Result<(), DiskError>>;

pub(crate) enum Request {
    Append(Vec<Entry<TypeConfig>>, LogFlushed<TypeConfig>),
    Vote(Vote<NodeId>, Done),
    /// Remove every entry from `from` on; `last` is then the last.
    Truncate {
        from: u64,
        last: Option<LogId<NodeId>>,
        done: Done,
    },
    /// Remove every entry up to this one.
    Purge(LogId<NodeId>, Done),
    Cluster(ClusterId, Done),
    /// The chunks of this snapshot are written: it counts from now on.
    Snapshot(Box<StoredSnapshot>, Done),
}

impl Request {
    /// About how many bytes writing it takes.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Append(entries, _) => entries.iter().map(crate::log::weight).sum(),
            _ => 0,
        }
    }

    /// Says what became of it.
    pub(super) fn answer(self, result: &Result<(), DiskError>) {
        match self {
            Self::Append(_, flushed) => {
                flushed.log_io_completed(result.clone().map_err(std::io::Error::other));
            }
            Self::Vote(_, done)
            | Self::Truncate { done, .. }
            | Self::Purge(_, done)
            | Self::Cluster(_, done)
            | Self::Snapshot(_, done) => {
                // Whoever asked may have gone.
                let _ = done.send(result.clone());
            }
        }
    }
}
