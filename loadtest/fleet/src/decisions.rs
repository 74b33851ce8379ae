//! What deciding costs on this machine.

use std::time::{Duration, Instant};

use crate::map::IndexFigures;

/// Longer decisions count as this long, in nanoseconds: four seconds.
const LONGEST: u128 = u32::MAX as u128;

/// What a strategy's knowledge costs. The only figures of a study that are not the
/// same every time: clocks differ, and so do the index's secrets.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Costs {
    /// The index at the end of the run; empty where the strategy asks none.
    pub index: IndexFigures,
    /// Every decision of the run, the warm-up's among them.
    pub decisions: Decisions,
}

/// What deciding took, by this machine's clock. One decision at a time, on one
/// thread.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Decisions {
    /// Decisions timed.
    pub count: usize,
    /// One after the other, per second of deciding.
    pub per_second: f64,
    /// Half took at most this, in microseconds.
    pub p50_us: f64,
    /// 99 of 100.
    pub p99_us: f64,
    /// Mean time for the prompt's block keys, in microseconds.
    pub keys_us: f64,
    /// For asking the index.
    pub lookup_us: f64,
    /// For choosing among the engines.
    pub choice_us: f64,
    /// For recording the route in state and index.
    pub record_us: f64,
}

/// A part of a decision.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Part {
    Keys,
    Lookup,
    Choice,
    Record,
}

/// Looks at the clock only if it was asked to.
#[derive(Debug, Default)]
pub(crate) struct Stopwatch {
    on: bool,
    begun: Option<Instant>,
    lap: Option<Instant>,
    parts: [Duration; 4],
    /// Nanoseconds of each decision.
    all: Vec<u32>,
}

impl Stopwatch {
    pub(crate) fn new(on: bool) -> Self {
        Self {
            on,
            ..Self::default()
        }
    }

    pub(crate) fn begin(&mut self) {
        if self.on {
            self.begun = Some(Instant::now());
            self.lap = self.begun;
        }
    }

    /// This part of the decision is over.
    pub(crate) fn done(&mut self, part: Part) {
        if let Some(lap) = &mut self.lap {
            let now = Instant::now();
            self.parts[part as usize] += now - *lap;
            *lap = now;
        }
    }

    pub(crate) fn end(&mut self) {
        self.lap = None;
        if let Some(begun) = self.begun.take() {
            let nanos = begun.elapsed().as_nanos().min(LONGEST);
            self.all.push(u32::try_from(nanos).unwrap_or(u32::MAX));
        }
    }

    /// `None` if nothing was timed.
    pub(crate) fn decisions(mut self) -> Option<Decisions> {
        self.all.sort_unstable();
        let last = self.all.len().checked_sub(1)?;
        let at = |share: f64| f64::from(self.all[(last as f64 * share).round() as usize]) / 1e3;
        let count = self.all.len();
        let seconds = self.all.iter().map(|nanos| f64::from(*nanos)).sum::<f64>() / 1e9;
        let mean = |part: Part| self.parts[part as usize].as_secs_f64() * 1e6 / count as f64;
        Some(Decisions {
            count,
            per_second: count as f64 / seconds.max(f64::MIN_POSITIVE),
            p50_us: at(0.5),
            p99_us: at(0.99),
            keys_us: mean(Part::Keys),
            lookup_us: mean(Part::Lookup),
            choice_us: mean(Part::Choice),
            record_us: mean(Part::Record),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_timed_is_counted_and_its_parts_are_within_it() {
        let mut off = Stopwatch::new(false);
        off.begin();
        off.done(Part::Keys);
        off.end();
        assert_eq!(off.decisions(), None);
        let mut on = Stopwatch::new(true);
        for _ in 0..3 {
            on.begin();
            on.done(Part::Keys);
            on.done(Part::Record);
            on.end();
        }
        let timed = on.decisions().unwrap();
        assert_eq!((timed.count, timed.lookup_us), (3, 0.0));
        assert!(timed.p50_us <= timed.p99_us && timed.per_second > 0.0);
        // Whole nanoseconds are counted of each decision.
        let all = 1e6 / timed.per_second + 0.001;
        assert!(timed.keys_us + timed.record_us <= all, "{timed:?}");
    }
}
