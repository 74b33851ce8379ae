//! The process under test.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

/// How long it may take to answer.
const START_LIMIT: Duration = Duration::from_secs(30);

/// A `kvatlas standalone` on ports of its own; killed when dropped.
pub(crate) struct Standalone {
    child: Child,
    /// Where engines connect.
    pub(crate) events: String,
    /// The scorer's gRPC URL.
    pub(crate) grpc: String,
}

impl Standalone {
    pub(crate) async fn start(binary: &Path) -> Result<Self> {
        let (events, grpc, http) = (free_port().await?, free_port().await?, free_port().await?);
        let child = Command::new(binary)
            .arg("standalone")
            .args(["--bind", &format!("tcp://127.0.0.1:{events}")])
            .args(["--grpc", &format!("127.0.0.1:{grpc}")])
            .args(["--http", &format!("127.0.0.1:{http}")])
            .args(["--set", "telemetry.log_level=warn"])
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| {
                format!(
                    "start {}; build it with cargo build --release",
                    binary.display()
                )
            })?;
        let started = Self {
            child,
            events: format!("tcp://127.0.0.1:{events}"),
            grpc: format!("http://127.0.0.1:{grpc}"),
        };
        wait_for(events).await?;
        wait_for(grpc).await?;
        Ok(started)
    }

    /// Resident memory, as the system counts it.
    pub(crate) fn resident_bytes(&self) -> Result<u64> {
        let pid = self
            .child
            .id()
            .ok_or_else(|| anyhow!("kvatlas has exited"))?;
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let kib: u64 = line
            .and_then(|line| line.split_whitespace().nth(1))
            .context("no VmRSS")?
            .parse()?;
        Ok(kib << 10)
    }
}

async fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0").await?.local_addr()?.port())
}

async fn wait_for(port: u16) -> Result<()> {
    let deadline = tokio::time::Instant::now() + START_LIMIT;
    while tokio::time::Instant::now() < deadline {
        if tokio::net::TcpStream::connect(("127.0.0.1", port))
            .await
            .is_ok()
        {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    bail!("nothing listens on port {port} after {START_LIMIT:?}")
}
