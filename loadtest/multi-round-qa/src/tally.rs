//! Sums over finished requests, and the documented summary of them.

use std::fmt;

use serde::Serialize;

use crate::Record;

/// Bounds of the distribution of times to the first token: from 0.1 ms up, each 2 %
/// above the one before, to 20,000 s.
const LEAST: f64 = 1e-4;
const STEP: f64 = 1.02;
const BUCKETS: usize = 966;

/// Finished requests, summed up.
#[derive(Debug, Clone, PartialEq)]
pub struct Tally {
    finished: u64,
    prompt_tokens: u64,
    generation_tokens: u64,
    /// Of the requests whose server says.
    cached_tokens: u64,
    cached_of: u64,
    ttft: f64,
    /// Of the requests, tokens per second each.
    speeds: f64,
    first_launch: f64,
    last_finish: f64,
    /// Times to the first token.
    buckets: Vec<u64>,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            finished: 0,
            prompt_tokens: 0,
            generation_tokens: 0,
            cached_tokens: 0,
            cached_of: 0,
            ttft: 0.0,
            speeds: 0.0,
            first_launch: f64::INFINITY,
            last_finish: 0.0,
            buckets: vec![0; BUCKETS],
        }
    }
}

impl Tally {
    /// One more.
    pub fn add(&mut self, record: &Record) {
        self.finished += 1;
        // Files that are read back may say anything.
        let add = |sum: &mut u64, tokens: u64| *sum = sum.saturating_add(tokens);
        add(&mut self.prompt_tokens, record.prompt_tokens);
        add(&mut self.generation_tokens, record.generation_tokens);
        if let Some(tokens) = record.cached_tokens {
            add(&mut self.cached_tokens, tokens);
            add(&mut self.cached_of, record.prompt_tokens);
        }
        self.ttft += record.ttft;
        // An answer of one token has no time of its own.
        let time = record.generation_time.max(1e-6);
        self.speeds += record.generation_tokens as f64 / time;
        self.first_launch = self.first_launch.min(record.launch_time);
        self.last_finish = self.last_finish.max(record.finish_time);
        let bucket = (record.ttft.max(LEAST) / LEAST).ln() / STEP.ln();
        self.buckets[(bucket as usize).min(BUCKETS - 1)] += 1;
    }

    /// How many.
    #[must_use]
    pub fn finished(&self) -> u64 {
        self.finished
    }

    /// The summary from `start` on, or from the first request's sending.
    #[must_use]
    pub fn summary(&self, qps: f64, start: Option<f64>, on_the_fly: u64, failed: u64) -> Summary {
        let start = start.unwrap_or(self.first_launch).min(self.first_launch);
        let (start, end) = match self.finished {
            0 => (0.0, 0.0),
            _ => (start, self.last_finish),
        };
        let per_second = |count: u64| count as f64 / (end - start).max(1e-9);
        let mean = |sum: f64| sum / self.finished.max(1) as f64;
        Summary {
            qps,
            finished: self.finished,
            failed,
            processing_speed: per_second(self.finished),
            on_the_fly,
            input_tokens_per_second: per_second(self.prompt_tokens),
            output_tokens_per_second: per_second(self.generation_tokens),
            generation_throughput: mean(self.speeds),
            ttft_mean: mean(self.ttft),
            ttft_p50: self.quantile(0.5),
            ttft_p90: self.quantile(0.9),
            ttft_p99: self.quantile(0.99),
            hit_rate: (self.cached_of > 0)
                .then(|| self.cached_tokens as f64 / self.cached_of as f64),
            start,
            end,
        }
    }

    /// Good to 2 %.
    fn quantile(&self, share: f64) -> f64 {
        let wanted = (self.finished as f64 * share).ceil().max(1.0) as u64;
        let mut seen = 0;
        let place = self.buckets.iter().position(|count| {
            seen += count;
            seen >= wanted
        });
        place.map_or(0.0, |place| LEAST * STEP.powf(place as f64 + 0.5))
    }
}

