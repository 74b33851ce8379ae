//! One process of the system under test: started, killed, frozen, started again.

use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Result, bail};
use loadtest_engines::{Process, Program};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::cluster::CLOCK_VARIABLE;
use crate::links::{Links, Who};

/// How long a process may take to become ready.
pub(crate) const READY_LIMIT: Duration = Duration::from_secs(60);

/// How long a process may take to end when asked to.
const DRAIN_LIMIT: Duration = Duration::from_secs(60);

/// One answer of a readiness probe may take so long.
const PROBE_LIMIT: Duration = Duration::from_secs(2);

/// What is known of a member from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Standing {
    /// Processes started so far; tells one from the next.
    pub(crate) starts: u64,
    /// Whether it runs and is not frozen.
    pub(crate) running: bool,
}

/// How a process says that it is ready.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Probe {
    /// `/readyz` at this port.
    Http(u16),
    /// `PING` to a Redis at this port.
    Redis(u16),
}

/// A process with fixed ports.
pub(crate) struct Member {
    pub(crate) who: Who,
    pub(crate) program: Program,
    probe: Probe,
    process: Option<Process>,
    standing: watch::Sender<Standing>,
    links: Links,
}

impl Member {
    pub(crate) fn new(who: Who, program: Program, probe: Probe, links: Links) -> Self {
        Self {
            who,
            program,
            probe,
            process: None,
            standing: watch::channel(Standing::default()).0,
            links,
        }
    }

    /// Follows whether it runs.
    pub(crate) fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }

    /// How it says that it is ready.
    pub(crate) fn probe(&self) -> Probe {
        self.probe
    }

    /// Whether there is a process, frozen or not.
    pub(crate) fn is_up(&self) -> bool {
        self.process.is_some()
    }

    /// The file that it reads its time from, if it has one.
    pub(crate) fn clock(&self) -> Option<&str> {
        let mut variables = self.program.variables.iter();
        let found = variables.find(|(name, _)| name == CLOCK_VARIABLE);
        found.map(|(_, file)| file.as_str())
    }

    /// Starts it; it is not waited for.
    pub(crate) fn start(&mut self) -> Result<()> {
        if self.is_up() {
            return Ok(());
        }
        let process = self.program.start()?;
        self.links.started(process.id(), self.who);
        self.process = Some(process);
        self.standing.send_modify(|standing| {
            standing.starts += 1;
            standing.running = true;
        });
        Ok(())
    }

    /// SIGKILL.
    pub(crate) async fn kill(&mut self) -> Result<()> {
        self.set_running(false);
        if let Some(mut process) = self.process.take() {
            self.links.ended(process.id());
            process.kill().await?;
        }
        Ok(())
    }

    /// SIGTERM; it must end well, and in time.
    pub(crate) async fn terminate(&mut self) -> Result<()> {
        let Some(mut process) = self.process.take() else {
            return Ok(());
        };
        let ended = process.terminate(DRAIN_LIMIT).await;
        self.set_running(false);
        self.links.ended(process.id());
        let status = ended?;
        if !status.success() {
            bail!("{} ended with {status} on SIGTERM", self.who);
        }
        Ok(())
    }

    /// SIGSTOP.
    pub(crate) async fn freeze(&mut self) -> Result<()> {
        if let Some(process) = &self.process {
            self.set_running(false);
            process.signal("STOP").await?;
        }
        Ok(())
    }

    /// SIGCONT.
    pub(crate) async fn thaw(&mut self) -> Result<()> {
        if let Some(process) = &self.process {
            process.signal("CONT").await?;
            self.set_running(true);
        }
        Ok(())
    }

    /// How it ended, if it did so without being asked to.
    pub(crate) fn ended_by_itself(&mut self) -> Option<ExitStatus> {
        let status = self.process.as_mut()?.ended()?;
        if let Some(process) = self.process.take() {
            self.links.ended(process.id());
        }
        self.set_running(false);
        Some(status)
    }

    /// Waits for a process that should end by itself.
    pub(crate) async fn wait_for_end(&mut self, limit: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.ended_by_itself() {
                return Ok(status);
            }
            if Instant::now() > deadline {
                bail!("{} has not ended within {limit:?}", self.who);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until its `/readyz` says so.
    pub(crate) async fn ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + READY_LIMIT;
        let mut said = String::new();
        while Instant::now() < deadline {
            if let Some(status) = self.ended_by_itself() {
                bail!(
                    "{} ended with {status} while it started{}",
                    self.who,
                    self.log_end()
                );
            }
            match self.probe.ask().await {
                Ok(answer) if answer.ready => return Ok(()),
                Ok(answer) => said = answer.said,
                Err(error) => said = error.to_string(),
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        bail!("{} is not ready after {READY_LIMIT:?}: {said}", self.who)
    }

    /// The last lines of its log, for a message.
    pub(crate) fn log_end(&self) -> String {
        let Some(path) = &self.program.log else {
            return String::new();
        };
        format!("; its log ends:\n{}", last_lines(path, 5))
    }

    fn set_running(&self, running: bool) {
        self.standing
            .send_modify(|standing| standing.running = running);
    }
}

fn last_lines(path: &Path, count: usize) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

/// What a probe was answered.
pub(crate) struct Answer {
    pub(crate) ready: bool,
    pub(crate) said: String,
}

impl Probe {
    /// One question.
    pub(crate) async fn ask(self) -> Result<Answer> {
        match self {
            Self::Http(port) => {
                let request =
                    "GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
                let said = exchange(port, request).await?;
                let ready = said.split_whitespace().nth(1) == Some("200");
                Ok(Answer { ready, said })
            }
            Self::Redis(port) => {
                let said = exchange(port, "PING\r\nQUIT\r\n").await?;
                let ready = said.starts_with("+PONG");
                Ok(Answer { ready, said })
            }
        }
    }
}

/// Sends, and reads to the end.
async fn exchange(port: u16, request: &str) -> Result<String> {
    let exchange = async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = tokio::time::timeout(PROBE_LIMIT, exchange).await??;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
