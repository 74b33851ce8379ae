//! One structure, one trace, one process.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::allocator::live_bytes;
use crate::figures::{Beside, Exactness, Figures, Latency, Stage};
use crate::subject::{Setup, Subject};
use crate::workload::{Act, Checkpoint, Corpus, Event, Trace};

/// Block events made ready at once; they are gone again before memory is counted.
const CHUNK: u64 = 250_000;
/// Block events that the writer beside the lookups applies at once.
const STEP: u64 = 1_000;
/// Lookups before the first one that counts.
const WARM_UP: usize = 500;

/// How long to measure.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    /// Lookups per stage, if they take no longer than `longest`.
    pub(crate) lookups: usize,
    pub(crate) longest: Duration,
    /// Of the lookups beside the writer.
    pub(crate) beside: Duration,
    /// Block events per second of that writer.
    pub(crate) rate: f64,
    /// Most that the structure may allocate.
    pub(crate) most_bytes: isize,
}

/// A part of the measurement that not every structure allows.
pub(crate) type BesidePart<S> = fn(&Run<'_, S>, Vec<Vec<<S as Subject>::Event>>) -> Option<Beside>;

/// What a run has at hand.
pub(crate) struct Run<'a, S> {
    trace: &'a Trace,
    corpus: &'a Corpus,
    effort: Effort,
    subject: S,
    /// Bytes allocated before the structure existed.
    before: isize,
}

/// Replays the trace to a new structure.
pub(crate) fn measure<S: Subject>(
    trace: &Trace,
    (lanes, effort): (usize, Effort),
    beside: BesidePart<S>,
) -> Result<Figures> {
    let corpus = trace.corpus();
    let before = live_bytes();
    let scenario = trace.scenario.clone();
    let mut run = Run {
        trace,
        corpus: &corpus,
        effort,
        subject: S::new(&Setup { scenario, lanes }),
        before,
    };
    let store_rate = run.replay(&trace.load)?;
    let loaded = run.stage(&trace.loaded);
    let churn_rate = run.replay(&trace.churn)?;
    let churned = run.stage(&trace.churned);
    let steps = run.steps(&trace.beside);
    let beside = beside(&run, steps);
    let restart_ms = run.restarts();
    let remove_rate = run.replay(&trace.drain)?;
    run.subject.rest();
    Ok(Figures {
        loaded,
        churned,
        beside,
        store_rate,
        churn_rate,
        remove_rate,
        restart_ms,
        ended_bytes: run.bytes(),
        ended: run.check(&trace.ended),
        ended_memberships: trace.ended.memberships,
    })
}

/// For structures that one thread must have to itself.
pub(crate) fn alone<S: Subject>(run: &Run<'_, S>, steps: Vec<Vec<S::Event>>) -> Option<Beside> {
    steps.into_iter().for_each(|step| run.subject.apply(step));
    run.subject.settle();
    None
}

/// One thread writes at a fixed rate, this one reads.
pub(crate) fn together<S: Subject + Sync>(
    run: &Run<'_, S>,
    steps: Vec<Vec<S::Event>>,
) -> Option<Beside> {
    let (subject, effort) = (&run.subject, run.effort);
    let sizes = sizes(&run.trace.beside);
    let over = AtomicBool::new(false);
    let (lookup, (rate, lag_ms)) = std::thread::scope(|scope| {
        let over = &over;
        let writer = scope.spawn(move || write(subject, steps, &sizes, effort.rate, over));
        let (lookup, _) = run.lookups(&run.trace.churned, usize::MAX, effort.beside);
        over.store(true, Ordering::Relaxed);
        (lookup, writer.join().expect("the writer does not panic"))
    });
    Some(Beside {
        lookup,
        rate,
        lag_ms,
    })
}

/// Applies steps when they are due until told to stop, then the others at once.
/// Gives the rate while it was paced, and how long the last of that took.
fn write<S: Subject>(
    subject: &S,
    steps: Vec<Vec<S::Event>>,
    sizes: &[u64],
    rate: f64,
    over: &AtomicBool,
) -> (f64, f64) {
    let begin = Instant::now();
    let mut steps = steps.into_iter().zip(sizes);
    let mut written = 0;
    while !over.load(Ordering::Relaxed) {
        let due = Duration::from_secs_f64(written as f64 / rate);
        if let Some(early) = due.checked_sub(begin.elapsed()) {
            std::thread::sleep(early);
        }
        let Some((step, size)) = steps.next() else {
            break;
        };
        subject.apply(step);
        written += size;
    }
    let paced = begin.elapsed();
    subject.settle();
    let lag = begin.elapsed().saturating_sub(paced);
    steps.for_each(|(step, _)| subject.apply(step));
    subject.settle();
    (
        written as f64 / paced.as_secs_f64(),
        lag.as_secs_f64() * 1e3,
    )
}

