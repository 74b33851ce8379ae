//! The store behind a role: embedded, or reached over the network.

mod late_redis;

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use indexer_store::{DiskOptions, EmbeddedStore, IndexWatch, IndexWriter};
use indexer_store_grpc::RemoteStore;
use prometheus_client::registry::Registry;
use services_runtime::metrics::Metrics;

use self::late_redis::LateRedis;
use crate::config::{Backend, Config, SourceSection};
use crate::wiring::{self, stores};

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
    /// Nodes that go on without this process.
    Nodes,
    Redis(Arc<LateRedis>),
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
    pub(crate) async fn remote(source: &SourceSection, metrics: &Metrics) -> Result<Self> {
        match source.backend {
            Backend::Embedded => bail!("an embedded store belongs to one process"),
            Backend::Raft => Self::nodes(source, metrics),
            Backend::Redis => Self::redis(source, metrics).await,
        }
    }

    fn nodes(source: &SourceSection, metrics: &Metrics) -> Result<Self> {
        let store = RemoteStore::connect(stores::remote(source)?)?;
        metrics.register(|registry| store.register(labelled(registry, source.cluster.as_deref())));
        Ok(Self {
            writer: Arc::new(store.clone()),
            watch: Arc::new(store),
            kind: Kind::Nodes,
        })
    }

    async fn redis(source: &SourceSection, metrics: &Metrics) -> Result<Self> {
        let labels = source.cluster.clone();
        let metrics = metrics.clone();
        let store = LateRedis::connect(stores::redis(source)?, move |store| {
            metrics.register(|registry| store.register(labelled(registry, labels.as_deref())));
        });
        let store = store.await.context("store.redis")?;
        Ok(Self {
            writer: Arc::clone(&store) as _,
            watch: Arc::clone(&store) as _,
            kind: Kind::Redis(store),
        })
    }

    /// Whether only this process uses it.
    pub(crate) fn is_own(&self) -> bool {
        matches!(self.kind, Kind::Embedded(_))
    }

    /// Ends its use: what was appended is where it belongs.
    pub(crate) async fn close(&self) {
        match &self.kind {
            Kind::Embedded(store) => store.close().await,
            Kind::Nodes => {}
            Kind::Redis(store) => store.close(),
        }
    }
}

/// Where a store's metrics go: under its cluster, where it has a name.
fn labelled<'a>(registry: &'a mut Registry, cluster: Option<&str>) -> &'a mut Registry {
    match cluster.map(str::to_owned) {
        Some(cluster) => registry.sub_registry_with_label(("cluster".into(), cluster.into())),
        None => registry,
    }
}
