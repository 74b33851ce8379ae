//! Committed entries, one after the other.

use std::sync::atomic::Ordering;

use indexer_state::State;
use openraft::{AnyError, Entry, EntryPayload, LogId, StorageIOError, StoredMembership};
use proto_model::{Batch, Revision};

use super::{Failure, MachineShared, failed};
use crate::types::{Applied, AppliedBatch, ClusterId, NodeId, Proposal, TypeConfig};
use crate::wire;

impl MachineShared {
    /// Applies them in order, and says what became of each.
    pub(super) fn apply(&self, entries: Vec<Entry<TypeConfig>>) -> Result<Vec<Applied>, Failure> {
        let mut results = Vec::with_capacity(entries.len());
        for entry in entries {
            let bytes = wire::entry_bytes(&entry) as u64;
            let log_id = entry.log_id;
            let result = match entry.payload {
                EntryPayload::Blank => Applied::Nothing,
                EntryPayload::Membership(membership) => {
                    let membership = StoredMembership::new(Some(log_id), membership);
                    self.at.lock().membership = membership;
                    Applied::Nothing
                }
                EntryPayload::Normal(Proposal::Begin { cluster, revision }) => {
                    self.begin(cluster, revision)?;
                    Applied::Nothing
                }
                EntryPayload::Normal(Proposal::Batches(batches)) => {
                    self.apply_batches(&batches, log_id)?
                }
            };
            self.at.lock().applied = Some(log_id);
            self.standing.applied_to(log_id.index);
            self.bytes_since_snapshot
                .fetch_add(bytes, Ordering::Relaxed);
            results.push(result);
        }
        self.grown.notify_one();
        Ok(results)
    }

    /// Only the first beginning counts: leaders may have proposed several.
    fn begin(&self, cluster: ClusterId, revision: Revision) -> Result<(), Failure> {
        if self.standing.cluster().is_some() {
            return Ok(());
        }
        let empty = State::new(self.limits.clone());
        self.history.replace(empty, revision);
        self.join(cluster)
    }

    /// From now on this node is of this cluster and no other.
    fn join(&self, cluster: ClusterId) -> Result<(), Failure> {
        if self.standing.cluster() == Some(cluster) {
            return Ok(());
        }
        // On a thread that may wait.
        tokio::runtime::Handle::current()
            .block_on(self.disk.set_cluster(cluster))
            .map_err(|error| failed(&error))?;
        self.standing.begin(cluster);
        tracing::info!(%cluster, "this node is of the cluster now");
        Ok(())
    }

    fn apply_batches(
        &self,
        batches: &[bytes::Bytes],
        log_id: LogId<NodeId>,
    ) -> Result<Applied, Failure> {
        if self.standing.cluster().is_none() {
            // No leader proposes batches before a beginning; should one come all
            // the same, it must come to nothing on every node.
            return Ok(Applied::Nothing);
        }
        let mut results = Vec::with_capacity(batches.len());
        for bytes in batches {
            let batch: Batch = postcard::from_bytes(bytes).map_err(|error| {
                let error = StorageIOError::apply(log_id, AnyError::new(&error));
                Failure::new(error.into())
            })?;
            let appended = self.history.apply(&batch).map_err(|error| failed(&error))?;
            results.push(AppliedBatch {
                revision: appended.revision,
                outcomes: appended.outcomes,
            });
        }
        Ok(Applied::Batches(results))
    }
}
