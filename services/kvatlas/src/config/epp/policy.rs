//! Section `epp.policy`: how scores and load are weighed.

use router_picker::{Overload, Policy, Saturation, Weights};
use serde::{Deserialize, Serialize};
use services_runtime::config::Mistakes;

/// Every number of the picker; `docs/picking.md` explains them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct PolicySection {
    /// What the share of the prompt that is held counts.
    pub(crate) prefix_weight: f64,
    /// What waiting requests count.
    pub(crate) queue_weight: f64,
    /// What running requests count.
    pub(crate) running_weight: f64,
    /// What the KV cache's use counts.
    pub(crate) kv_weight: f64,
    /// Scores closer than this are spread.
    pub(crate) near_tie: f64,
    /// An endpoint with more waiting requests is saturated.
    pub(crate) saturated_waiting: u32,
    /// An endpoint with more of its KV cache in use is saturated.
    pub(crate) saturated_kv_usage: f64,
    /// How many tokens of work one saved token outweighs.
    pub(crate) saved_factor: f64,
    /// Work in tokens that is never worth a move.
    pub(crate) slack_tokens: u32,
    /// What a waiting request is assumed to need computed, in tokens.
    pub(crate) waiting_tokens: u32,
    /// What a running request costs a newcomer, in tokens.
    pub(crate) running_tokens: u32,
}

impl Default for PolicySection {
    fn default() -> Self {
        let Policy {
            weights,
            near_tie,
            saturation,
            overload,
        } = Policy::default();
        Self {
            prefix_weight: weights.prefix,
            queue_weight: weights.queue,
            running_weight: weights.running,
            kv_weight: weights.kv,
            near_tie,
            saturated_waiting: saturation.waiting,
            saturated_kv_usage: saturation.kv_usage,
            saved_factor: overload.saved_factor,
            slack_tokens: overload.slack_tokens,
            waiting_tokens: overload.waiting_tokens,
            running_tokens: overload.running_tokens,
        }
    }
}

impl PolicySection {
    /// For the picker.
    pub(crate) fn policy(&self) -> Policy {
        Policy {
            weights: Weights {
                prefix: self.prefix_weight,
                queue: self.queue_weight,
                running: self.running_weight,
                kv: self.kv_weight,
            },
            near_tie: self.near_tie,
            saturation: Saturation {
                waiting: self.saturated_waiting,
                kv_usage: self.saturated_kv_usage,
            },
            overload: Overload {
                saved_factor: self.saved_factor,
                slack_tokens: self.slack_tokens,
                waiting_tokens: self.waiting_tokens,
                running_tokens: self.running_tokens,
            },
        }
    }

    pub(super) fn check(&self, mistakes: &mut Mistakes) {
        let weights = [
            ("prefix_weight", self.prefix_weight),
            ("queue_weight", self.queue_weight),
            ("running_weight", self.running_weight),
            ("kv_weight", self.kv_weight),
            ("saved_factor", self.saved_factor),
        ];
        for (key, value) in weights {
            if !(0.0..=1e6).contains(&value) {
                mistakes.push(
                    format!("epp.policy.{key}"),
                    value,
                    "a number from 0 to 1000000",
                );
            }
        }
        for (key, value) in [
            ("near_tie", self.near_tie),
            ("saturated_kv_usage", self.saturated_kv_usage),
        ] {
            if !(0.0..=1.0).contains(&value) {
                mistakes.push(format!("epp.policy.{key}"), value, "a number from 0 to 1");
            }
        }
        if weights[..4].iter().all(|(_, weight)| *weight == 0.0) {
            let want = "at least one weight above 0";
            mistakes.push("epp.policy.prefix_weight", "0, as all weights", want);
        }
    }
}
