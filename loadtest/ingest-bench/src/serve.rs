//! Ingestor, store and index in one process, as `kvatlas standalone` has them.

use std::io::BufRead;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures::StreamExt;
use indexer_ingest::{BindConfig, IngestConfig, Ingestor};
use indexer_store::{EmbeddedOptions, EmbeddedStore, IndexWatch, WatchItem};
use prometheus_client::registry::Registry;
use scorer_index::{IndexLimits, PrefixIndex};

use crate::line::{Done, processor_seconds};

/// The model of all engines.
pub(crate) const MODEL: &str = "model";

/// How often it is looked whether all has come.
const LOOK: Duration = Duration::from_millis(5);

/// How long nothing may come before the run is given up.
const SILENCE: Duration = Duration::from_secs(60);

/// Says its port, is told how many messages will come, and says when they are in
/// the index.
#[expect(clippy::print_stdout, reason = "what it says")]
pub(crate) async fn serve() -> Result<()> {
    let store = Arc::new(EmbeddedStore::in_memory(EmbeddedOptions::default()));
    let config = IngestConfig {
        bind: vec![BindConfig::new("tcp://127.0.0.1:0".parse()?)],
        ..IngestConfig::default()
    };
    let index = Arc::new(PrefixIndex::new(IndexLimits::default()));
    let filled = Arc::clone(&index);
    let writer: Arc<dyn indexer_store::IndexWriter> = Arc::clone(&store) as _;
    let ingestor = Ingestor::start(config, writer, &mut Registry::default()).await?;
    let (seen, mut indexed) = tokio::sync::watch::channel(None);
    let mut watch = store.watch(None);
    tokio::spawn(async move {
        while let Some(Ok(item)) = watch.next().await {
            match item {
                WatchItem::Deltas {
                    revision, deltas, ..
                } => {
                    filled.apply_all(&deltas);
                    seen.send_replace(Some(revision));
                }
                WatchItem::Snapshot(deltas) => filled.apply_all(&deltas),
                WatchItem::SnapshotEnd(revision) => drop(seen.send_replace(Some(revision))),
                _ => {}
            }
        }
    });
    let port = ingestor.bound_addresses().first().context("not bound")?;
    println!("{}", port.port());
    let mut asked = String::new();
    std::io::stdin().lock().read_line(&mut asked)?;
    let expected: u64 = asked.trim().parse()?;
    let before = processor_seconds(std::process::id())?;
    applied(&store, expected).await?;
    let last = store.revision();
    indexed.wait_for(|seen| *seen >= Some(last)).await?;
    let done = Done {
        processor_seconds: processor_seconds(std::process::id())? - before,
        messages: store.stats().state.counters.messages_applied,
        memberships: index.stats().memberships,
    };
    println!("{}", serde_json::to_string(&done)?);
    Ok(())
}

/// Waits until the store has applied so many messages.
async fn applied(store: &EmbeddedStore, expected: u64) -> Result<()> {
    let (mut newest, mut since) = (0, Instant::now());
    loop {
        let applied = store.stats().state.counters.messages_applied;
        if applied >= expected {
            return Ok(());
        }
        if applied > newest {
            (newest, since) = (applied, Instant::now());
        }
        ensure!(
            since.elapsed() < SILENCE,
            "{applied} of {expected} messages were applied, and none for {SILENCE:?}"
        );
        tokio::time::sleep(LOOK).await;
    }
}
