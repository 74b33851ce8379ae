//! Small batches.

use indexer_store::{Appended, IndexWriter};
use indexer_store_redis::RedisStore;
use proto_model::{
    Batch, Change, Command, Endpoint, EngineHash, EventsCommand, Extras, KeySpace, LocalHash,
    Medium, Message, Profile, Publisher, Rank, StoredBlock, Timestamp,
};

use crate::support::PATIENCE;

pub(crate) fn publisher(number: u32, rank: u32) -> Publisher {
    let address = format!("10.1.{}.{}:8000", number / 256, number % 256);
    Publisher {
        endpoint: Endpoint::new("test", &address).expect("a valid address"),
        rank: Rank(rank),
    }
}

/// A message that stores `blocks` blocks which no other message stores.
pub(crate) fn message(sequence: u64, blocks: u64) -> Message {
    let stored = |n| StoredBlock {
        hash: EngineHash(n),
        local: LocalHash(n),
    };
    let first = sequence * blocks + 1;
    let change = Change::Stored {
        space: 0,
        medium: Medium::Gpu,
        group: 0,
        parent: None,
        blocks: (first..first + blocks).map(stored).collect(),
    };
    Message {
        sequence,
        timestamp: Timestamp(10_000_000 + sequence),
        stream: None,
        changes: vec![change],
    }
}

pub(crate) fn events(publisher: &Publisher, messages: Vec<Message>) -> Command {
    Command::Events(EventsCommand {
        publisher: publisher.clone(),
        model: "model".to_owned(),
        spaces: vec![KeySpace {
            profile: Profile::Content,
            model: "model".to_owned(),
            lora: None,
            block_size: 16,
            extras: Extras::Published,
        }],
        messages,
    })
}

/// One message with one block.
pub(crate) fn one(publisher: &Publisher, sequence: u64) -> Batch {
    batch(vec![events(publisher, vec![message(sequence, 1)])])
}

pub(crate) fn batch(commands: Vec<Command>) -> Batch {
    Batch { commands }
}

/// Appends as a writer does: again, while that may succeed.
pub(crate) async fn append(store: &RedisStore, batch: &Batch) -> Appended {
    let appended = async {
        loop {
            match store.append(batch).await {
                Ok(appended) => return appended,
                Err(error) => assert!(error.retryable(), "refused for good: {error}"),
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let appended = tokio::time::timeout(PATIENCE, appended).await;
    appended.expect("it is taken in the end")
}
