//! The documented fleet in a size that two cores can serve in a few minutes.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::calibration::PathCalibration;
use crate::{FleetCalibration, FleetOptions, Stage, Workload};

/// What a comparison is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct WallOptions {
    /// Decides arrivals and ties.
    pub seed: u64,
    /// How many.
    pub engines: usize,
    /// Customers, each with five users.
    pub customers: u32,
    /// Prompts, replies and caches have so many times fewer tokens than the
    /// documented ones, and each token takes so many times longer: a prompt keeps
    /// its engine busy for as long.
    pub shrink: u32,
    /// Engines are so many times faster than that.
    pub faster: f64,
    /// Tokens per block.
    pub block_size: u32,
    /// Brings every prompt into the caches.
    pub warm_up: Stage,
    /// Measured; in real seconds.
    pub stages: Vec<Stage>,
    /// How long a score may take before a request goes by load. Engines, processes
    /// and client share a machine: where that is busy, the default is soon over.
    pub score: Duration,
    /// Runs in virtual time, whose mean is compared with.
    pub repeats: u64,
}

impl Default for WallOptions {
    fn default() -> Self {
        Self {
            seed: 42,
            engines: 8,
            customers: 150,
            shrink: 10,
            faster: 2.5,
            block_size: 16,
            warm_up: stage(30, 25),
            stages: vec![stage(20, 10), stage(40, 15), stage(60, 20)],
            score: Duration::from_millis(200),
            repeats: 16,
        }
    }
}

fn stage(rate: u32, seconds: u32) -> Stage {
    Stage { rate, seconds }
}

impl WallOptions {
    /// The same fleet for both clocks. Nothing is modelled that really takes time in
    /// the processes: the way of a request and its tokenising are left out, and the
    /// gateway has no limit.
    ///
    /// # Errors
    /// Names the first number that is wrong.
    pub fn fleet(&self) -> Result<FleetOptions> {
        ensure!(
            (1..=100).contains(&self.shrink),
            "shrink is {}; give 1 to 100",
            self.shrink
        );
        ensure!(
            (0.01..=100.0).contains(&self.faster),
            "faster is {}; give 0.01 to 100",
            self.faster
        );
        ensure!(
            (1..=200).contains(&self.engines),
            "engines is {}; give 1 to 200",
            self.engines
        );
        ensure!(
            (1..=1_000).contains(&self.repeats),
            "repeats is {}; give 1 to 1000",
            self.repeats
        );
        ensure!(
            (1..=30_000).contains(&self.score.as_millis()),
            "score is {:?}; give 1 ms to 30 s",
            self.score
        );
        let documented = FleetOptions::default();
        let published = &documented.workload;
        let fleet = FleetOptions {
            seed: self.seed,
            engines: self.engines,
            kv_tokens: documented.kv_tokens / self.shrink as usize,
            block_size: self.block_size,
            in_flight_limit: None,
            calibration: self.calibration(&documented.calibration),
            workload: Workload {
                customers: self.customers,
                context_tokens: published.context_tokens / self.shrink,
                question_tokens: published.question_tokens / self.shrink,
                reply_tokens: published.reply_tokens / self.shrink,
                warm_up: self.warm_up,
                stages: self.stages.clone(),
                pause: Duration::from_secs(1),
                ..published.clone()
            },
            ..documented
        };
        fleet.validate().context("the fleet's options are wrong")?;
        Ok(fleet)
    }

    fn calibration(&self, documented: &FleetCalibration) -> FleetCalibration {
        let dearer = f64::from(self.shrink);
        FleetCalibration {
            step: documented.step / self.faster,
            prefill: documented.prefill * dearer / self.faster,
            prefill_attention: documented.prefill_attention * dearer * dearer / self.faster,
            decode: documented.decode / self.faster,
            decode_context: documented.decode_context * dearer / self.faster,
            admission_per_token: 0.0,
            path: PathCalibration {
                mean: 0.0,
                p90: 0.0,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_smaller_prompt_takes_as_long_as_the_documented_one() {
        let documented = FleetOptions::default();
        let options = WallOptions {
            faster: 1.0,
            ..WallOptions::default()
        };
        let small = options.fleet().unwrap();
        let time = |fleet: &FleetOptions| {
            let (tokens, of) = (
                f64::from(fleet.workload.prompt_tokens()),
                &fleet.calibration,
            );
            of.prefill * tokens + of.prefill_attention * tokens * tokens / 2.0
        };
        assert_eq!(small.workload.prompt_tokens(), 720);
        assert!((time(&small) / time(&documented) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn wrong_numbers_are_named() {
        let wrong = |change: fn(&mut WallOptions)| {
            let mut options = WallOptions::default();
            change(&mut options);
            format!("{:#}", options.fleet().unwrap_err())
        };
        assert_eq!(wrong(|o| o.shrink = 0), "shrink is 0; give 1 to 100");
        assert_eq!(wrong(|o| o.faster = 0.0), "faster is 0; give 0.01 to 100");
        assert_eq!(wrong(|o| o.engines = 201), "engines is 201; give 1 to 200");
        assert_eq!(wrong(|o| o.repeats = 0), "repeats is 0; give 1 to 1000");
        let none = wrong(|o| o.score = Duration::ZERO);
        assert_eq!(none, "score is 0ns; give 1 ms to 30 s");
        assert!(wrong(|o| o.customers = 0).contains("customers is 0"));
    }
}
