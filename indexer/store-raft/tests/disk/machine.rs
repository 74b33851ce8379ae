//! A state machine that counts, with its snapshots on the disk under test.

use indexer_state::{State, StateLimits};
use indexer_store_raft::snapshot::{SnapshotImage, SnapshotStore};
use indexer_store_raft::types::{Applied, NodeId, RaftNode, TypeConfig};
use openraft::storage::RaftStateMachine;
use openraft::{
    AnyError, Entry, EntryPayload, LogId, OptionalSend, RaftSnapshotBuilder, Snapshot,
    SnapshotMeta, StorageError, StorageIOError, StoredMembership,
};
use proto_model::Revision;

pub(crate) struct CountingMachine {
    snapshots: SnapshotStore,
    applied: Option<LogId<NodeId>>,
    membership: StoredMembership<NodeId, RaftNode>,
    revision: u64,
}

impl CountingMachine {
    pub(crate) fn new(snapshots: SnapshotStore) -> Self {
        Self {
            snapshots,
            applied: None,
            membership: StoredMembership::default(),
            revision: 0,
        }
    }

    fn image(&self) -> SnapshotImage {
        SnapshotImage {
            cluster: None,
            revision: Revision(self.revision),
            state: State::new(StateLimits::default()),
        }
    }

    async fn save(
        &self,
        meta: &SnapshotMeta<NodeId, RaftNode>,
        image: SnapshotImage,
    ) -> Result<(), StorageError<NodeId>> {
        let saved = self.snapshots.save(meta.clone(), image).await;
        saved.map_err(|error| {
            StorageIOError::write_snapshot(Some(meta.signature()), AnyError::new(&error)).into()
        })
    }
}

impl RaftStateMachine<TypeConfig> for CountingMachine {
    type SnapshotBuilder = Self;

    async fn applied_state(
        &mut self,
    ) -> Result<(Option<LogId<NodeId>>, StoredMembership<NodeId, RaftNode>), StorageError<NodeId>>
    {
        Ok((self.applied, self.membership.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<Applied>, StorageError<NodeId>>
    where
        I: IntoIterator<Item = Entry<TypeConfig>> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut results = Vec::new();
        for entry in entries {
            self.applied = Some(entry.log_id);
            self.revision += 1;
            if let EntryPayload::Membership(membership) = entry.payload {
                self.membership = StoredMembership::new(Some(entry.log_id), membership);
            }
            results.push(Applied::Nothing);
        }
        Ok(results)
    }

    async fn get_snapshot_builder(&mut self) -> Self {
        Self {
            snapshots: self.snapshots.clone(),
            applied: self.applied,
            membership: self.membership.clone(),
            revision: self.revision,
        }
    }

    async fn begin_receiving_snapshot(
        &mut self,
    ) -> Result<Box<SnapshotImage>, StorageError<NodeId>> {
        Ok(Box::new(self.image()))
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta<NodeId, RaftNode>,
        snapshot: Box<SnapshotImage>,
    ) -> Result<(), StorageError<NodeId>> {
        self.applied = meta.last_log_id;
        self.membership = meta.last_membership.clone();
        self.revision = snapshot.revision.0;
        self.save(meta, *snapshot).await
    }

    async fn get_current_snapshot(
        &mut self,
    ) -> Result<Option<Snapshot<TypeConfig>>, StorageError<NodeId>> {
        let loaded = self
            .snapshots
            .load()
            .map_err(|error| StorageIOError::read_snapshot(None, AnyError::new(&error)))?;
        Ok(loaded.map(|(meta, image)| Snapshot {
            meta,
            snapshot: Box::new(image),
        }))
    }
}

impl RaftSnapshotBuilder<TypeConfig> for CountingMachine {
    async fn build_snapshot(&mut self) -> Result<Snapshot<TypeConfig>, StorageError<NodeId>> {
        let meta = SnapshotMeta {
            last_log_id: self.applied,
            last_membership: self.membership.clone(),
            snapshot_id: format!("snapshot-{}", self.revision),
        };
        self.save(&meta, self.image()).await?;
        Ok(Snapshot {
            meta,
            snapshot: Box::new(self.image()),
        })
    }
}
