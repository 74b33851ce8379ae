//! The parts of a score, each 0 (bad) to 1 (good).
//!
//! The scales are fixed and do not stretch to the candidates at hand: 1 waiting
//! request against 0 is then never as far apart as 100 against 0, and one
//! endpoint's load does not change the order of two others.

use crate::candidate::{Candidate, Load, share};
use crate::policy::Weights;

/// As many requests are as bad as can be.
const WORST_REQUESTS: f64 = 1023.0;

/// What is assumed of endpoints whose load is unknown: the mean part of those
/// whose load is known, so neither the best nor the worst.
pub(crate) struct Unknown {
    queue: f64,
    running: f64,
    kv: f64,
}

impl Unknown {
    pub(crate) fn among(candidates: &[Candidate]) -> Self {
        let mut mean = Self {
            queue: 0.0,
            running: 0.0,
            kv: 0.0,
        };
        let silent = candidates.iter().filter(|c| c.load.is_none()).count();
        let known = candidates.len() - silent;
        if silent == 0 || known == 0 {
            // Nobody asks, or all are alike but for what was sent to them.
            return Self {
                queue: 1.0,
                running: 1.0,
                kv: 1.0,
            };
        }
        for candidate in candidates {
            if let Some(load) = &candidate.load {
                mean.queue += queue(load, candidate);
                mean.running += running(load, candidate);
                mean.kv += kv(load);
            }
        }
        let known = known as f64;
        mean.queue /= known;
        mean.running /= known;
        mean.kv /= known;
        mean
    }
}

/// Weights that add up to 1, or are all 0.
pub(crate) struct Blend(Weights);

impl Blend {
    pub(crate) fn new(weights: &Weights) -> Self {
        let sum = weights.prefix + weights.queue + weights.running + weights.kv;
        // Not times the reciprocal, which is infinite for the smallest sums.
        let by = if sum > 0.0 { sum } else { 1.0 };
        Self(Weights {
            prefix: weights.prefix / by,
            queue: weights.queue / by,
            running: weights.running / by,
            kv: weights.kv / by,
        })
    }

    /// The score of one candidate, 0 to 1.
    pub(crate) fn score(&self, candidate: &Candidate, unknown: &Unknown) -> f64 {
        let (queue, running, kv) = match &candidate.load {
            Some(load) => (queue(load, candidate), running(load, candidate), kv(load)),
            // What was sent there is known even so, and is no less than that.
            None => (
                unknown.queue,
                unknown.running.min(fewness(candidate.in_flight.requests)),
                unknown.kv,
            ),
        };
        let w = &self.0;
        w.prefix * share(candidate.prefix) + w.queue * queue + w.running * running + w.kv * kv
    }
}

/// Requests that wait, and those that the sample of the load could not know.
fn queue(load: &Load, candidate: &Candidate) -> f64 {
    fewness(
        load.waiting
            .saturating_add(candidate.in_flight.since_scrape),
    )
}

fn running(load: &Load, candidate: &Candidate) -> f64 {
    fewness(load.running.max(candidate.in_flight.requests))
}

fn kv(load: &Load) -> f64 {
    1.0 - share(load.kv_usage)
}

/// 1 for none, 0 for [`WORST_REQUESTS`] and more, logarithmic between: what
/// counts is by how many times one queue is longer than another.
fn fewness(requests: u32) -> f64 {
    (1.0 - f64::from(requests).ln_1p() / WORST_REQUESTS.ln_1p()).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loaded(waiting: u32, running: u32, kv_usage: f64) -> Candidate {
        Candidate {
            load: Some(Load {
                waiting,
                running,
                kv_usage,
            }),
            ..Candidate::default()
        }
    }

    #[test]
    fn requests_count_by_powers_of_two() {
        assert_eq!(fewness(0), 1.0);
        assert!((fewness(1) - 0.9).abs() < 1e-12);
        assert!((fewness(31) - 0.5).abs() < 1e-12);
        assert_eq!(fewness(1023), 0.0);
        assert_eq!(fewness(u32::MAX), 0.0);
    }

    #[test]
    fn an_idle_endpoint_with_the_whole_prompt_scores_1() {
        let candidate = Candidate {
            prefix: 1.0,
            ..loaded(0, 0, 0.0)
        };
        let score =
            Blend::new(&Weights::default()).score(&candidate, &Unknown::among(&[candidate]));
        assert!((score - 1.0).abs() < 1e-12, "{score}");
    }

    #[test]
    fn the_smallest_weight_of_all_still_makes_a_number() {
        let smallest = Weights {
            prefix: 5e-324,
            queue: 0.0,
            running: 0.0,
            kv: 0.0,
        };
        let candidate = Candidate {
            prefix: 0.5,
            ..loaded(0, 0, 0.0)
        };
        let score = Blend::new(&smallest).score(&candidate, &Unknown::among(&[candidate]));
        assert_eq!(score, 0.5);
    }

    #[test]
    fn who_says_nothing_stands_in_the_middle() {
        let pool = [loaded(0, 2, 0.1), Candidate::default(), loaded(9, 40, 0.9)];
        let blend = Blend::new(&Weights::default());
        let unknown = Unknown::among(&pool);
        let [best, silent, worst] = pool.map(|c| blend.score(&c, &unknown));
        assert!(best > silent && silent > worst, "{best} {silent} {worst}");
    }

    #[test]
    fn where_all_are_silent_the_own_books_decide() {
        let mut sent = Candidate::default();
        sent.in_flight.requests = 3;
        let pool = [sent, Candidate::default()];
        let blend = Blend::new(&Weights::default());
        let unknown = Unknown::among(&pool);
        assert!(blend.score(&pool[0], &unknown) < blend.score(&pool[1], &unknown));
    }
}
