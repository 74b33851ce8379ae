//! Which engine a request goes to, and what is remembered of it: the rules of
//! `router/ext-proc`, around the real picker.

use std::time::Duration;

use proto_model::{BlockKey, RouteKind};
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use router_picker::{Ask, Candidate, Load, Policy, pick};

use crate::books::Book;
use crate::decisions::{Costs, Part, Stopwatch};
use crate::map::{Held, Map};
use crate::options::FleetOptions;
use crate::policy;
use crate::rules::{self, PublishedScorer};
use crate::strategy::{Knows, Strategy};

/// Our estimated routing's defaults: `router/discovery`.
const BLOCK_BYTES: u32 = 64;
const MAX_BLOCKS: usize = 4_096;
const THRESHOLD: f64 = 0.5;
/// Blocks remembered per endpoint.
const CAPACITY: u32 = 31_250;

/// Speculative keys of an endpoint are bounded by their time, hardly by this.
const SPECULATIVE_CAPACITY: u32 = 1 << 20;

/// A decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Chosen {
    pub(crate) picker: usize,
    pub(crate) engine: usize,
    /// Tokens of the prompt that are thought to be there.
    pub(crate) predicted: u32,
    /// Tokens that are booked as work to do.
    pub(crate) booked: u64,
}

/// One router, or several that share what is known of caches and loads, each with
/// books of its own.
pub(crate) struct Router {
    strategy: Strategy,
    policy: Policy,
    block_size: u32,
    speculation: Duration,
    scorer: PublishedScorer,
    /// Of each picker, by engine.
    books: Vec<Vec<Book>>,
    loads: Vec<Load>,
    sampled_at: Duration,
    map: Map,
    random: SmallRng,
    stopwatch: Stopwatch,
}

/// What is known of a prompt.
struct Known {
    keys: Vec<BlockKey>,
    held: Vec<Held>,
    /// Reusable tokens and the share of the prompt, by engine.
    prefix: Vec<(u32, f64)>,
}

impl Router {
    pub(crate) fn new(strategy: Strategy, options: &FleetOptions) -> Self {
        let engines = options.engines;
        let seed = options.seed ^ 1 ^ options.ties.rotate_right(32);
        Self {
            strategy,
            policy: policy::changed(&options.policy),
            block_size: options.block_size,
            speculation: options.speculation,
            scorer: options.published_scorer,
            books: vec![vec![Book::default(); engines]; options.pickers],
            loads: vec![Load::default(); engines],
            sampled_at: Duration::ZERO,
            map: Map::new(engines, options.block_size),
            random: SmallRng::seed_from_u64(seed),
            stopwatch: Stopwatch::new(options.costs),
        }
    }

    /// Whether engines' events are of any use to it.
    pub(crate) fn listens(&self) -> bool {
        matches!(self.strategy.knows(), Knows::Events { .. })
    }

    pub(crate) fn map(&mut self) -> &mut Map {
        &mut self.map
    }

    /// What a picker has sent to an engine.
    pub(crate) fn book(&mut self, picker: usize, engine: usize) -> &mut Book {
        &mut self.books[picker][engine]
    }

    /// Engines said how busy they are. Routes that are over go at the same time.
    pub(crate) fn scraped(&mut self, now: Duration, loads: Vec<Load>) {
        self.loads = loads;
        self.sampled_at = now;
        if self.strategy == Strategy::Precise {
            self.map.expire(now);
        }
    }

    /// If they were measured.
    pub(crate) fn costs(self) -> Option<Costs> {
        Some(Costs {
            decisions: self.stopwatch.decisions()?,
            index: self.map.figures(),
        })
    }

    pub(crate) fn route(&mut self, now: Duration, customer: u32, prompt: &[u32]) -> Chosen {
        self.stopwatch.begin();
        let known = self.ask(prompt);
        let picker = match self.books.len() {
            1 => 0,
            several => self.random.random_range(0..several),
        };
        let engine = self.choose(picker, customer, &known, prompt.len());
        self.stopwatch.done(Part::Choice);
        let (predicted, _) = known.prefix[engine];
        let booked = (prompt.len() as u64).saturating_sub(u64::from(predicted));
        self.book(picker, engine).sent(now, booked);
        self.record(now, engine, known);
        self.stopwatch.done(Part::Record);
        self.stopwatch.end();
        Chosen {
            picker,
            engine,
            predicted,
            booked,
        }
    }

