//! What is measured of a stage.

use std::time::Duration;

use crate::parts::TtftParts;
use crate::request::Request;

/// A distribution in few numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize)]
pub struct Spread {
    /// The mean.
    pub mean: f64,
    /// Half are at most this.
    pub p50: f64,
    /// Nine of ten.
    pub p90: f64,
    /// 99 of 100.
    pub p99: f64,
    /// All.
    pub max: f64,
}

impl Spread {
    /// Of values in any order; all 0 if there are none.
    #[must_use]
    pub fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let Some(max) = values.last() else {
            return Self::default();
        };
        let at = |share: f64| values[((values.len() - 1) as f64 * share).round() as usize];
        Self {
            mean: values.iter().sum::<f64>() / values.len() as f64,
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            max: *max,
        }
    }
}

/// One stage of one strategy. Times in seconds.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct StageFigures {
    /// Requests per second that were meant to be sent.
    pub rate: u32,
    /// Requests that were sent.
    pub requests: usize,
    /// Of these, turned away by the gateway.
    pub refused: usize,
    /// From the first request to the end of the last.
    pub seconds: f64,
    /// Output tokens over that time.
    pub output_tokens_per_second: f64,
    /// From a request's sending to its first token.
    pub ttft: Spread,
    /// What its mean is made of.
    #[serde(skip_serializing_if = "TtftParts::are_unknown")]
    pub ttft_parts: TtftParts,
    /// Between two tokens of a request.
    pub itl: Spread,
    /// The mean of that per request.
    pub tpot: Spread,
    /// Requests that wait at an engine, over engines and scrapes.
    pub wait_queue: Spread,
    /// Share of the cache that running requests use, over engines and scrapes.
    pub kv_usage: Spread,
    /// Share of prompt tokens that engines found.
    pub hit_rate: f64,
    /// Share of the requests of which an engine found less than half.
    pub missed: f64,
    /// Tokens that the router expected engines to find, beyond or below what they
    /// found: mean of the difference's amount per request.
    pub prediction_error: f64,
    /// Output tokens of the busiest engine over the mean of all.
    pub balance: f64,
}

/// Counts over a whole run, the warm-up among it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Totals {
    /// Requests sent.
    pub requests: u64,
    /// Of these, turned away.
    pub refused: u64,
    /// Of these, answered to the end.
    pub finished: u64,
    /// Prompt tokens of finished requests.
    pub prompt_tokens: u64,
    /// Of these, found in caches.
    pub cached_tokens: u64,
    /// Tokens that clients received.
    pub output_tokens: u64,
    /// Tokens that engines say they generated.
    pub engine_output_tokens: u64,
    /// Running requests that gave up their blocks.
    pub preemptions: u64,
    /// Requests whose prediction was not what the engine found.
    pub mispredicted: u64,
    /// Steps of all engines.
    pub steps: u64,
}

/// What is gathered while a stage runs.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    /// Gaps between tokens, by the millisecond.
    gaps: Vec<u64>,
    gap_sum: f64,
    waiting: Vec<f64>,
    usage: Vec<f64>,
}

/// Longer gaps count as this long, in milliseconds, but in the mean.
const LONGEST_GAP: usize = 600_000;

impl Gathered {
    pub(crate) fn gap(&mut self, gap: Duration) {
        let millis = usize::try_from(gap.as_millis()).unwrap_or(usize::MAX);
        let place = millis.min(LONGEST_GAP);
        if place >= self.gaps.len() {
            self.gaps.resize(place + 1, 0);
        }
        self.gaps[place] += 1;
        self.gap_sum += gap.as_secs_f64();
    }

    pub(crate) fn load(&mut self, waiting: u32, kv_usage: f64) {
        self.waiting.push(f64::from(waiting));
        self.usage.push(kv_usage);
    }

    fn gaps(&self) -> Spread {
        let count: u64 = self.gaps.iter().sum();
        let at = |share: f64| {
            let wanted = (count as f64 * share) as u64;
            let mut seen = 0;
            let place = self.gaps.iter().position(|gaps| {
                seen += gaps;
                seen > wanted.min(count.saturating_sub(1))
            });
            // The middle of the millisecond.
            place.map_or(0.0, |place| (place as f64 + 0.5) / 1e3)
        };
        Spread {
            mean: self.gap_sum / count.max(1) as f64,
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            max: at(1.0),
        }
    }

    pub(crate) fn figures(
        self,
        rate: u32,
        prompt_tokens: u32,
        engines: usize,
        requests: &[Request],
    ) -> StageFigures {
        let ended = || requests.iter().filter(|request| !request.refused);
        let count = ended().count().max(1) as f64;
        let begin = requests.iter().map(|request| request.sent).min();
        let end = ended().map(|request| request.last).max();
        let seconds = end
            .unwrap_or_default()
            .saturating_sub(begin.unwrap_or_default())
            .as_secs_f64();
        let mut by_engine = vec![0.0; engines];
        for request in ended() {
            by_engine[request.engine] += f64::from(request.generated);
        }
        let output: f64 = by_engine.iter().sum();
        let busiest = by_engine.iter().copied().fold(0.0, f64::max);
        let first = |request: &Request| request.first.unwrap_or(request.last);
        let ttft = ended().map(|r| (first(r) - r.sent).as_secs_f64());
        let tpot = ended().filter(|request| request.generated > 1);
        let tpot = tpot.map(|r| (r.last - first(r)).as_secs_f64() / f64::from(r.generated - 1));
        let cached: f64 = ended().map(|request| f64::from(request.cached)).sum();
        let missed = ended().filter(|r| r.cached < prompt_tokens / 2).count();
        let error = ended().map(|r| f64::from(r.predicted.abs_diff(r.cached)));
        StageFigures {
            rate,
            requests: requests.len(),
            refused: requests.len() - ended().count(),
            seconds,
            output_tokens_per_second: output / seconds.max(f64::MIN_POSITIVE),
            ttft: Spread::of(ttft.collect()),
            ttft_parts: TtftParts::of(ended()),
            itl: self.gaps(),
            tpot: Spread::of(tpot.collect()),
            hit_rate: cached / (count * f64::from(prompt_tokens)),
            missed: missed as f64 / count,
            prediction_error: error.sum::<f64>() / count,
            balance: busiest * engines as f64 / output.max(1.0),
            wait_queue: Spread::of(self.waiting),
            kv_usage: Spread::of(self.usage),
        }
    }
}
