//! Dynamo's concurrent structures, behind its `ThreadPoolIndexer`: events go to
//! the thread that owns the endpoint, lookups run on the caller's thread.

use dynamo_kv_router::indexer::{SyncIndexer, ThreadPoolIndexer};
use dynamo_kv_router::nested_map::SearchMode;
use dynamo_kv_router::protocols::RouterEvent;
use dynamo_kv_router::{ConcurrentRadixTreeCompressed, PositionalIndexer};
use futures_executor::block_on;

use super::events::{self, Reader};
use super::{Answer, Setup, Subject};
use crate::workload::{Corpus, Event, Prompt};

/// Positions that the positional index jumps over: its documentation's example.
const JUMP: usize = 32;

pub(crate) struct Pooled<T: SyncIndexer> {
    pool: ThreadPoolIndexer<T>,
    events: u64,
}

/// How to make one of them.
pub(crate) trait Made: SyncIndexer {
    fn made() -> Self;
}

impl Made for ConcurrentRadixTreeCompressed {
    fn made() -> Self {
        Self::new()
    }
}

impl Made for PositionalIndexer {
    fn made() -> Self {
        Self::new_with_mode(JUMP, SearchMode::default())
    }
}

impl<T: Made> Subject for Pooled<T> {
    type Event = RouterEvent;
    type Reader = Reader;

    fn new(setup: &Setup) -> Self {
        let block_tokens = setup.scenario.block_tokens;
        Self {
            pool: ThreadPoolIndexer::new(T::made(), setup.lanes.max(1), block_tokens),
            events: 0,
        }
    }

    fn convert(&mut self, corpus: &Corpus, event: &Event, out: &mut Vec<RouterEvent>) {
        self.events += 1;
        out.push(events::convert(corpus, event, self.events));
    }

    fn apply(&self, events: Vec<RouterEvent>) {
        for event in events {
            self.pool.enqueue_event(event).expect("its threads run");
        }
    }

    fn settle(&self) {
        block_on(self.pool.flush_and_wait()).expect("its threads run");
    }

    fn rest(&self) {
        self.pool.backend().run_cleanup_task();
    }

    fn reader(&self) -> Reader {
        Reader::default()
    }

    fn ask(&self, reader: &mut Reader, prompt: Prompt<'_>) {
        reader.ask(prompt);
    }

    fn look(&self, reader: &mut Reader) -> usize {
        let scores = self.pool.backend().find_matches(&reader.keys, false);
        scores.scores.len()
    }

    fn answer(&self, reader: &mut Reader) -> Answer {
        events::answer(&self.pool.backend().find_matches(&reader.keys, false))
    }
}
