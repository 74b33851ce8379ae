//! How endpoints are picked: every number that can be set.

use crate::candidate::share;

/// Every number of the picker. The default fits chat traffic with shared
/// prefixes of some thousand tokens on engines of one kind.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Policy {
    /// What each part of a score counts.
    pub weights: Weights,
    /// Scores closer than this (0 to 1) are near-ties: the request's seed
    /// decides, in favour of the higher score. 0: only exact ties are spread.
    pub near_tie: f64,
    /// When an endpoint is saturated.
    pub saturation: Saturation,
    /// When an endpoint with the prefix is too busy for it.
    pub overload: Overload,
}

/// What each part of a score counts, relative to the others; 0 switches it off.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weights {
    /// Share of the prompt that need not be computed. 0 also keeps reusable
    /// tokens out of the overload rule: endpoints are then picked by load alone.
    pub prefix: f64,
    /// Requests that wait.
    pub queue: f64,
    /// Requests that run.
    pub running: f64,
    /// Share of the KV cache in use.
    pub kv: f64,
}

/// When an endpoint is saturated: one of the two is exceeded. The names and
/// defaults are those of the Gateway API Inference Extension.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Saturation {
    /// More requests than this wait.
    pub waiting: u32,
    /// More of the KV cache than this share is in use.
    pub kv_usage: f64,
}

/// The overload rule, in tokens: an endpoint may come first only if its work
/// and `saved_factor` times what it must compute, by the room in its cache, are at
/// most `slack_tokens` more than the least of all endpoints.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Overload {
    /// How many tokens of work one saved token outweighs while caches are empty. At 1
    /// the request itself breaks even; above 1 prefixes stay together for longer,
    /// because a prefix that is computed twice also costs those who queue behind it.
    pub saved_factor: f64,
    /// Work that is never worth a move. `u32::MAX` switches the rule off in
    /// practice.
    pub slack_tokens: u32,
    /// Tokens that a waiting request is assumed to need computed, where this
    /// picker did not send it and so cannot know.
    pub waiting_tokens: u32,
    /// What one running request costs a newcomer, in tokens of prefill: it
    /// makes every step of the batch longer. Keeps a short hot prefix from
    /// gathering all running requests.
    pub running_tokens: u32,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            weights: Weights::default(),
            near_tie: 0.001,
            saturation: Saturation::default(),
            overload: Overload::default(),
        }
    }
}

impl Default for Weights {
    fn default() -> Self {
        Self {
            prefix: 3.0,
            queue: 2.0,
            running: 1.0,
            kv: 1.0,
        }
    }
}

impl Default for Saturation {
    fn default() -> Self {
        Self {
            waiting: 5,
            kv_usage: 0.8,
        }
    }
}

impl Default for Overload {
    fn default() -> Self {
        Self {
            saved_factor: 2.0,
            slack_tokens: 2048,
            waiting_tokens: 1024,
            running_tokens: 64,
        }
    }
}

/// A policy that says nothing sensible.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum PolicyMistake {
    /// A number outside its range.
    #[error("{field} is {value}: give a number from {least} to {most}")]
    OutOfRange {
        /// The setting, as a path within the policy.
        field: &'static str,
        /// What it was set to.
        value: f64,
        /// Lower bound.
        least: f64,
        /// Upper bound.
        most: f64,
    },
    /// Nothing has a weight.
    #[error("weights are all 0: give at least one of prefix, queue, running, kv a weight above 0")]
    NoWeights,
}

/// Largest weight and factor: far beyond any use, and safe to calculate with.
const MOST: f64 = 1e6;

impl Policy {
    /// Checks the ranges. [`pick`](crate::pick) works with any policy all the
    /// same: it takes what is not a number or below a range for the range's end.
    pub fn validate(&self) -> Result<(), PolicyMistake> {
        let w = &self.weights;
        within("weights.prefix", w.prefix, MOST)?;
        within("weights.queue", w.queue, MOST)?;
        within("weights.running", w.running, MOST)?;
        within("weights.kv", w.kv, MOST)?;
        within("near_tie", self.near_tie, 1.0)?;
        within("saturation.kv_usage", self.saturation.kv_usage, 1.0)?;
        within("overload.saved_factor", self.overload.saved_factor, MOST)?;
        if w.prefix + w.queue + w.running + w.kv == 0.0 {
            return Err(PolicyMistake::NoWeights);
        }
        Ok(())
    }

    /// The same policy with every number in its range.
    pub(crate) fn in_range(&self) -> Self {
        let w = &self.weights;
        Self {
            weights: Weights {
                prefix: bounded(w.prefix),
                queue: bounded(w.queue),
                running: bounded(w.running),
                kv: bounded(w.kv),
            },
            near_tie: share(self.near_tie),
            saturation: Saturation {
                kv_usage: share(self.saturation.kv_usage),
                ..self.saturation
            },
            overload: Overload {
                saved_factor: bounded(self.overload.saved_factor),
                ..self.overload
            },
        }
    }
}

fn within(field: &'static str, value: f64, most: f64) -> Result<(), PolicyMistake> {
    if (0.0..=most).contains(&value) {
        return Ok(());
    }
    Err(PolicyMistake::OutOfRange {
        field,
        value,
        least: 0.0,
        most,
    })
}

fn bounded(value: f64) -> f64 {
    if value.is_nan() {
        0.0
    } else {
        value.clamp(0.0, MOST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_in_range() {
        assert_eq!(Policy::default().validate(), Ok(()));
        assert_eq!(Policy::default().in_range(), Policy::default());
    }

    #[test]
    fn a_mistake_names_the_field_and_the_range() {
        let mut policy = Policy::default();
        policy.weights.kv = -1.0;
        assert_eq!(
            policy.validate().unwrap_err().to_string(),
            "weights.kv is -1: give a number from 0 to 1000000"
        );
        policy.weights.kv = f64::NAN;
        assert!(policy.validate().is_err());
        assert_eq!(policy.in_range().weights.kv, 0.0);
    }

    #[test]
    fn something_must_have_a_weight() {
        let policy = Policy {
            weights: Weights {
                prefix: 0.0,
                queue: 0.0,
                running: 0.0,
                kv: 0.0,
            },
            ..Policy::default()
        };
        assert_eq!(policy.validate(), Err(PolicyMistake::NoWeights));
    }
}
