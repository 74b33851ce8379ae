//! Nodes that are behind, or of another history.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use indexer_state::{State, StateLimits};
use indexer_store::{
    AppendError, Appended, History, HistoryOptions, IndexWatch, IndexWriter, WatchError, WatchItem,
    WatchStream,
};
use indexer_store_grpc::{RemoteOptions, RemoteStore};
use proto_model::{Batch, Revision};

use super::batch::stored;
use super::node::{Node, quick};
use super::proxy::{Mode, Proxy};
use super::reader::Reader;

/// A node's own copy of the history.
struct Copy(History);

impl Copy {
    fn at(revision: Revision, options: HistoryOptions) -> Arc<Self> {
        let state = State::new(StateLimits::default());
        Arc::new(Self(History::new(state, revision, options)))
    }
}

#[async_trait]
impl IndexWriter for Copy {
    async fn append(&self, batch: &Batch) -> Result<Appended, AppendError> {
        self.0.apply(batch)
    }
}

impl IndexWatch for Copy {
    fn watch(&self, after: Option<Revision>) -> WatchStream {
        self.0.watch(after)
    }
}

async fn node(copy: &Arc<Copy>) -> (Node, Proxy) {
    let node = Node::start(copy, copy, Default::default()).await;
    let proxy = Proxy::to(node.address, Mode::Pass).await;
    (node, proxy)
}

fn client(proxies: &[&Proxy]) -> RemoteStore {
    let addresses = proxies.iter().map(|proxy| proxy.address.clone()).collect();
    let mut options = RemoteOptions::new(addresses);
    options.watch_patience = Duration::from_millis(300);
    RemoteStore::connect(options).expect("valid")
}

fn apply(copies: &[&Arc<Copy>], sequences: std::ops::Range<u64>) -> Revision {
    let mut revision = Revision(0);
    for sequence in sequences {
        for copy in copies {
            let applied = copy.0.apply(&stored(1, sequence, 4)).expect("open");
            revision = applied.revision;
        }
    }
    revision
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_behind_is_not_read_until_it_has_caught_up() {
    let begin = History::fresh_revision();
    let (ahead, behind) = (Copy::at(begin, quick()), Copy::at(begin, quick()));
    let ((_a, to_ahead), (_b, to_behind)) = (node(&ahead).await, node(&behind).await);
    let client = client(&[&to_ahead, &to_behind]);
    apply(&[&ahead, &behind], 0..5);
    let at = apply(&[&ahead], 5..10);
    // Also a client that begins at the node that is behind gets to the other.
    to_behind.set(Mode::Cut);
    let mut reader = Reader::new(&client);
    reader.follow(&client, at).await;
    to_ahead.set(Mode::Cut);
    to_behind.set(Mode::Pass);
    for _ in 0..3 {
        let error = loop {
            // The reader itself checks that it is given nothing older.
            if let Err(error) = reader.step().await {
                break error;
            }
        };
        assert!(error.retryable(), "{error}");
        assert_eq!(reader.at, Some(at), "it stands where it stood");
        reader.resume(&client);
    }
    apply(&[&behind], 5..10);
    let beyond = apply(&[&behind], 10..12);
    reader.resume(&client);
    reader.follow(&client, beyond).await;
    let mut fresh = Reader::new(behind.as_ref());
    fresh.follow(behind.as_ref(), beyond).await;
    assert_eq!(reader.held, fresh.held);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_can_go_on_is_preferred_to_a_snapshot() {
    let begin = History::fresh_revision();
    let short = HistoryOptions {
        ring_bytes: 1,
        ..quick()
    };
    let (short, long) = (Copy::at(begin, short), Copy::at(begin, quick()));
    let ((_a, to_short), (_b, to_long)) = (node(&short).await, node(&long).await);
    let at = apply(&[&short, &long], 0..3);
    let later = apply(&[&short, &long], 3..6);
    // Whichever node a client begins at.
    for _ in 0..8 {
        let client = client(&[&to_short, &to_long]);
        let mut watch = client.watch(Some(at));
        let first = futures::StreamExt::next(&mut watch).await.expect("an item");
        let revision = match first.expect("a node goes on") {
            WatchItem::Deltas { revision, .. } => revision,
            item => panic!("{item:?} is no change"),
        };
        assert!(revision > at && revision <= later);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_history_is_passed_on_as_the_snapshot_it_is() {
    let begin = History::fresh_revision();
    let old = Copy::at(begin, quick());
    let (_a, to_old) = node(&old).await;
    let new = Copy::at(Revision(begin.0 + 1_000_000), quick());
    let (_b, to_new) = node(&new).await;
    let at = apply(&[&old], 0..4);
    apply(&[&new], 0..1);
    let client = client(&[&to_old, &to_new]);
    to_new.set(Mode::Cut);
    let mut reader = Reader::new(&client);
    reader.follow(&client, at).await;
    // The old history is gone with its node; all that is in reach is the new one.
    to_old.set(Mode::Cut);
    to_new.set(Mode::Pass);
    let error = loop {
        if let Err(error) = reader.step().await {
            break error;
        }
    };
    assert!(
        matches!(error, WatchError::Lagged { at: told } if told == at),
        "{error}"
    );
    reader.resume(&client);
    reader.follow(&client, new.0.revision()).await;
    assert_eq!(reader.snapshots, 2);
    assert_eq!(
        reader
            .held
            .values()
            .map(|blocks| blocks.len())
            .sum::<usize>(),
        4
    );
}
