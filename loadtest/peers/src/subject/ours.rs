//! KVAtlas: one writer, any number of readers.

use proto_model::{BlockKey, Delta, Endpoint, Holder, Medium, Publisher, Rank, Source};
use scorer_index::{IndexLimits, PrefixIndex, Scratch};

use super::{Answer, Setup, Subject};
use crate::workload::{Act, Block, Corpus, Event, Prompt};

/// Steps of one `sweep` call, as the scorer makes them when it is idle.
const SWEEP: usize = 65_536;

pub(crate) struct Ours {
    index: PrefixIndex,
    /// How often each endpoint has begun.
    begun: Vec<u32>,
}

#[derive(Default)]
pub(crate) struct Reader {
    keys: Vec<BlockKey>,
    scratch: Scratch,
}

impl Ours {
    fn endpoints(&self) -> u32 {
        self.begun.len() as u32
    }

    fn holder(&self, endpoint: u32) -> Holder {
        Holder(self.begun[endpoint as usize] * self.endpoints() + endpoint)
    }

    fn began(&self, endpoint: u32) -> Delta {
        let [_, a, b, c] = endpoint.to_be_bytes();
        let address = format!("10.{a}.{b}.{c}:8000");
        Delta::HolderBegan {
            holder: self.holder(endpoint),
            publisher: Publisher {
                endpoint: Endpoint::new("peers", &address).expect("a valid address"),
                rank: Rank(0),
            },
            source: Source::Confirmed,
        }
    }
}

fn keys<'a>(blocks: impl Iterator<Item = &'a Block>) -> Vec<BlockKey> {
    blocks.map(|block| BlockKey(block.chained)).collect()
}

impl Subject for Ours {
    type Event = Delta;
    type Reader = Reader;

    fn new(setup: &Setup) -> Self {
        let ours = Self {
            index: PrefixIndex::new(IndexLimits {
                max_bytes: usize::MAX,
            }),
            begun: vec![0; setup.endpoints() as usize],
        };
        for endpoint in 0..setup.endpoints() {
            ours.index.apply(&ours.began(endpoint));
        }
        ours
    }

    fn convert(&mut self, corpus: &Corpus, event: &Event, out: &mut Vec<Delta>) {
        let holder = self.holder(event.endpoint);
        let medium = Medium::Gpu;
        match &event.act {
            // The replicated state passes on what is new.
            Act::Stored { chain, fresh, .. } => out.extend(fresh.iter().map(|&(from, to)| {
                let keys = keys(corpus.blocks(*chain, from, to).iter());
                Delta::Stored {
                    holder,
                    medium,
                    keys,
                }
            })),
            Act::Removed { chain, from, to } => out.push(Delta::Removed {
                holder,
                medium,
                keys: keys(corpus.blocks(*chain, *from, *to).iter().rev()),
            }),
            Act::Restarted => {
                out.push(Delta::HolderEnded { holder });
                self.begun[event.endpoint as usize] += 1;
                out.push(self.began(event.endpoint));
            }
        }
    }

    fn apply(&self, events: Vec<Delta>) {
        for event in events {
            self.index.apply(&event);
        }
    }

    fn rest(&self) {
        while self.index.sweep(SWEEP) {}
    }

    fn reader(&self) -> Reader {
        Reader::default()
    }

    fn ask(&self, reader: &mut Reader, prompt: Prompt<'_>) {
        reader.keys.clear();
        for piece in prompt {
            let keys = piece.iter().map(|block| BlockKey(block.chained));
            reader.keys.extend(keys);
        }
    }

    fn look(&self, reader: &mut Reader) -> usize {
        let Reader { keys, scratch } = reader;
        self.index.lookup(keys, scratch, None).len()
    }

    fn answer(&self, reader: &mut Reader) -> Answer {
        let Reader { keys, scratch } = reader;
        let matches = self.index.lookup(keys, scratch, None).iter();
        let endpoints = self.endpoints();
        matches
            .map(|found| (found.holder.0 % endpoints, found.blocks))
            .collect()
    }
}
