//! One process of a deployment.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use loadtest_engines::{Process, Program, wait_for_port};

use crate::probe;

/// How long a process may take to end when asked to.
const END_LIMIT: Duration = Duration::from_secs(60);

/// Lines of a log that an error shows.
const LOG_LINES: usize = 12;

/// How a member says that it is ready.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Readiness {
    /// `/readyz` on this port.
    Http(u16),
    /// It listens on this port.
    Port(u16),
}

/// A process, and how it is started.
pub(crate) struct Member {
    pub(crate) program: Program,
    pub(crate) readiness: Readiness,
    /// The folder that holds its data.
    pub(crate) data: Option<PathBuf>,
    process: Option<Process>,
}

impl Member {
    pub(crate) fn new(program: Program, readiness: Readiness, data: Option<PathBuf>) -> Self {
        Self {
            program,
            readiness,
            data,
            process: None,
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.program.name
    }

    pub(crate) fn start(mut self) -> Result<Self> {
        self.process = Some(self.program.start()?);
        Ok(self)
    }

    /// Waits until it is ready. Returns how long that took.
    pub(crate) async fn ready(&mut self, limit: Duration) -> Result<Duration> {
        let started = std::time::Instant::now();
        let (readiness, process) = (self.readiness, self.process_mut()?);
        let waited = match readiness {
            Readiness::Http(port) => probe::ready(process, port, limit).await.map(drop),
            Readiness::Port(port) => wait_for_port(port, limit).await,
        };
        waited.with_context(|| self.complaint())?;
        Ok(started.elapsed())
    }

    /// Ends it, by SIGTERM or SIGKILL, and starts it again. Returns how long it
    /// took from the start until it was ready.
    pub(crate) async fn restart(&mut self, kill: bool) -> Result<Duration> {
        let process = self.process_mut()?;
        if kill {
            process.kill().await?;
        } else {
            process.terminate(END_LIMIT).await.map(drop)?;
        }
        self.process = Some(self.program.start()?);
        self.ready(super::READY_LIMIT).await
    }

    pub(crate) fn id(&self) -> Result<u32> {
        Ok(self.process()?.id())
    }

    /// The most memory that was ever resident, in bytes.
    pub(crate) fn peak_bytes(&self) -> Result<u64> {
        self.process()?.peak_bytes()
    }

    /// The memory that is resident, in bytes.
    pub(crate) fn resident_bytes(&self) -> Result<u64> {
        self.process()?.resident_bytes()
    }

    fn process(&self) -> Result<&Process> {
        let process = self.process.as_ref();
        process.ok_or_else(|| anyhow!("{} is not running", self.name()))
    }

    fn process_mut(&mut self) -> Result<&mut Process> {
        let name = &self.program.name;
        self.process
            .as_mut()
            .ok_or_else(|| anyhow!("{name} is not running"))
    }

    /// The end of its log, for whoever has to find out.
    fn complaint(&self) -> String {
        let log = self.program.log.as_ref().map(fs::read_to_string);
        let text = log.and_then(Result::ok).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let tail = &lines[lines.len().saturating_sub(LOG_LINES)..];
        format!(
            "{} is not ready; it said:\n{}",
            self.name(),
            tail.join("\n")
        )
    }
}
