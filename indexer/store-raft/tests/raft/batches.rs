//! Small batches, made by hand.

use proto_model::{
    Batch, Change, Command, Endpoint, EngineHash, EventsCommand, Extras, KeySpace, LocalHash,
    Medium, Message, Profile, Publisher, Rank, StoredBlock, Timestamp,
};

pub(crate) fn publisher(number: u64) -> Publisher {
    let address = format!("10.2.{}.{}:8000", number / 256, number % 256);
    Publisher {
        endpoint: Endpoint::new("raft", &address).expect("a valid address"),
        rank: Rank(0),
    }
}

/// The message of this number of a publisher. It stores `blocks` blocks.
pub(crate) fn message(number: u64, sequence: u64, blocks: u64) -> Batch {
    let block = |index: u64| StoredBlock {
        hash: EngineHash(sequence * blocks + index + 1),
        local: LocalHash(sequence * blocks + index + 1),
    };
    let message = Message {
        sequence,
        timestamp: Timestamp(sequence + 1),
        stream: None,
        changes: vec![Change::Stored {
            space: 0,
            medium: Medium::Gpu,
            group: 0,
            parent: None,
            blocks: (0..blocks).map(block).collect(),
        }],
    };
    Batch {
        commands: vec![Command::Events(EventsCommand {
            publisher: publisher(number),
            model: "model".to_owned(),
            spaces: vec![KeySpace {
                profile: Profile::Content,
                model: "model".to_owned(),
                lora: None,
                block_size: 16,
                extras: Extras::Published,
            }],
            messages: vec![message],
        })],
    }
}

/// A message of one block.
pub(crate) fn one(number: u64, sequence: u64) -> Batch {
    message(number, sequence, 1)
}
