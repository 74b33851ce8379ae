//! The published figures, stage by stage.
//!
//! From the upstream report of the benchmark (workload "X-70R-6kSys", 8 pods of
//! Qwen3-32B). Its summary's output tokens/s are the plain mean of the stages; its
//! times are means of the stages weighted by the requests that succeeded, and come
//! out as printed, in all four rows, if that were at most 1,024 in each stage (a
//! test holds it). Its client counts a blank line after every token as another
//! token, at the same moment, so that its times between tokens are half of the
//! real ones; here they are doubled.

use crate::Strategy;

/// What is published of one stage.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Published {
    /// Requests per second.
    pub rate: u32,
    /// Requests that succeeded.
    pub succeeded: u32,
    /// Output tokens per second.
    pub output_tokens_per_second: f64,
    /// Nine of ten first tokens came sooner, in seconds.
    pub ttft_p90: f64,
    /// Mean time to the first token, in seconds.
    pub ttft_mean: f64,
    /// Mean time between tokens, in seconds, doubled.
    pub itl_mean: f64,
}

/// One published run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PublishedRun {
    /// Requests that wait at an engine, on average over the run.
    pub wait_queue: f64,
    /// Output tokens/s, P90 and mean TTFT, mean ITL as printed; by stage.
    rows: [(f64, f64, f64, f64); 16],
}

/// Requests per second, and requests sent.
const STAGES: [(u32, u32); 16] = [
    (3, 60),
    (10, 200),
    (15, 300),
    (20, 760),
    (22, 748),
    (25, 750),
    (30, 750),
    (35, 735),
    (40, 1_520),
    (43, 1_548),
    (46, 1_518),
    (49, 1_470),
    (52, 1_508),
    (55, 1_485),
    (57, 1_482),
    (60, 1_500),
];

/// Requests of a stage that succeeded, at most.
const SUCCEEDED: u32 = 1_024;

const PRECISE: PublishedRun = PublishedRun {
    wait_queue: 0.1,
    rows: [
        (1219.1, 0.498, 0.291, 0.011),
        (3902.1, 0.600, 0.335, 0.013),
        (5761.1, 0.400, 0.249, 0.015),
        (9184.5, 0.600, 0.363, 0.021),
        (9382.0, 0.500, 0.300, 0.020),
        (9242.2, 0.583, 0.303, 0.021),
        (9221.8, 0.509, 0.296, 0.021),
        (9780.6, 0.500, 0.275, 0.021),
        (10270.8, 0.488, 0.269, 0.027),
        (10054.8, 0.500, 0.281, 0.028),
        (10128.7, 0.589, 0.293, 0.028),
        (10296.5, 0.600, 0.311, 0.029),
        (10284.6, 0.507, 0.288, 0.029),
        (10140.9, 0.600, 0.308, 0.029),
        (10313.9, 0.600, 0.319, 0.029),
        (10496.9, 0.500, 0.283, 0.029),
    ],
};

const ESTIMATED: PublishedRun = PublishedRun {
    wait_queue: 8.1,
    rows: [
        (1310.9, 0.497, 0.300, 0.011),
        (3842.4, 0.499, 0.271, 0.013),
        (5152.9, 0.400, 0.232, 0.015),
        (8082.6, 0.600, 0.329, 0.021),
        (8415.7, 0.700, 0.407, 0.022),
        (8445.1, 0.609, 0.370, 0.022),
        (8435.9, 0.708, 0.373, 0.023),
        (7443.5, 2.459, 2.780, 0.026),
        (8045.9, 43.018, 13.160, 0.027),
        (7969.6, 43.515, 16.941, 0.026),
        (7695.2, 44.930, 18.081, 0.026),
        (7455.9, 46.335, 19.111, 0.026),
        (7452.3, 47.284, 21.940, 0.026),
        (7100.7, 50.108, 22.327, 0.026),
        (7013.8, 49.930, 23.423, 0.026),
        (7247.9, 50.226, 24.281, 0.026),
    ],
};

