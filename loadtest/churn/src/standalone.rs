//! The process under test.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use loadtest_engines::{Process, Program, free_ports, wait_for_port};

/// How long it may take to answer.
const START_LIMIT: Duration = Duration::from_secs(30);

/// A `kvatlas standalone` on ports of its own; killed when dropped.
pub(crate) struct Standalone {
    process: Process,
    /// Where engines connect.
    pub(crate) events: String,
    /// The scorer's gRPC URL.
    pub(crate) grpc: String,
}

impl Standalone {
    pub(crate) async fn start(binary: &Path) -> Result<Self> {
        let [events, grpc, http] = free_ports().await?;
        let args = [
            "standalone".to_owned(),
            format!("--bind=tcp://127.0.0.1:{events}"),
            format!("--grpc=127.0.0.1:{grpc}"),
            format!("--http=127.0.0.1:{http}"),
            "--set=telemetry.log_level=warn".to_owned(),
        ];
        let program = Program {
            name: "kvatlas".to_owned(),
            binary: binary.to_owned(),
            args: args.to_vec(),
            variables: Vec::new(),
            log: None,
        };
        let process = program
            .start()
            .context("build it with cargo build --release")?;
        wait_for_port(events, START_LIMIT).await?;
        wait_for_port(grpc, START_LIMIT).await?;
        Ok(Self {
            process,
            events: format!("tcp://127.0.0.1:{events}"),
            grpc: format!("http://127.0.0.1:{grpc}"),
        })
    }

    /// Resident memory, as the system counts it.
    pub(crate) fn resident_bytes(&self) -> Result<u64> {
        self.process.resident_bytes()
    }
}
