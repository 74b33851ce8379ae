//! Dynamo's `RadixTree` as its router runs it with one thread: a `KvIndexer` that
//! owns the tree, with events and lookups sent to it.

use std::sync::Arc;

use dynamo_kv_router::indexer::{KvIndexer, KvIndexerInterface, KvIndexerMetrics};
use dynamo_kv_router::protocols::{LocalBlockHash, OverlapScores, RouterEvent};
use futures_executor::block_on;
use tokio_util::sync::CancellationToken;

use super::events;
use super::{Answer, Setup, Subject};
use crate::workload::{Corpus, Event, Prompt};

pub(crate) struct RadixActor {
    indexer: KvIndexer,
    events: u64,
}

impl RadixActor {
    fn find(&self, question: &mut Vec<LocalBlockHash>) -> OverlapScores {
        let question = std::mem::take(question);
        block_on(self.indexer.find_matches(question)).expect("its thread runs")
    }
}

impl Subject for RadixActor {
    type Event = RouterEvent;
    type Reader = Vec<LocalBlockHash>;

    fn new(setup: &Setup) -> Self {
        let metrics = Arc::new(KvIndexerMetrics::new_unregistered());
        let block_tokens = setup.scenario.block_tokens;
        Self {
            indexer: KvIndexer::new(CancellationToken::new(), block_tokens, metrics),
            events: 0,
        }
    }

    fn convert(&mut self, corpus: &Corpus, event: &Event, out: &mut Vec<RouterEvent>) {
        self.events += 1;
        out.push(events::convert(corpus, event, self.events));
    }

    fn apply(&self, events: Vec<RouterEvent>) {
        block_on(async {
            for event in events {
                self.indexer.apply_event(event).await;
            }
        });
    }

    fn settle(&self) {
        block_on(self.indexer.flush_and_wait()).expect("its thread runs");
    }

    fn reader(&self) -> Self::Reader {
        Vec::new()
    }

    fn ask(&self, reader: &mut Self::Reader, prompt: Prompt<'_>) {
        *reader = events::question(prompt);
    }

    fn look(&self, reader: &mut Self::Reader) -> usize {
        self.find(reader).scores.len()
    }

    fn answer(&self, reader: &mut Self::Reader) -> Answer {
        events::answer(&self.find(reader))
    }
}
