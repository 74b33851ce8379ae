//! Small batches.

use proto_model::{
    Batch, Change, Command, Endpoint, EngineHash, EventsCommand, Extras, KeySpace, LocalHash,
    Medium, Message, Profile, Publisher, Rank, StoredBlock, Timestamp,
};

/// Message `sequence` of publisher `number`: `blocks` new blocks.
pub(crate) fn stored(number: u32, sequence: u64, blocks: u64) -> Batch {
    let first = sequence << 32;
    let block = |n| StoredBlock {
        hash: EngineHash(first + n),
        local: LocalHash(first + n),
    };
    let change = Change::Stored {
        space: 0,
        medium: Medium::Gpu,
        group: 0,
        parent: None,
        blocks: (0..blocks).map(block).collect(),
    };
    let message = Message {
        sequence,
        timestamp: Timestamp(1 + sequence),
        stream: None,
        changes: vec![change],
    };
    let events = EventsCommand {
        publisher: publisher(number),
        model: "model".to_owned(),
        spaces: vec![space()],
        messages: vec![message],
    };
    Batch {
        commands: vec![Command::Events(events)],
    }
}

fn publisher(number: u32) -> Publisher {
    let address = format!("10.0.0.{number}:8000");
    Publisher {
        endpoint: Endpoint::new("test", &address).expect("valid"),
        rank: Rank(0),
    }
}

fn space() -> KeySpace {
    KeySpace {
        profile: Profile::Content,
        model: "model".to_owned(),
        lora: None,
        block_size: 16,
        extras: Extras::Published,
    }
}
