//! Dynamo's `RadixTree`, called directly: the one thread that has it writes and
//! reads.

use std::cell::RefCell;

use dynamo_kv_router::RadixTree;
use dynamo_kv_router::protocols::{LocalBlockHash, RouterEvent};

use super::events;
use super::{Answer, Setup, Subject};
use crate::workload::{Corpus, Event, Prompt};

pub(crate) struct Radix {
    tree: RefCell<RadixTree>,
    events: u64,
}

impl Subject for Radix {
    type Event = RouterEvent;
    /// The tree takes the question as a vector of its own.
    type Reader = Vec<LocalBlockHash>;

    fn new(_: &Setup) -> Self {
        Self {
            tree: RefCell::new(RadixTree::new()),
            events: 0,
        }
    }

    fn convert(&mut self, corpus: &Corpus, event: &Event, out: &mut Vec<RouterEvent>) {
        self.events += 1;
        out.push(events::convert(corpus, event, self.events));
    }

    fn apply(&self, events: Vec<RouterEvent>) {
        let mut tree = self.tree.borrow_mut();
        for event in events {
            // Its own users log an error and go on; wrong answers are counted.
            let _logged = tree.apply_event(event);
        }
    }

    fn reader(&self) -> Self::Reader {
        Vec::new()
    }

    fn ask(&self, reader: &mut Self::Reader, prompt: Prompt<'_>) {
        *reader = events::question(prompt);
    }

    fn look(&self, reader: &mut Self::Reader) -> usize {
        let question = std::mem::take(reader);
        let scores = self.tree.borrow().find_matches(question, false);
        scores.scores.len()
    }

    fn answer(&self, reader: &mut Self::Reader) -> Answer {
        let question = std::mem::take(reader);
        events::answer(&self.tree.borrow().find_matches(question, false))
    }
}
