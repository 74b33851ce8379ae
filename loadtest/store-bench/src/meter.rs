//! Processor time while something happens.

use std::time::Instant;

use anyhow::Result;

use crate::deployment::Deployment;
use crate::report::ProcessUse;
use crate::usage::{machine_processor_seconds, processor_seconds};

/// Reads what every process has used, at the start and at the end.
pub(crate) struct Meter {
    started: Instant,
    machine_before: f64,
    before: Vec<(String, u32, f64)>,
}

impl Meter {
    pub(crate) fn start(deployment: &Deployment) -> Result<Self> {
        let mut before = Vec::new();
        for member in &deployment.members {
            let id = member.id()?;
            before.push((member.name().to_owned(), id, processor_seconds(id)?));
        }
        let id = std::process::id();
        before.push(("(benchmark)".to_owned(), id, processor_seconds(id)?));
        Ok(Self {
            started: Instant::now(),
            machine_before: machine_processor_seconds()?,
            before,
        })
    }

    /// What each process used since the start, during which so many block events
    /// passed.
    pub(crate) fn stop(&self, deployment: &Deployment, events: u64) -> Result<Vec<ProcessUse>> {
        let seconds = self.started.elapsed().as_secs_f64();
        // What is left is of processes that have nothing to do with this.
        let mut others = machine_processor_seconds()? - self.machine_before;
        let mut processes = Vec::new();
        for (index, (process, id, before)) in self.before.iter().enumerate() {
            let used = processor_seconds(*id)? - before;
            others -= used;
            let member = deployment.members.get(index);
            processes.push(ProcessUse {
                process: process.clone(),
                processor_seconds_per_million: used * 1e6 / events.max(1) as f64,
                processor_share: used / seconds,
                resident_bytes: member.map_or(Ok(0), |member| member.resident_bytes())?,
            });
        }
        processes.push(ProcessUse {
            process: "(others)".to_owned(),
            processor_seconds_per_million: others.max(0.0) * 1e6 / events.max(1) as f64,
            processor_share: others.max(0.0) / seconds,
            resident_bytes: 0,
        });
        Ok(processes)
    }
}
