//! Small batches, made by hand.

use proto_model::{
    Batch, BlockKey, Change, Command, ContentChain, Endpoint, EngineHash, EventsCommand, Extras,
    KeySpace, LocalHash, Medium, Message, Profile, Publisher, Rank, RouteKind, RouteRecorded,
    StoredBlock, Timestamp,
};

pub(super) fn publisher(number: u32) -> Publisher {
    let address = format!("10.1.{}.{}:8000", number / 256, number % 256);
    let endpoint = Endpoint::new("conformance", &address).expect("a valid address");
    Publisher {
        endpoint,
        rank: Rank(0),
    }
}

pub(super) fn space() -> KeySpace {
    KeySpace {
        profile: Profile::Content,
        model: "model".to_owned(),
        lora: None,
        block_size: 16,
        extras: Extras::Published,
    }
}

pub(super) fn message(sequence: u64, timestamp: u64, changes: Vec<Change>) -> Message {
    Message {
        sequence,
        timestamp: Timestamp(timestamp),
        stream: None,
        changes,
    }
}

pub(super) fn events(publisher: &Publisher, messages: Vec<Message>) -> Command {
    Command::Events(EventsCommand {
        publisher: publisher.clone(),
        model: "model".to_owned(),
        spaces: vec![space()],
        messages,
    })
}

/// A request with these keys that was sent to the publisher.
pub(super) fn route(publisher: &Publisher, kind: RouteKind, keys: &[BlockKey]) -> RouteRecorded {
    RouteRecorded {
        publisher: publisher.clone(),
        kind,
        recorded_at: Timestamp(1_000),
        expires_at: (kind == RouteKind::Speculative).then_some(Timestamp(2_000)),
        capacity: 100,
        keys: keys.to_vec(),
    }
}

/// The keys of a prompt whose blocks have these hashes.
pub(super) fn keys(hashes: &[u64]) -> Vec<BlockKey> {
    let (scope, mut chain) = (space().scope(), ContentChain::root());
    let values = hashes.iter().map(|hash| chain.push(LocalHash(*hash)));
    values.map(|value| scope.key(value)).collect()
}

pub(super) fn batch(commands: Vec<Command>) -> Batch {
    Batch { commands }
}

/// One message of one publisher that stores one block.
pub(super) fn one(number: u32, sequence: u64, timestamp: u64, hash: u64) -> Batch {
    let changes = vec![stored(None, &[hash])];
    batch(vec![events(
        &publisher(number),
        vec![message(sequence, timestamp, changes)],
    )])
}

/// Blocks whose content is told by their hash.
pub(super) fn stored(parent: Option<u64>, hashes: &[u64]) -> Change {
    let block = |hash: &u64| StoredBlock {
        hash: EngineHash(*hash),
        local: LocalHash(*hash),
    };
    Change::Stored {
        space: 0,
        medium: Medium::Gpu,
        group: 0,
        parent: parent.map(EngineHash),
        blocks: hashes.iter().map(block).collect(),
    }
}

pub(super) fn removed(hashes: &[u64]) -> Change {
    let hashes = hashes.iter().copied().map(EngineHash).collect();
    Change::Removed {
        medium: Medium::Gpu,
        group: 0,
        hashes,
    }
}
