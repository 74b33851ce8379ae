//! An ingestor before an embedded store, and what the store then says.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use indexer_ingest::{BindConfig, ConnectConfig, Identity, IngestConfig, Ingestor, TcpAddress};
use indexer_store::{EmbeddedOptions, EmbeddedStore, IndexWatch, IndexWriter, WatchItem};
use prometheus_client::registry::Registry;
use proto_model::{Cursor, Delta, Endpoint, Publisher, Rank, Trust};

use crate::engine::Engine;

pub(crate) struct Rig {
    pub(crate) store: Arc<EmbeddedStore>,
    pub(crate) ingestor: Ingestor,
    registry: Registry,
}

pub(crate) fn store() -> Arc<EmbeddedStore> {
    Arc::new(EmbeddedStore::in_memory(EmbeddedOptions::default()))
}

pub(crate) fn tcp(text: &str) -> TcpAddress {
    text.parse().expect("an address")
}

pub(crate) fn bound() -> IngestConfig {
    let bind = vec![BindConfig::new(tcp("tcp://127.0.0.1:0"))];
    quick(IngestConfig {
        bind,
        ..IngestConfig::default()
    })
}

/// Connects to an engine; `replay` may name its replay socket.
pub(crate) fn connected(engine: &Engine, address: &str, replay: Option<&str>) -> IngestConfig {
    let mut connect = ConnectConfig::new(tcp(address));
    connect.replay = replay.map(tcp);
    connect.identity = Some(Identity {
        cluster: None,
        address: engine.name.clone(),
        model: "m".to_owned(),
    });
    quick(IngestConfig {
        connect: vec![connect],
        ..IngestConfig::default()
    })
}

fn quick(mut config: IngestConfig) -> IngestConfig {
    config.backoff.initial = Duration::from_millis(10);
    config.backoff.max = Duration::from_millis(100);
    config
}

impl Rig {
    pub(crate) async fn start(config: IngestConfig) -> Self {
        Self::on(store(), config).await
    }

    pub(crate) async fn on(store: Arc<EmbeddedStore>, config: IngestConfig) -> Self {
        let mut registry = Registry::default();
        let writer: Arc<dyn IndexWriter> = Arc::clone(&store) as Arc<dyn IndexWriter>;
        let ingestor = Ingestor::start(config, writer, &mut registry)
            .await
            .expect("starts");
        Self {
            store,
            ingestor,
            registry,
        }
    }

    /// The bound socket as engines connect to it.
    pub(crate) fn address(&self) -> String {
        format!("tcp://{}", self.ingestor.bound_addresses()[0])
    }

    /// A metric by its full name and labels.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).expect("encodes");
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|value| value.parse().ok()).unwrap_or(0)
    }

    pub(crate) fn cursor(&self, engine: &Engine) -> Option<Cursor> {
        self.store.cursor(&publisher(engine))
    }

    /// Waits until the store stands where the engine does, and compares what it
    /// lists with what the engine holds.
    pub(crate) async fn expect(&self, engine: &Engine, trust: Trust) {
        self.expect_cursor(engine, trust).await;
        let held: BTreeSet<u64> = engine.held.values().copied().collect();
        assert_eq!(self.listed(engine).await, held, "{}", engine.name);
    }

    /// Like [`Self::expect`], for an engine of which not everything can be known:
    /// `partial`, or `suspect` if its connection came up while it was asked for.
    pub(crate) async fn expect_not_whole(&self, engine: &Engine) {
        let stands = || async {
            let cursor = self.cursor(engine);
            cursor.is_some_and(|cursor| cursor.next == engine.published)
                && !self
                    .ingestor
                    .publishers()
                    .await
                    .iter()
                    .any(|view| view.lag() > 0)
        };
        eventually(stands, || format!("{} caught up", engine.name)).await;
        let trust = self.cursor(engine).map(|cursor| cursor.trust);
        assert!(
            matches!(trust, Some(Trust::Partial | Trust::Suspect)),
            "{trust:?}"
        );
        let held: BTreeSet<u64> = engine.held.values().copied().collect();
        assert_eq!(self.listed(engine).await, held, "{}", engine.name);
    }

    pub(crate) async fn expect_cursor(&self, engine: &Engine, trust: Trust) {
        let stands = || async {
            let cursor = self.cursor(engine);
            cursor.is_some_and(|cursor| cursor.next == engine.published && cursor.trust == trust)
        };
        let seen = || {
            format!(
                "{} at {:?}, expected {} {trust}",
                engine.name,
                self.cursor(engine),
                engine.published
            )
        };
        eventually(stands, seen).await;
    }

    /// The chain values that a new reader would see for the engine.
    pub(crate) async fn listed(&self, engine: &Engine) -> BTreeSet<u64> {
        let mut watch = self.store.watch(None);
        let (mut holder, mut scope, mut keys) = (None, None, BTreeSet::new());
        loop {
            match watch
                .next()
                .await
                .expect("a watch does not end")
                .expect("the store answers")
            {
                WatchItem::SnapshotEnd(_) => break,
                WatchItem::Snapshot(deltas) => {
                    for delta in deltas.iter() {
                        match delta {
                            Delta::HolderBegan {
                                holder: new,
                                publisher: whose,
                                ..
                            } if *whose == publisher(engine) => {
                                holder = Some(*new);
                            }
                            Delta::Space(announced) if announced.publisher == publisher(engine) => {
                                scope = Some(announced.space.scope());
                            }
                            Delta::Stored {
                                holder: whose,
                                keys: stored,
                                ..
                            } if Some(*whose) == holder => {
                                keys.extend(stored.iter().copied());
                            }
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        let scope = scope.or(if keys.is_empty() {
            Some(proto_model::Scope(0))
        } else {
            None
        });
        let scope = scope.expect("a space is announced before its blocks");
        keys.into_iter().map(|key| scope.chain(key)).collect()
    }
}

pub(crate) fn publisher(engine: &Engine) -> Publisher {
    let endpoint = Endpoint::new("default", &engine.name).expect("an endpoint");
    Publisher {
        endpoint,
        rank: Rank(0),
    }
}

/// Polls until the condition holds, for half a minute at most.
pub(crate) async fn eventually<F, C>(mut condition: F, seen: impl Fn() -> String)
where
    F: FnMut() -> C,
    C: Future<Output = bool>,
{
    for _ in 0..3000 {
        if condition().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never happened: {}", seen());
}
