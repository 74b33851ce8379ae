//! What a study is made of.

use std::time::Duration;

use loadtest_engine_sim::engine::{ConfigError, EngineConfig};

use router_picker::PolicyMistake;

use crate::{CalibrationError, FleetCalibration, PolicyChange, PublishedScorer, Workload, policy};

/// One study. Every strategy is given the same.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct FleetOptions {
    /// Decides arrivals, ways and ties.
    pub seed: u64,
    /// Decides ties and chance differently under the same load.
    pub ties: u64,
    /// How many.
    pub engines: usize,
    /// Routers with books of their own; each request goes to any of them.
    pub pickers: usize,
    /// Tokens of each engine's KV cache.
    pub kv_tokens: usize,
    /// Tokens per block.
    pub block_size: u32,
    /// How old an engine's load may become.
    pub scrape: Duration,
    /// From an engine's step to the index.
    pub event_delay: Duration,
    /// How long a speculative route counts.
    pub speculation: Duration,
    /// Requests between the gateway and engines, above which the gateway answers
    /// 503; `None`: no limit.
    pub in_flight_limit: Option<usize>,
    /// What our strategies pick by, where it is not the default.
    pub policy: Vec<PolicyChange>,
    /// What the model of the published estimated scorer sees and remembers.
    pub published_scorer: PublishedScorer,
    /// Whether what deciding takes and how large the index becomes is measured: it
    /// differs a little from run to run.
    pub costs: bool,
    /// Times.
    pub calibration: FleetCalibration,
    /// The load.
    pub workload: Workload,
}

impl Default for FleetOptions {
    fn default() -> Self {
        Self {
            seed: 42,
            ties: 0,
            engines: 8,
            pickers: 1,
            kv_tokens: 307_328,
            block_size: 64,
            scrape: Duration::from_millis(200),
            event_delay: Duration::from_millis(20),
            speculation: Duration::from_secs(5),
            in_flight_limit: Some(1_024),
            policy: Vec::new(),
            published_scorer: PublishedScorer::default(),
            costs: false,
            calibration: FleetCalibration::default(),
            workload: Workload::published(),
        }
    }
}

/// Options that contradict each other.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum OptionError {
    /// A number that is too small or too large.
    #[error("{field} is {value}; give {least} to {most}")]
    OutOfRange {
        /// Which.
        field: &'static str,
        /// What it was set to.
        value: u64,
        /// Lower bound.
        least: u64,
        /// Upper bound.
        most: u64,
    },
    /// No engine can be like that.
    #[error("engines cannot be made")]
    Engine(#[from] ConfigError),
    /// The picker does not take such a policy.
    #[error("the policy is wrong")]
    Policy(#[from] PolicyMistake),
    /// Times are wrong.
    #[error("the calibration is wrong")]
    Calibration(#[from] CalibrationError),
}

impl FleetOptions {
    /// Checks the ranges.
    ///
    /// # Errors
    /// Names the first field that is wrong.
    pub fn validate(&self) -> Result<(), OptionError> {
        let load = &self.workload;
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let stages = || load.stages.iter().chain([&load.warm_up]);
        let requests = stages().map(|stage| stage.requests()).max().unwrap_or(0);
        let fields = [
            ("engines", self.engines as u64, 1, 65_000),
            ("pickers", self.pickers as u64, 1, 1_000),
            ("block_size", u64::from(self.block_size), 1, 65_536),
            ("customers", u64::from(load.customers), 1, 1_000_000),
            ("users", u64::from(load.users), 1, 1_000),
            (
                "context_tokens",
                u64::from(load.context_tokens),
                0,
                1_000_000,
            ),
            (
                "question_tokens",
                u64::from(load.question_tokens),
                1,
                1_000_000,
            ),
            ("reply_tokens", u64::from(load.reply_tokens), 1, 1_000_000),
            (
                "hot_share in hundredths",
                (load.hot_share * 100.0).ceil() as u64,
                0,
                100,
            ),
            ("stages", load.stages.len() as u64, 1, 1_000),
            ("requests of a stage", requests as u64, 1, 10_000_000),
            ("scrape", millis(self.scrape), 1, 3_600_000),
            ("event_delay", millis(self.event_delay), 0, 3_600_000),
            ("speculation", millis(self.speculation), 0, 3_600_000),
            (
                "published_scorer.blocks",
                self.published_scorer.blocks as u64,
                1,
                1 << 20,
            ),
            (
                "published_scorer.remembered",
                u64::from(self.published_scorer.remembered),
                1,
                1 << 30,
            ),
            (
                "in_flight_limit",
                self.in_flight_limit.map_or(1, |limit| limit as u64),
                1,
                u64::MAX,
            ),
        ];
        for (field, value, least, most) in fields {
            if !(least..=most).contains(&value) {
                return Err(OptionError::OutOfRange {
                    field,
                    value,
                    least,
                    most,
                });
            }
        }
        policy::changed(&self.policy).validate()?;
        self.calibration.validate()?;
        loadtest_engine_sim::engine::Engine::new(&self.engine())?;
        Ok(())
    }

    /// vLLM's defaults where nothing is published.
    pub(crate) fn engine(&self) -> EngineConfig {
        let longest = self.workload.prompt_tokens() + self.workload.reply_tokens;
        EngineConfig {
            block_size: self.block_size as usize,
            kv_tokens: self.kv_tokens,
            max_model_len: longest as usize,
            calibration: self.calibration.engine(),
            ..EngineConfig::default()
        }
    }
}
