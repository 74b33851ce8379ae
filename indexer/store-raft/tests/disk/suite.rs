//! openraft's suite for storages.

use indexer_store_raft::disk::{Disk, DiskOptions};
use indexer_store_raft::log::LogStore;
use indexer_store_raft::types::{NodeId, TypeConfig};
use openraft::StorageError;
use openraft::testing::{StoreBuilder, Suite};
use tempfile::TempDir;

use crate::machine::CountingMachine;

struct Builder {
    options: DiskOptions,
}

impl StoreBuilder<TypeConfig, LogStore, CountingMachine, TempDir> for Builder {
    async fn build(&self) -> Result<(TempDir, LogStore, CountingMachine), StorageError<NodeId>> {
        let directory = tempfile::tempdir().expect("a directory");
        let disk = Disk::open(directory.path(), self.options.clone(), 0).expect("it opens");
        let machine = CountingMachine::new(disk.snapshots());
        Ok((directory, disk.log(), machine))
    }
}

#[test]
fn openraft_finds_nothing_wrong() {
    let options = DiskOptions::default();
    if let Err(error) = Suite::test_all(Builder { options }) {
        panic!("{error}");
    }
}

/// As above, with every read from disk.
#[test]
fn openraft_finds_nothing_wrong_without_memory() {
    let options = DiskOptions {
        tail_bytes: 0,
        ..DiskOptions::default()
    };
    if let Err(error) = Suite::test_all(Builder { options }) {
        panic!("{error}");
    }
}
