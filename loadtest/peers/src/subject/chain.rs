//! `kv-index`: runs of blocks, with one map per endpoint that its lane owns.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use kv_index::{ChainBlockMap, ContentHash, SequenceHash, ShardedChainIndex, StoredBlock};

use super::{Answer, Setup, Subject};
use crate::workload::{Act, Block, Corpus, Event, Prompt};

/// Fewer events than this are applied by the caller's thread alone.
const WORTH_THREADS: usize = 256;
/// Endpoints that one shard can hold, by the crate's documentation.
const PER_SHARD: usize = 1024;

pub(crate) struct Chain {
    index: ShardedChainIndex,
    /// The crate's number of every endpoint.
    numbers: Vec<u32>,
    endpoints: HashMap<u32, u32>,
    /// Endpoint `e` belongs to lane `e % lanes`.
    lanes: Vec<Mutex<Vec<ChainBlockMap>>>,
}

pub(crate) struct ChainEvent {
    endpoint: u32,
    act: ChainAct,
}

enum ChainAct {
    Stored(Vec<StoredBlock>, Option<SequenceHash>),
    Removed(Vec<SequenceHash>),
    Cleared,
}

#[derive(Default)]
pub(crate) struct Reader {
    keys: Vec<ContentHash>,
    scores: Vec<(u32, u32)>,
}

impl Chain {
    fn lane(&self, lane: usize) -> MutexGuard<'_, Vec<ChainBlockMap>> {
        self.lanes[lane]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn apply_one(&self, maps: &mut [ChainBlockMap], event: &ChainEvent) {
        let map = &mut maps[event.endpoint as usize / self.lanes.len()];
        let number = self.numbers[event.endpoint as usize];
        match &event.act {
            ChainAct::Stored(blocks, parent) => self
                .index
                .apply_stored(number, blocks, *parent, map)
                .expect("an engine stores after what it holds"),
            ChainAct::Removed(hashes) => self.index.apply_removed(number, hashes, map),
            ChainAct::Cleared => self.index.apply_cleared(number, map),
        }
    }

    fn apply_lane(&self, lane: usize, events: Vec<ChainEvent>) {
        let mut maps = self.lane(lane);
        for event in events {
            self.apply_one(&mut maps, &event);
        }
    }
}

impl Subject for Chain {
    type Event = ChainEvent;
    type Reader = Reader;

    fn new(setup: &Setup) -> Self {
        let endpoints = setup.endpoints() as usize;
        let shards = endpoints.div_ceil(PER_SHARD);
        let index = ShardedChainIndex::new(shards, endpoints.div_ceil(shards));
        let name = |endpoint| format!("http://10.0.0.1:{endpoint}");
        let intern = |endpoint| index.intern_worker(&name(endpoint)).expect("room for all");
        let numbers: Vec<u32> = (0..endpoints).map(intern).collect();
        let lanes = setup.lanes.max(1);
        let own = |lane: usize| (lane..endpoints).step_by(lanes);
        let maps = |lane| own(lane).map(|_| ChainBlockMap::new()).collect();
        Self {
            endpoints: numbers.iter().copied().zip(0..).collect(),
            numbers,
            lanes: (0..lanes).map(|lane| Mutex::new(maps(lane))).collect(),
            index,
        }
    }

    fn convert(&mut self, corpus: &Corpus, event: &Event, out: &mut Vec<ChainEvent>) {
        let stored = |block: &Block| StoredBlock {
            seq_hash: SequenceHash(block.chained),
            content_hash: ContentHash(block.local),
        };
        let act = match event.act {
            Act::Stored {
                chain, from, to, ..
            } => ChainAct::Stored(
                corpus.blocks(chain, from, to).iter().map(stored).collect(),
                corpus.before(chain, from).map(SequenceHash),
            ),
            Act::Removed { chain, from, to } => {
                let blocks = corpus.blocks(chain, from, to).iter().rev();
                ChainAct::Removed(blocks.map(|block| SequenceHash(block.chained)).collect())
            }
            Act::Restarted => ChainAct::Cleared,
        };
        let endpoint = event.endpoint;
        out.push(ChainEvent { endpoint, act });
    }

    fn apply(&self, events: Vec<ChainEvent>) {
        let lanes = self.lanes.len();
        if lanes == 1 {
            return self.apply_lane(0, events);
        }
        if events.len() < WORTH_THREADS {
            for event in events {
                self.apply_one(&mut self.lane(event.endpoint as usize % lanes), &event);
            }
            return;
        }
        let mut shares: Vec<Vec<ChainEvent>> = (0..lanes).map(|_| Vec::new()).collect();
        for event in events {
            shares[event.endpoint as usize % lanes].push(event);
        }
        std::thread::scope(|scope| {
            for (lane, share) in shares.into_iter().enumerate() {
                scope.spawn(move || self.apply_lane(lane, share));
            }
        });
    }

    fn reader(&self) -> Reader {
        Reader::default()
    }

    fn ask(&self, reader: &mut Reader, prompt: Prompt<'_>) {
        reader.keys.clear();
        for piece in prompt {
            let keys = piece.iter().map(|block| ContentHash(block.local));
            reader.keys.extend(keys);
        }
    }

    fn look(&self, reader: &mut Reader) -> usize {
        let Reader { keys, scores } = reader;
        scores.clear();
        let report = |endpoint, blocks| scores.push((endpoint, blocks));
        self.index.score_into(keys, |key| key.0, false, report);
        scores.len()
    }

    fn answer(&self, reader: &mut Reader) -> Answer {
        self.look(reader);
        let scores = reader.scores.iter();
        scores
            .map(|(number, blocks)| (self.endpoints[number], *blocks))
            .collect()
    }
}
