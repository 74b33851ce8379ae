//! Dynamo's form of events and answers, common to its structures.

use dynamo_kv_router::protocols::{
    ExternalSequenceBlockHash, KvCacheEvent, KvCacheEventData, KvCacheRemoveData, KvCacheStoreData,
    KvCacheStoredBlockData, LocalBlockHash, OverlapScores, RouterEvent,
};

use super::Answer;
use crate::workload::{Act, Block, Corpus, Event, Prompt};

/// The question of a reading thread.
#[derive(Default)]
pub(crate) struct Reader {
    pub(super) keys: Vec<LocalBlockHash>,
}

impl Reader {
    pub(super) fn ask(&mut self, prompt: Prompt<'_>) {
        self.keys.clear();
        for piece in prompt {
            self.keys
                .extend(piece.iter().map(|block| LocalBlockHash(block.local)));
        }
    }
}

/// The question as a vector of its own.
pub(super) fn question(prompt: Prompt<'_>) -> Vec<LocalBlockHash> {
    let mut reader = Reader::default();
    reader.ask(prompt);
    reader.keys
}

fn stored(block: &Block) -> KvCacheStoredBlockData {
    KvCacheStoredBlockData {
        block_hash: ExternalSequenceBlockHash(block.chained),
        tokens_hash: LocalBlockHash(block.local),
        mm_extra_info: None,
    }
}

/// One event, numbered per fleet.
pub(super) fn convert(corpus: &Corpus, event: &Event, event_id: u64) -> RouterEvent {
    let data = match event.act {
        Act::Stored {
            chain, from, to, ..
        } => KvCacheEventData::Stored(KvCacheStoreData {
            parent_hash: corpus.before(chain, from).map(ExternalSequenceBlockHash),
            start_position: None,
            blocks: corpus.blocks(chain, from, to).iter().map(stored).collect(),
        }),
        Act::Removed { chain, from, to } => {
            let blocks = corpus.blocks(chain, from, to).iter().rev();
            KvCacheEventData::Removed(KvCacheRemoveData {
                block_hashes: blocks
                    .map(|block| ExternalSequenceBlockHash(block.chained))
                    .collect(),
            })
        }
        Act::Restarted => KvCacheEventData::Cleared,
    };
    let cache_event = KvCacheEvent {
        event_id,
        data,
        dp_rank: 0,
    };
    RouterEvent::new(u64::from(event.endpoint), cache_event)
}

/// Endpoints and blocks.
pub(super) fn answer(scores: &OverlapScores) -> Answer {
    let scores = scores.scores.iter();
    scores
        .map(|(endpoint, blocks)| (endpoint.worker_id as u32, *blocks))
        .collect()
}
