//! Continuous batching: who computes how many tokens in a step.

use std::collections::VecDeque;
use std::time::Duration;

use super::cache::Cache;
use super::config::EngineConfig;
use super::outcome::{First, Generated, Load, StepOutcome, Totals};
use super::sequence::{RequestId, Sequence};
use super::timing::{Calibration, Work};

/// First come, first served; running requests before waiting ones.
#[derive(Debug)]
pub(crate) struct Scheduler {
    cache: Cache,
    max_num_seqs: usize,
    max_num_batched_tokens: usize,
    waiting: VecDeque<Sequence>,
    running: Vec<Sequence>,
    totals: Totals,
}

/// The step that is being put together.
#[derive(Default)]
struct Plan {
    work: Work,
    budget: usize,
    /// Tokens that the running sequence in the same place computes.
    scheduled: Vec<usize>,
    preempted: bool,
}

impl Scheduler {
    pub(crate) fn new(config: &EngineConfig) -> Self {
        Self {
            cache: Cache::new(config),
            max_num_seqs: config.max_num_seqs,
            max_num_batched_tokens: config.max_num_batched_tokens,
            waiting: VecDeque::new(),
            running: Vec::new(),
            totals: Totals::default(),
        }
    }

    pub(crate) fn enqueue(&mut self, sequence: Sequence) {
        self.waiting.push_back(sequence);
    }

    pub(crate) fn abort(&mut self, id: RequestId) -> bool {
        if let Some(place) = self.running.iter().position(|sequence| sequence.id == id) {
            let mut sequence = self.running.remove(place);
            self.cache.free(&mut sequence);
            return true;
        }
        let place = self.waiting.iter().position(|sequence| sequence.id == id);
        place.is_some_and(|place| self.waiting.remove(place).is_some())
    }

    pub(crate) fn reset_prefix_cache(&mut self) -> bool {
        self.cache.reset()
    }

    pub(crate) fn load(&self) -> Load {
        Load {
            running: self.running.len(),
            waiting: self.waiting.len(),
            kv_usage: self.cache.usage(),
        }
    }

    pub(crate) fn totals(&self) -> Totals {
        self.totals
    }

    /// `None` if nobody runs or waits.
    pub(crate) fn step(&mut self, now: Duration, calibration: &Calibration) -> Option<StepOutcome> {
        if self.running.is_empty() && self.waiting.is_empty() {
            return None;
        }
        let mut plan = Plan {
            budget: self.max_num_batched_tokens,
            ..Plan::default()
        };
        self.schedule_running(&mut plan);
        if !plan.preempted {
            self.schedule_waiting(&mut plan);
        }
        let load = self.load();
        let duration = calibration.step(&plan.work);
        let tokens = self.finish(&plan.scheduled, now + duration);
        Some(StepOutcome {
            duration,
            tokens,
            events: self.cache.take_events(),
            load,
        })
    }

    fn schedule_running(&mut self, plan: &mut Plan) {
        while plan.scheduled.len() < self.running.len() && plan.budget > 0 {
            let place = plan.scheduled.len();
            let sequence = &self.running[place];
            let tokens = (sequence.tokens.len() - sequence.computed).min(plan.budget);
            if !self.make_room(place, tokens, plan) {
                return;
            }
            plan.add(&self.running[place], tokens);
        }
    }

    /// Room for tokens of a running sequence. Without enough free blocks, the
    /// sequence that came last gives up its own and waits again; if that is the one
    /// itself, false.
    fn make_room(&mut self, place: usize, tokens: usize, plan: &mut Plan) -> bool {
        while !self.cache.allocate(&mut self.running[place], &[], tokens) {
            let mut last = self.running.pop().expect("the one at this place");
            self.cache.free(&mut last);
            self.waiting.push_front(last);
            self.totals.preemptions += 1;
            plan.preempted = true;
            if self.running.len() == place {
                return false;
            }
        }
        true
    }

    fn schedule_waiting(&mut self, plan: &mut Plan) {
        while plan.budget > 0 && self.running.len() < self.max_num_seqs {
            let Some(mut sequence) = self.waiting.pop_front() else {
                return;
            };
            let found = self.cache.find(&mut sequence);
            let cached = found.len() * self.cache.block_size();
            let tokens = (sequence.tokens.len() - cached).min(plan.budget);
            if !self.cache.allocate(&mut sequence, &found, tokens) {
                self.waiting.push_front(sequence);
                return;
            }
            sequence.computed = cached;
            if sequence.cached_tokens.is_none() {
                sequence.cached_tokens = Some(cached);
                self.totals.prefix_queries += sequence.tokens.len() as u64;
                self.totals.prefix_hits += cached as u64;
            }
            plan.add(&sequence, tokens);
            self.running.push(sequence);
        }
    }

    /// The step has passed: what was scheduled is computed, sequences without
    /// anything left to compute generate a token, and finished ones go.
    fn finish(&mut self, scheduled: &[usize], end: Duration) -> Vec<Generated> {
        let mut generated = Vec::new();
        for (sequence, tokens) in self.running.iter_mut().zip(scheduled) {
            sequence.computed += tokens;
            if sequence.computed < sequence.tokens.len() {
                continue;
            }
            let first = (sequence.generated() == 0).then(|| First {
                cached_tokens: sequence.cached_tokens.unwrap_or(0),
                after: end.saturating_sub(sequence.submitted),
            });
            if first.is_some() {
                self.totals.prompt_tokens += sequence.prompt_tokens as u64;
            }
            self.totals.generated_tokens += 1;
            let (token, last) = sequence.generate();
            generated.push(Generated {
                id: sequence.id,
                token,
                first,
                last,
            });
        }
        self.remove_finished(&generated);
        generated
    }

    fn remove_finished(&mut self, generated: &[Generated]) {
        let mut finished = generated.iter().filter(|token| token.last).peekable();
        if finished.peek().is_none() {
            return;
        }
        let cache = &mut self.cache;
        // Both are in the order of the running sequences.
        self.running.retain_mut(|sequence| {
            let done = finished.next_if(|token| token.id == sequence.id).is_some();
            if done {
                cache.free(sequence);
            }
            !done
        });
    }
}

impl Plan {
    fn add(&mut self, sequence: &Sequence, tokens: usize) {
        let context = sequence.computed;
        if sequence.generated() > 0 && tokens == 1 {
            self.work.decode(context);
        } else {
            self.work.prefill(tokens, context);
        }
        self.budget -= tokens;
        self.scheduled.push(tokens);
    }
}