impl<S: Subject> Run<'_, S> {
    /// Block events per second over all events, conversion left out.
    fn replay(&mut self, events: &[Event]) -> Result<f64> {
        let mut spent = Duration::ZERO;
        let mut rest = events;
        while !rest.is_empty() {
            let (chunk, after) = rest.split_at(chunk(rest, CHUNK));
            rest = after;
            let converted = self.convert(chunk);
            let begin = Instant::now();
            self.subject.apply(converted);
            self.subject.settle();
            spent += begin.elapsed();
            let bytes = live_bytes() - self.before;
            ensure!(
                bytes <= self.effort.most_bytes,
                "took {bytes} bytes; --max-gib allows {}",
                self.effort.most_bytes
            );
        }
        let blocks: u64 = events.iter().map(Event::blocks).sum();
        Ok(blocks as f64 / spent.as_secs_f64().max(1e-9))
    }

    fn convert(&mut self, events: &[Event]) -> Vec<S::Event> {
        let mut converted = Vec::with_capacity(events.len());
        for event in events {
            self.subject.convert(self.corpus, event, &mut converted);
        }
        converted
    }

    fn steps(&mut self, events: &[Event]) -> Vec<Vec<S::Event>> {
        let mut steps = Vec::new();
        let mut rest = events;
        while !rest.is_empty() {
            let (step, after) = rest.split_at(chunk(rest, STEP));
            rest = after;
            steps.push(self.convert(step));
        }
        steps
    }

    fn restarts(&mut self) -> [f64; 2] {
        let mut times = Vec::new();
        for event in &self.trace.restarts {
            debug_assert!(matches!(event.act, Act::Restarted));
            let converted = self.convert(std::slice::from_ref(event));
            let begin = Instant::now();
            self.subject.apply(converted);
            self.subject.settle();
            times.push(begin.elapsed().as_secs_f64() * 1e3);
        }
        times.sort_unstable_by(f64::total_cmp);
        [times[times.len() / 2], times[times.len() - 1]]
    }

    fn stage(&self, checkpoint: &Checkpoint) -> Stage {
        self.subject.rest();
        let bytes = self.bytes();
        let exactness = self.check(checkpoint);
        let (lookup, matches) = self.lookups(checkpoint, self.effort.lookups, self.effort.longest);
        Stage {
            bytes,
            memberships: checkpoint.memberships,
            distinct: checkpoint.distinct,
            lookup,
            matches,
            exactness,
        }
    }

    fn bytes(&self) -> u64 {
        u64::try_from(live_bytes() - self.before).unwrap_or(0)
    }

    fn check(&self, checkpoint: &Checkpoint) -> Exactness {
        let mut exactness = Exactness::default();
        let mut reader = self.subject.reader();
        for (query, truth) in checkpoint.queries.iter().zip(&checkpoint.answers) {
            let prompt = self.corpus.prompt(query.chain, query.blocks);
            self.subject.ask(&mut reader, prompt);
            let mut answer = self.subject.answer(&mut reader);
            answer.sort_unstable();
            exactness.compare(truth, &answer);
        }
        exactness
    }

    /// Times lookups one by one; also gives the mean number of matches.
    fn lookups(&self, checkpoint: &Checkpoint, count: usize, longest: Duration) -> (Latency, f64) {
        let mut reader = self.subject.reader();
        let mut look = |at: usize| {
            let query = checkpoint.queries[at % checkpoint.queries.len()];
            let prompt = self.corpus.prompt(query.chain, query.blocks);
            self.subject.ask(&mut reader, prompt);
            let begin = Instant::now();
            let matches = self.subject.look(&mut reader);
            (begin.elapsed(), matches)
        };
        let begin = Instant::now();
        for at in 0..WARM_UP {
            look(at);
        }
        let mut times = Vec::new();
        let mut matched = 0;
        while times.len() < count && (begin.elapsed() < longest || times.is_empty()) {
            let (time, matches) = look(times.len());
            times.push(time.as_nanos() as f64);
            matched += matches;
        }
        let matches = matched as f64 / times.len() as f64;
        (latency(times), matches)
    }
}

fn latency(mut times: Vec<f64>) -> Latency {
    times.sort_unstable_by(f64::total_cmp);
    let quantile = |q: f64| times[((times.len() as f64 * q) as usize).min(times.len() - 1)];
    Latency {
        p50: quantile(0.5),
        p99: quantile(0.99),
        mean: times.iter().sum::<f64>() / times.len() as f64,
        lookups: times.len() as u64,
    }
}

/// How many of the first events name `blocks` blocks, and at least one event.
fn chunk(events: &[Event], blocks: u64) -> usize {
    let mut named = 0;
    let reaches = |event: &Event| {
        named += event.blocks();
        named >= blocks
    };
    events
        .iter()
        .position(reaches)
        .map_or(events.len(), |at| at + 1)
}

/// The block events of every step.
fn sizes(events: &[Event]) -> Vec<u64> {
    let mut sizes = Vec::new();
    let mut rest = events;
    while !rest.is_empty() {
        let (step, after) = rest.split_at(chunk(rest, STEP));
        rest = after;
        sizes.push(step.iter().map(Event::blocks).sum());
    }
    sizes
}