/// The documented summary, and what else was seen. Times in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Summary {
    /// Requests per second that were asked for.
    pub qps: f64,
    /// Requests that were answered to the end.
    pub finished: u64,
    /// Requests that were not.
    pub failed: u64,
    /// Answered requests per second.
    pub processing_speed: f64,
    /// Requests without an answer yet.
    pub on_the_fly: u64,
    /// Prompt tokens of answered requests per second.
    pub input_tokens_per_second: f64,
    /// Generated tokens of answered requests per second.
    pub output_tokens_per_second: f64,
    /// Mean over requests of tokens per second after the first.
    pub generation_throughput: f64,
    /// Mean time to the first token.
    pub ttft_mean: f64,
    /// Half are at most this, to 2 %.
    pub ttft_p50: f64,
    /// Nine of ten, to 2 %.
    pub ttft_p90: f64,
    /// 99 of 100, to 2 %.
    pub ttft_p99: f64,
    /// Share of prompt tokens found in caches; `None`: the server does not say.
    pub hit_rate: Option<f64>,
    /// Seconds since the epoch.
    pub start: f64,
    /// Seconds since the epoch.
    pub end: f64,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |unit: f64, name: &str| format!("{unit:.4} {name}");
        writeln!(
            f,
            "==================== Performance summary ======================"
        )?;
        writeln!(f, "  QPS: {}", of(self.qps, "reqs/s"))?;
        writeln!(
            f,
            "  Processing speed: {}",
            of(self.processing_speed, "reqs/s")
        )?;
        writeln!(f, "  Requests on-the-fly: {}", self.on_the_fly)?;
        let (input, output) = (self.input_tokens_per_second, self.output_tokens_per_second);
        writeln!(f, "  Input tokens per second: {}", of(input, "tokens/s"))?;
        writeln!(f, "  Output tokens per second: {}", of(output, "tokens/s"))?;
        let throughput = of(self.generation_throughput, "tokens/req/s");
        writeln!(
            f,
            "  Average generation throughput (per request): {throughput}"
        )?;
        writeln!(f, "  Average TTFT: {:.4}s", self.ttft_mean)?;
        writeln!(
            f,
            "  TTFT P50, P90, P99: {:.4}s, {:.4}s, {:.4}s",
            self.ttft_p50, self.ttft_p90, self.ttft_p99
        )?;
        if let Some(rate) = self.hit_rate {
            writeln!(f, "  Prompt tokens from caches: {:.1} %", rate * 100.0)?;
        }
        writeln!(
            f,
            "  Requests answered, failed: {}, {}",
            self.finished, self.failed
        )?;
        let (start, end) = (self.start, self.end);
        writeln!(f, "Time range: {start:.3} - {end:.3} ({:.2}s)", end - start)?;
        writeln!(
            f,
            "==============================================================="
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(ttft: f64, at: f64) -> Record {
        Record {
            prompt_tokens: 1_000,
            generation_tokens: 100,
            ttft,
            generation_time: 2.0,
            user_id: 1,
            question_id: 1,
            launch_time: at,
            finish_time: at + ttft + 2.0,
            cached_tokens: Some(750),
        }
    }

    #[test]
    fn sums_are_the_documented_figures() {
        let mut tally = Tally::default();
        for n in 0..100 {
            tally.add(&record(f64::from(n + 1) / 100.0, 100.0));
        }
        let summary = tally.summary(0.5, None, 3, 1);
        let near = |a: f64, b: f64| (a / b - 1.0).abs() < 0.021;
        // From 100 to 103: the last first token came after a second.
        assert!(near(summary.processing_speed, 100.0 / 3.0));
        assert!(near(summary.input_tokens_per_second, 100_000.0 / 3.0));
        assert!(near(summary.output_tokens_per_second, 10_000.0 / 3.0));
        assert!((summary.generation_throughput - 50.0).abs() < 1e-9);
        assert!((summary.ttft_mean - 0.505).abs() < 1e-9);
        assert!(near(summary.ttft_p50, 0.5) && near(summary.ttft_p90, 0.9));
        assert_eq!(summary.hit_rate, Some(0.75));
        let text = summary.to_string();
        for line in [
            "  QPS: 0.5000 reqs/s\n",
            "  Requests on-the-fly: 3\n",
            "  Average TTFT: 0.5050s\n",
            "  Average generation throughput (per request): 50.0000 tokens/req/s\n",
            "Time range: 100.000 - 103.000 (3.00s)\n",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }

    #[test]
    fn sums_end_at_the_range() {
        let most = Record {
            prompt_tokens: u64::MAX,
            generation_tokens: u64::MAX,
            cached_tokens: Some(u64::MAX),
            ..record(0.5, 100.0)
        };
        let mut tally = Tally::default();
        tally.add(&most);
        tally.add(&most);
        let summary = tally.summary(1.0, None, 0, 0);
        assert_eq!((summary.finished, summary.hit_rate), (2, Some(1.0)));
    }

    #[test]
    fn nothing_finished_makes_no_nonsense() {
        let summary = Tally::default().summary(1.0, Some(5.0), 0, 0);
        assert_eq!((summary.processing_speed, summary.ttft_mean), (0.0, 0.0));
        assert_eq!(summary.hit_rate, None);
    }
}
