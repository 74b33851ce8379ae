//! Batches that tell apart, and a store's content as text.

use std::fs;
use std::path::{Path, PathBuf};

use futures::StreamExt;
use indexer_store::{
    DiskOptions, EmbeddedOptions, EmbeddedStore, IndexWatch, OpenError, WatchItem,
};
use proto_model::*;

pub(crate) fn publisher(number: u32) -> Publisher {
    let endpoint = Endpoint::new("disk", &format!("10.0.0.{number}:8000")).expect("valid");
    Publisher {
        endpoint,
        rank: Rank(0),
    }
}

/// Message `sequence` of a publisher: it stores one block, and a second one on
/// another medium that has to wait for its parent.
pub(crate) fn batch(number: u32, sequence: u64) -> Batch {
    let hash = sequence + 1;
    let space = KeySpace {
        profile: Profile::Content,
        model: "model".to_owned(),
        lora: None,
        block_size: 16,
        extras: Extras::Published,
    };
    let stored = |medium, parent, hash| Change::Stored {
        space: 0,
        medium,
        group: 0,
        parent,
        blocks: vec![StoredBlock {
            hash: EngineHash(hash),
            local: LocalHash(hash * 17),
        }],
    };
    let changes = vec![
        stored(
            Medium::Gpu,
            sequence.checked_sub(1).map(|_| EngineHash(sequence)),
            hash,
        ),
        stored(Medium::Disk, Some(EngineHash(1 << 40)), hash << 41),
    ];
    let timestamp = Timestamp(1_000 + sequence);
    let events = EventsCommand {
        publisher: publisher(number),
        model: "model".to_owned(),
        spaces: vec![space],
        messages: vec![Message {
            sequence,
            timestamp,
            stream: None,
            changes,
        }],
    };
    Batch {
        commands: vec![Command::Events(events)],
    }
}

/// A route of each kind, to an endpoint with events and to one without, and what
/// expires some of the earlier ones.
pub(crate) fn routes(step: u64) -> Vec<Command> {
    let at = |time| Timestamp(1_000_000 * time);
    let route = |number, kind, expires_at| {
        Command::RouteRecorded(RouteRecorded {
            publisher: publisher(number),
            kind,
            recorded_at: at(step),
            expires_at,
            capacity: 9,
            keys: (0..5).map(|key| BlockKey(100 * step + key)).collect(),
        })
    };
    vec![
        route(1, RouteKind::Speculative, Some(at(step + 3))),
        route(7, RouteKind::Estimated, None),
        Command::Expire {
            until: at(step.saturating_sub(2)),
        },
    ]
}

pub(crate) fn open(directory: &Path) -> Result<EmbeddedStore, OpenError> {
    open_with(directory, DiskOptions::default().journal_bytes)
}

pub(crate) fn open_with(directory: &Path, journal_bytes: u64) -> Result<EmbeddedStore, OpenError> {
    let disk = DiskOptions {
        journal_bytes,
        ..DiskOptions::default()
    };
    EmbeddedStore::open(directory, EmbeddedOptions::default(), disk)
}

/// What a new reader is told, one line per delta.
pub(crate) async fn content(store: &EmbeddedStore) -> Vec<String> {
    let mut watch = store.watch(None);
    let mut lines = Vec::new();
    loop {
        match watch.next().await.expect("an item").expect("no error") {
            WatchItem::Snapshot(deltas) => lines.extend(deltas.iter().map(|d| format!("{d:?}"))),
            WatchItem::SnapshotEnd(_) => return lines,
            _ => {}
        }
    }
}

/// The only file whose name begins so.
pub(crate) fn only(directory: &Path, prefix: &str) -> PathBuf {
    let mut found = all(directory, prefix);
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

pub(crate) fn all(directory: &Path, prefix: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory)
        .expect("listed")
        .map(|entry| entry.expect("an entry").path());
    let named = |path: &PathBuf| {
        path.file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| name.starts_with(prefix))
    };
    let mut found: Vec<PathBuf> = entries.filter(named).collect();
    found.sort();
    found
}

pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("created");
    for path in all(from, "") {
        fs::copy(&path, to.join(path.file_name().expect("a name"))).expect("copied");
    }
}