const LOAD: PublishedRun = PublishedRun {
    wait_queue: 28.9,
    rows: [
        (1274.8, 1.609, 0.944, 0.012),
        (3607.0, 4.124, 2.241, 0.016),
        (3348.4, 7.002, 4.013, 0.020),
        (4902.5, 77.707, 29.229, 0.024),
        (4785.5, 72.972, 28.710, 0.024),
        (4872.8, 85.979, 32.534, 0.024),
        (4888.7, 83.806, 32.831, 0.024),
        (4660.7, 88.086, 33.874, 0.024),
        (4946.4, 100.911, 53.545, 0.025),
        (4973.3, 101.524, 53.802, 0.025),
        (4723.6, 105.884, 56.746, 0.025),
        (4004.8, 105.015, 55.208, 0.025),
        (3991.0, 108.572, 58.807, 0.025),
        (4671.9, 110.681, 58.467, 0.025),
        (3866.5, 113.278, 61.750, 0.025),
        (4745.1, 110.184, 58.497, 0.025),
    ],
};

const RANDOM: PublishedRun = PublishedRun {
    wait_queue: 27.3,
    rows: [
        (1314.0, 0.820, 0.622, 0.012),
        (3568.5, 1.398, 0.826, 0.016),
        (3791.1, 2.299, 1.278, 0.020),
        (4933.1, 70.273, 25.073, 0.024),
        (4765.4, 78.420, 28.185, 0.024),
        (4781.3, 82.943, 30.689, 0.024),
        (4636.3, 86.182, 32.212, 0.024),
        (4332.6, 91.519, 34.043, 0.024),
        (4773.8, 101.272, 54.196, 0.025),
        (4844.6, 101.142, 53.247, 0.025),
        (4969.5, 101.265, 53.572, 0.025),
        (4783.2, 103.514, 56.130, 0.025),
        (4845.1, 105.004, 56.035, 0.025),
        (4921.7, 104.321, 54.844, 0.025),
        (4764.2, 106.816, 56.803, 0.025),
        (4835.2, 105.988, 57.426, 0.025),
    ],
};

impl PublishedRun {
    /// The published run of a strategy, or of the one that it is a model of.
    #[must_use]
    pub fn of(strategy: Strategy) -> &'static Self {
        match strategy {
            Strategy::Precise | Strategy::PublishedPrecise | Strategy::Partition => &PRECISE,
            Strategy::Estimated | Strategy::PublishedEstimated => &ESTIMATED,
            Strategy::LoadOnly | Strategy::PublishedLoad => &LOAD,
            Strategy::Random => &RANDOM,
        }
    }

    /// Its summary row, as printed.
    #[must_use]
    pub fn summary(&self) -> Published {
        let weight: f64 = self.stages().map(|stage| f64::from(stage.succeeded)).sum();
        let weighted = |figure: fn(&Published) -> f64| {
            let each = self.stages();
            let each = each.map(|stage| figure(&stage) * f64::from(stage.succeeded));
            each.sum::<f64>() / weight
        };
        let tokens = self.stages().map(|stage| stage.output_tokens_per_second);
        Published {
            rate: 0,
            succeeded: self.stages().map(|stage| stage.succeeded).sum(),
            output_tokens_per_second: tokens.sum::<f64>() / STAGES.len() as f64,
            ttft_p90: weighted(|stage| stage.ttft_p90),
            ttft_mean: weighted(|stage| stage.ttft_mean),
            itl_mean: weighted(|stage| stage.itl_mean),
        }
    }

    /// Its stages, in order.
    pub fn stages(&self) -> impl Iterator<Item = Published> {
        let each = STAGES.into_iter().zip(self.rows);
        each.map(|((rate, sent), row)| Published {
            rate,
            succeeded: sent.min(SUCCEEDED),
            output_tokens_per_second: row.0,
            ttft_p90: row.1,
            ttft_mean: row.2,
            itl_mean: 2.0 * row.3,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The summary rows that the report prints.
    #[test]
    fn summary_rows_follow_from_the_stages() {
        let printed = [
            (PRECISE, 8730.0, 0.542, 0.298),
            (ESTIMATED, 6944.4, 31.083, 13.316),
            (LOAD, 4266.4, 94.865, 46.987),
            (RANDOM, 4428.7, 92.551, 45.281),
        ];
        for (run, tokens, p90, mean) in printed {
            let row = run.summary();
            let near = |a: f64, b: f64| (a - b).abs() < 0.001;
            assert!(near(row.ttft_p90, p90), "{}", row.ttft_p90);
            assert!(near(row.ttft_mean, mean), "{}", row.ttft_mean);
            let measured = row.output_tokens_per_second;
            assert!((measured - tokens).abs() < 0.1, "{measured}");
        }
    }
}
