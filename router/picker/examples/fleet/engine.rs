//! A model of an engine: continuous batching, chunked prefill, a prefix cache
//! that forgets what was used longest ago.

use std::collections::{HashMap, VecDeque};

/// Tokens that one engine can hold.
const CACHE_TOKENS: u64 = 307_328;
/// Tokens that one step can compute.
const STEP_TOKENS: u32 = 8_192;
/// Requests in the batch.
const BATCH: usize = 256;
/// Seconds of a step: always, per token of prefill, per token of an answer.
const STEP: f64 = 0.012;
const PREFILL: f64 = 50e-6;
const DECODE: f64 = 150e-6;

/// A piece of prompts that is cached as one: a customer's context, or a user's
/// question after it.
pub(crate) type Segment = u32;

/// One request.
pub(crate) struct Request {
    pub(crate) segments: [(Segment, u32); 2],
    pub(crate) output: u32,
    pub(crate) arrived: f64,
    /// What the picker put on its books.
    pub(crate) booked: u64,
    /// Left to compute; set when it enters the batch.
    prefill: u32,
    made: u32,
}

impl Request {
    pub(crate) fn new(segments: [(Segment, u32); 2], output: u32, arrived: f64) -> Self {
        Self {
            segments,
            output,
            arrived,
            booked: 0,
            prefill: 0,
            made: 0,
        }
    }

    pub(crate) fn prompt(&self) -> u32 {
        self.segments.iter().map(|(_, tokens)| tokens).sum()
    }
}

struct Cached {
    tokens: u32,
    used: f64,
    ready: bool,
    /// Requests in the batch that need it.
    pins: u32,
}

#[derive(Default)]
pub(crate) struct Engine {
    pub(crate) waiting: VecDeque<Request>,
    pub(crate) running: Vec<Request>,
    cache: HashMap<Segment, Cached>,
    /// Tokens of prompts that were found, and of all prompts.
    pub(crate) reused: u64,
    pub(crate) asked: u64,
}

/// A request's first token was made.
pub(crate) struct FirstToken {
    pub(crate) arrived: f64,
    pub(crate) segments: [(Segment, u32); 2],
    pub(crate) booked: u64,
}

/// What a step brought.
#[derive(Default)]
pub(crate) struct Step {
    pub(crate) seconds: f64,
    pub(crate) first: Vec<FirstToken>,
    pub(crate) finished: u32,
}

impl Engine {
    pub(crate) fn holds(&self, segment: Segment) -> bool {
        self.cache.contains_key(&segment)
    }

    /// Share of the cache that the batch uses.
    pub(crate) fn kv_usage(&self) -> f64 {
        self.in_use() as f64 / CACHE_TOKENS as f64
    }

    fn in_use(&self) -> u64 {
        let pinned = self.cache.values().filter(|c| c.pins > 0);
        let made: u64 = self.running.iter().map(|r| u64::from(r.made)).sum();
        pinned.map(|c| u64::from(c.tokens)).sum::<u64>() + made
    }

    /// One step from `now`; `None` if there is nothing to do.
    pub(crate) fn step(&mut self, now: f64) -> Option<Step> {
        self.admit(now);
        if self.running.is_empty() {
            return None;
        }
        let mut budget = STEP_TOKENS;
        let mut step = Step {
            seconds: STEP,
            ..Step::default()
        };
        for request in self.running.iter_mut().filter(|r| r.prefill == 0) {
            request.made += 1;
            budget = budget.saturating_sub(1);
            step.seconds += DECODE;
        }
        let mut done = Vec::new();
        for request in self.running.iter_mut().filter(|r| r.prefill > 0) {
            let now = request.prefill.min(budget);
            budget -= now;
            request.prefill -= now;
            step.seconds += f64::from(now) * PREFILL;
            if request.prefill == 0 {
                request.made = 1;
                done.extend(request.segments);
                step.first.push(FirstToken {
                    arrived: request.arrived,
                    segments: request.segments,
                    booked: request.booked,
                });
            }
        }
        for (segment, _) in done {
            self.cache
                .entry(segment)
                .and_modify(|cached| cached.ready = true);
        }
        self.retire(&mut step);
        Some(step)
    }

    fn retire(&mut self, step: &mut Step) {
        let (over, running): (Vec<_>, Vec<_>) = std::mem::take(&mut self.running)
            .into_iter()
            .partition(|r| r.prefill == 0 && r.made >= r.output);
        self.running = running;
        step.finished = over.len() as u32;
        for (segment, _) in over.iter().flat_map(|r| r.segments) {
            self.cache
                .entry(segment)
                .and_modify(|cached| cached.pins -= 1);
        }
    }

    fn admit(&mut self, now: f64) {
        while self.running.len() < BATCH {
            let Some(mut request) = self.waiting.pop_front() else {
                return;
            };
            let need = u64::from(request.prompt() + request.output);
            if !self.running.is_empty() && self.in_use() + need > CACHE_TOKENS {
                self.waiting.push_front(request);
                return;
            }
            let mut found = 0;
            let mut unbroken = true;
            for (segment, tokens) in request.segments {
                let cached = self.cache.entry(segment).or_insert(Cached {
                    tokens,
                    used: now,
                    ready: false,
                    pins: 0,
                });
                unbroken &= cached.ready;
                found += if unbroken { tokens } else { 0 };
                cached.pins += 1;
                cached.used = now;
            }
            self.reused += u64::from(found);
            self.asked += u64::from(request.prompt());
            // The last token is always computed.
            request.prefill = (request.prompt() - found).max(1);
            self.running.push(request);
            self.forget();
        }
    }

    fn forget(&mut self) {
        let made: u64 = self.running.iter().map(|r| u64::from(r.output)).sum();
        let mut held: u64 = self.cache.values().map(|c| u64::from(c.tokens)).sum();
        while held + made > CACHE_TOKENS {
            let free = self.cache.iter().filter(|(_, cached)| cached.pins == 0);
            let Some((segment, tokens)) = free
                .min_by(|a, b| a.1.used.total_cmp(&b.1.used).then(a.0.cmp(b.0)))
                .map(|(segment, cached)| (*segment, cached.tokens))
            else {
                return;
            };
            held -= u64::from(tokens);
            self.cache.remove(&segment);
        }
    }
}
