//! Processes under test: started, signalled, measured, and killed when dropped.

use std::fs::{self, OpenOptions};
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::time::Instant;

/// Ports below those that the system gives to outgoing connections: nobody takes
/// one by chance while the process that owns it is down.
const PORTS: std::ops::Range<u16> = 10_000..32_000;

/// How a process is started; again and again, the same way.
#[derive(Debug, Clone)]
pub struct Program {
    /// What reports call it.
    pub name: String,
    /// The executable file.
    pub binary: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Variables added to this process's own.
    pub variables: Vec<(String, String)>,
    /// Where its output is appended. None: this process's own.
    pub log: Option<PathBuf>,
}

/// A running process; killed when dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    id: u32,
}

impl Program {
    /// Starts it. It is not waited for.
    ///
    /// # Errors
    /// If there is no such program, or its log cannot be written.
    pub fn start(&self) -> Result<Process> {
        let mut command = Command::new(&self.binary);
        command
            .args(&self.args)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .kill_on_drop(true);
        if let Some(log) = &self.log {
            let log = OpenOptions::new().create(true).append(true).open(log);
            let log = log.with_context(|| format!("log of {}", self.name))?;
            command.stdout(log.try_clone()?).stderr(log);
        }
        let child = command
            .spawn()
            .with_context(|| format!("start {} ({})", self.name, self.binary.display()))?;
        let id = child.id().context("a process just started has an id")?;
        Ok(Process {
            name: self.name.clone(),
            child,
            id,
        })
    }
}

impl Process {
    /// The system's number of it.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// How it ended; `None` while it runs.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// SIGKILL. On return it is gone.
    ///
    /// # Errors
    /// If the system refuses.
    pub async fn kill(&mut self) -> Result<()> {
        let killed = self.child.kill().await;
        killed.with_context(|| format!("kill {}", self.name))
    }

    /// SIGTERM, and how it ended.
    ///
    /// # Errors
    /// If it does not end within the limit; then it is killed.
    pub async fn terminate(&mut self, limit: Duration) -> Result<ExitStatus> {
        self.signal("TERM").await?;
        match tokio::time::timeout(limit, self.child.wait()).await {
            Ok(status) => Ok(status?),
            Err(_) => {
                self.kill().await?;
                bail!("{} did not end within {limit:?} of SIGTERM", self.name)
            }
        }
    }

    /// Any signal, by its name without `SIG`.
    ///
    /// # Errors
    /// If it has ended already.
    pub async fn signal(&self, name: &str) -> Result<()> {
        let id = self.id.to_string();
        let mut command = Command::new("kill");
        let sent = command.args(["-s", name, &id]).stderr(Stdio::null());
        if !sent.status().await.context("run kill")?.success() {
            bail!("{} has ended and takes no SIG{name}", self.name);
        }
        Ok(())
    }

    /// Resident memory in bytes, as the system counts it.
    ///
    /// # Errors
    /// If it has ended.
    pub fn resident_bytes(&self) -> Result<u64> {
        self.status_kib("VmRSS:").map(|kib| kib << 10)
    }

    /// The most memory that was ever resident, in bytes.
    ///
    /// # Errors
    /// If it has ended.
    pub fn peak_bytes(&self) -> Result<u64> {
        self.status_kib("VmHWM:").map(|kib| kib << 10)
    }

    fn status_kib(&self, field: &str) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id))
            .with_context(|| format!("{} has ended", self.name))?;
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        let kib = line.and_then(|line| line.split_whitespace().next());
        Ok(kib.with_context(|| format!("no {field}"))?.parse()?)
    }
}

/// A port on 127.0.0.1 that nobody listens on, and that this process is not given
/// again soon.
///
/// # Errors
/// If none is found.
pub async fn free_port() -> Result<u16> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let width = PORTS.end - PORTS.start;
    // Processes that run beside this one begin elsewhere.
    let first = u16::try_from(std::process::id().wrapping_mul(797) % u32::from(width))?;
    for _ in 0..width {
        let offset = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = PORTS.start + (first.wrapping_add(offset)) % width;
        if TcpListener::bind(("127.0.0.1", port)).await.is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port in {PORTS:?}")
}

/// Several of [`free_port`].
///
/// # Errors
/// If there are not so many.
pub async fn free_ports<const N: usize>() -> Result<[u16; N]> {
    let mut ports = [0; N];
    for port in &mut ports {
        *port = free_port().await?;
    }
    Ok(ports)
}

/// Returns when something listens on a port of 127.0.0.1.
///
/// # Errors
/// If nothing does within the limit.
pub async fn wait_for_port(port: u16, limit: Duration) -> Result<()> {
    let deadline = Instant::now() + limit;
    while Instant::now() < deadline {
        if TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    bail!("nothing listens on port {port} after {limit:?}")
}
