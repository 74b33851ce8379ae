//! How fast everything is: the study's inputs, fixed before any run.

use std::time::Duration;

use loadtest_engine_sim::engine::Calibration;
use serde::{Deserialize, Serialize};

/// Engines, and the way to them. Times are in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FleetCalibration {
    /// Of every step of an engine.
    pub step: f64,
    /// Per prompt token computed.
    pub prefill: f64,
    /// Per prompt token computed and token before it.
    pub prefill_attention: f64,
    /// Per sequence that generates.
    pub decode: f64,
    /// Per token in the context of a sequence that generates.
    pub decode_context: f64,
    /// Per prompt token, between the router and the engine's queue.
    pub admission_per_token: f64,
    /// From the client to the router and back.
    pub path: PathCalibration,
}

/// Time that a first token spends outside of engines: clients, gateways, streams.
/// Log-normal.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PathCalibration {
    /// Mean, in seconds.
    pub mean: f64,
    /// Nine of ten are faster, in seconds.
    pub p90: f64,
}

impl Default for FleetCalibration {
    /// Qwen3-32B on two H100 per engine; `docs/fleet.md` derives each number.
    fn default() -> Self {
        Self {
            step: 0.0198,
            prefill: 63.1e-6,
            prefill_attention: 2.12e-9,
            decode: 0.0,
            decode_context: 43.5e-9,
            admission_per_token: 2.5e-6,
            path: PathCalibration {
                mean: 0.180,
                p90: 0.385,
            },
        }
    }
}

/// A calibration that says nothing sensible.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CalibrationError {
    /// A number outside its range.
    #[error("{field} is {value}; give seconds from 0 to 10")]
    OutOfRange {
        /// Which.
        field: &'static str,
        /// What it was set to.
        value: f64,
    },
    /// No step of an engine may take no time at all.
    #[error("step is 0; give the time of an empty step, 0.02 say")]
    NoStep,
    /// No log-normal distribution is like that.
    #[error("path.p90 ({p90}) must be from path.mean ({mean}) to 2.2 times that")]
    Path {
        /// `path.mean`.
        mean: f64,
        /// `path.p90`.
        p90: f64,
    },
}

impl FleetCalibration {
    /// Checks the ranges.
    ///
    /// # Errors
    /// Names the first field that is wrong.
    pub fn validate(&self) -> Result<(), CalibrationError> {
        let fields = [
            ("step", self.step),
            ("prefill", self.prefill),
            ("prefill_attention", self.prefill_attention),
            ("decode", self.decode),
            ("decode_context", self.decode_context),
            ("admission_per_token", self.admission_per_token),
            ("path.mean", self.path.mean),
            ("path.p90", self.path.p90),
        ];
        for (field, value) in fields {
            if !(0.0..=10.0).contains(&value) {
                return Err(CalibrationError::OutOfRange { field, value });
            }
        }
        if self.step == 0.0 {
            return Err(CalibrationError::NoStep);
        }
        let PathCalibration { mean, p90 } = self.path;
        if !(mean..=2.2 * mean).contains(&p90) {
            return Err(CalibrationError::Path { mean, p90 });
        }
        Ok(())
    }

    /// What engines are given. The way to them is not theirs: vLLM's queue does not
    /// count requests that are still being tokenised.
    pub(crate) fn engine(&self) -> Calibration {
        Calibration {
            request: 0.0,
            request_per_token: 0.0,
            step: self.step,
            prefill: self.prefill,
            prefill_attention: self.prefill_attention,
            decode: self.decode,
            decode_context: self.decode_context,
        }
    }

    pub(crate) fn admission(&self, prompt_tokens: u32) -> Duration {
        Duration::from_secs_f64(self.admission_per_token * f64::from(prompt_tokens))
    }

    /// What an engine needs for the part of a prompt that it did not find.
    pub(crate) fn computed(&self, prompt_tokens: u32, cached_tokens: u32) -> Duration {
        let cached = f64::from(cached_tokens);
        let computed = (f64::from(prompt_tokens) - cached).max(0.0);
        let pairs = computed * (cached + computed / 2.0);
        Duration::from_secs_f64(self.prefill * computed + self.prefill_attention * pairs)
    }
}
