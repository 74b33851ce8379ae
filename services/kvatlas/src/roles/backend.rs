//! The store behind a role: embedded, or reached over the network.

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use indexer_store::{DiskOptions, EmbeddedStore, IndexWatch, IndexWriter};
use services_runtime::metrics::Metrics;

use crate::config::{Backend, Config, SourceSection};
use crate::wiring;

/// A store in use. Clones are the same one.
#[derive(Clone)]
pub(crate) struct OpenStore {
    /// Where events go.
    pub(crate) writer: Arc<dyn IndexWriter>,
    /// Where the index comes from.
    pub(crate) watch: Arc<dyn IndexWatch>,
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    Embedded(Arc<EmbeddedStore>),
}

impl OpenStore {
    /// Opens the embedded store, in memory or on a disk.
    pub(crate) async fn embedded(config: &Config) -> Result<Self> {
        let options = wiring::store(config);
        let store = match config.store.data.clone() {
            None => EmbeddedStore::in_memory(options),
            Some(directory) => {
                let opened = tokio::task::spawn_blocking(move || {
                    EmbeddedStore::open(&directory, options, DiskOptions::default())
                });
                opened
                    .await
                    .context("opening the store")?
                    .context("store.data")?
            }
        };
        let store = Arc::new(store);
        Ok(Self {
            writer: Arc::clone(&store) as _,
            watch: Arc::clone(&store) as _,
            kind: Kind::Embedded(store),
        })
    }

    /// Connects to a store in other processes. That they cannot be reached yet
    /// is no error.
    pub(crate) async fn remote(source: &SourceSection, _metrics: &Metrics) -> Result<Self> {
        match source.backend {
            Backend::Embedded => bail!("an embedded store belongs to one process"),
            Backend::Raft | Backend::Redis => bail!("this build has no client for that store"),
        }
    }

    /// Whether only this process uses it.
    pub(crate) fn is_own(&self) -> bool {
        matches!(self.kind, Kind::Embedded(_))
    }

    /// Ends its use: what was appended is where it belongs.
    pub(crate) async fn close(&self) {
        match &self.kind {
            Kind::Embedded(store) => store.close().await,
        }
    }
}