    fn ask(&mut self, prompt: &[u32]) -> Known {
        let keys = match self.strategy.knows() {
            Knows::Nothing => Vec::new(),
            Knows::Events { .. } => self.map.token_keys(prompt),
            Knows::Routes => {
                let blocks = match self.strategy {
                    Strategy::Estimated => MAX_BLOCKS,
                    _ => self.scorer.blocks,
                };
                Map::text_keys(prompt, BLOCK_BYTES, blocks)
            }
        };
        self.stopwatch.done(Part::Keys);
        let held = self.map.held(&keys);
        let prefix = match self.strategy.knows() {
            Knows::Nothing => vec![(0, 0.0); held.len()],
            Knows::Events { .. } => self.tracked(&held, prompt.len()),
            Knows::Routes => estimated(&held, keys.len(), prompt.len()),
        };
        self.stopwatch.done(Part::Lookup);
        Known { keys, held, prefix }
    }

    /// An engine computes at least the last token.
    fn tracked(&self, held: &[Held], prompt_tokens: usize) -> Vec<(u32, f64)> {
        let prompt = u32::try_from(prompt_tokens).unwrap_or(u32::MAX);
        let usable = prompt.saturating_sub(1) / self.block_size;
        let of = |held: &Held| {
            let blocks = held.confirmed.max(held.speculative).min(usable);
            let tokens = blocks * self.block_size;
            (tokens, f64::from(tokens) / f64::from(prompt.max(1)))
        };
        held.iter().map(of).collect()
    }

    fn choose(
        &mut self,
        picker: usize,
        customer: u32,
        known: &Known,
        prompt_tokens: usize,
    ) -> usize {
        let seed = self.random.random();
        match self.strategy {
            Strategy::Partition => customer as usize % self.loads.len(),
            Strategy::Random => self.random.random_range(0..self.loads.len()),
            Strategy::PublishedPrecise | Strategy::PublishedEstimated | Strategy::PublishedLoad => {
                let blocks = |held: &Held| held.confirmed.max(held.estimated);
                let matched: Vec<u32> = known.held.iter().map(blocks).collect();
                let all = u32::try_from(known.keys.len()).unwrap_or(u32::MAX);
                rules::choose(self.strategy, &matched, all, &self.loads, &mut self.random)
            }
            Strategy::Precise | Strategy::Estimated | Strategy::LoadOnly => {
                let ask = Ask {
                    prompt_tokens: u32::try_from(prompt_tokens).unwrap_or(u32::MAX),
                    priority: 0,
                    seed,
                    choices: 1,
                };
                let picked = pick(&self.policy, &ask, &self.candidates(picker, known));
                picked
                    .expect("there are engines, and nothing is shed")
                    .ranked[0]
            }
        }
    }

    fn candidates(&self, picker: usize, known: &Known) -> Vec<Candidate> {
        let each = self
            .loads
            .iter()
            .zip(&self.books[picker])
            .zip(&known.prefix);
        let candidate =
            |((load, book), (reusable, prefix)): ((&Load, &Book), &(u32, f64))| Candidate {
                load: Some(*load),
                in_flight: book.in_flight(self.sampled_at),
                reusable_tokens: *reusable,
                prefix: *prefix,
            };
        each.map(candidate).collect()
    }

    fn record(&mut self, now: Duration, engine: usize, known: Known) {
        let Known { keys, held, .. } = known;
        match self.strategy {
            Strategy::Precise => {
                let confirmed = held[engine].confirmed as usize;
                let needless = confirmed >= keys.len() && held[engine].speculative == 0;
                if !needless && !self.speculation.is_zero() {
                    let expires = Some(now + self.speculation);
                    let kind = RouteKind::Speculative;
                    self.map
                        .routed(engine, now, kind, expires, SPECULATIVE_CAPACITY, keys);
                }
            }
            Strategy::Estimated | Strategy::PublishedEstimated => {
                let capacity = match self.strategy {
                    Strategy::Estimated => CAPACITY,
                    _ => self.scorer.remembered,
                };
                let kind = RouteKind::Estimated;
                self.map.routed(engine, now, kind, None, capacity, keys);
            }
            _ => {}
        }
    }
}

/// Nothing counts unless somebody has more than half of the prompt's blocks.
fn estimated(held: &[Held], blocks: usize, prompt_tokens: usize) -> Vec<(u32, f64)> {
    let share = |held: &Held| f64::from(held.estimated) / blocks.max(1) as f64;
    let best = held.iter().map(share).fold(0.0, f64::max);
    let of = |held: &Held| {
        let share = if best > THRESHOLD { share(held) } else { 0.0 };
        // Within the prompt's tokens, so within 32 bits.
        ((share * prompt_tokens as f64) as u32, share)
    };
    held.iter().map(of).collect()
}
