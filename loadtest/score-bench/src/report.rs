//! The figures of a run, and its aims.

use serde::Serialize;

use crate::args::Args;
use crate::keys::Keys;
use crate::latency::Latency;
use crate::load::Phase;
use crate::rate::Rate;
use crate::usage;

/// Score's median over the echo's, at most.
const ECHO_RATIO: f64 = 1.3;

/// Requests per core over Dynamo's, at least.
const DYNAMO_RATIO: f64 = 3.0;

/// p99 under events over the idle one, at most.
const LOAD_RATIO: f64 = 2.0;

/// All figures of a run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) machine: String,
    pub(crate) engines: usize,
    pub(crate) memberships: u64,
    pub(crate) prompt_tokens: usize,
    pub(crate) keys: Vec<Keys>,
    pub(crate) latency: Option<Latency>,
    pub(crate) rates: Vec<Rate>,
    pub(crate) load: Option<Vec<Phase>>,
}

impl Report {
    pub(crate) fn new(args: &Args) -> Self {
        Self {
            machine: usage::machine(),
            engines: args.engines,
            memberships: 0,
            prompt_tokens: args.tokens,
            keys: Vec::new(),
            latency: None,
            rates: Vec::new(),
            load: None,
        }
    }

    /// The aims that were measured and not reached.
    pub(crate) fn missed(&self) -> Vec<String> {
        let mut missed = Vec::new();
        if let Some(found) = self
            .latency
            .as_ref()
            .filter(|found| found.p50_ratio > ECHO_RATIO)
        {
            missed.push(format!(
                "{:.2} times the echo, not {ECHO_RATIO}",
                found.p50_ratio
            ));
        }
        for rate in self.rates.iter().filter(|rate| rate.server == "kvatlas") {
            if let Some(ratio) = rate.of_dynamo.filter(|ratio| *ratio < DYNAMO_RATIO) {
                missed.push(format!(
                    "{}: {ratio:.2} times Dynamo, not {DYNAMO_RATIO}",
                    rate.wire
                ));
            }
        }
        for phase in self
            .load
            .iter()
            .flatten()
            .filter(|phase| phase.p99_ratio > LOAD_RATIO)
        {
            let (load, ratio) = (phase.load, phase.p99_ratio);
            missed.push(format!(
                "events {load}: p99 {ratio:.2} times idle, not {LOAD_RATIO}"
            ));
        }
        missed
    }
}
