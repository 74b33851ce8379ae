//! The suite on the embedded store, in memory and on a disk.

use std::time::Duration;

use indexer_store::conformance::Setup;
use indexer_store::{EmbeddedOptions, EmbeddedStore, HistoryOptions};

fn options(setup: Setup) -> EmbeddedOptions {
    let plain = HistoryOptions {
        heartbeat: Duration::from_millis(50),
        ..Default::default()
    };
    let history = match setup {
        Setup::Plain => plain,
        Setup::ShortHistory => HistoryOptions {
            ring_bytes: 1 << 14,
            ..plain
        },
    };
    EmbeddedOptions {
        history,
        ..Default::default()
    }
}

mod in_memory {
    use super::{EmbeddedStore, Setup, options};

    async fn make(setup: Setup) -> EmbeddedStore {
        EmbeddedStore::in_memory(options(setup))
    }

    indexer_store::conformance_suite!(make);
}

mod on_disk {
    use std::sync::Arc;

    use async_trait::async_trait;
    use indexer_store::{AppendError, Appended, DiskOptions, IndexWatch, IndexWriter, WatchStream};
    use proto_model::{Batch, Revision};

    use super::{EmbeddedStore, Setup, options};

    /// A store and its directory, which goes when the store does.
    struct OnDisk {
        store: Arc<EmbeddedStore>,
        _directory: tempfile::TempDir,
    }

    #[async_trait]
    impl IndexWriter for OnDisk {
        async fn append(&self, batch: &Batch) -> Result<Appended, AppendError> {
            self.store.append(batch).await
        }
    }

    impl IndexWatch for OnDisk {
        fn watch(&self, after: Option<Revision>) -> WatchStream {
            self.store.watch(after)
        }
    }

    async fn make(setup: Setup) -> OnDisk {
        let directory = tempfile::tempdir().expect("a directory");
        // Short journals, so that the suite also runs while snapshots are written.
        let disk = DiskOptions {
            journal_bytes: 1 << 13,
            ..DiskOptions::default()
        };
        let store = EmbeddedStore::open(directory.path(), options(setup), disk).expect("opens");
        OnDisk {
            store: Arc::new(store),
            _directory: directory,
        }
    }

    indexer_store::conformance_suite!(make);
}
