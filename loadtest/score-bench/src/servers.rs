//! The processes that are asked.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use loadtest_engines::{Process, Program, free_ports, wait_for_port};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

/// How long a process may take to listen.
const READY_LIMIT: Duration = Duration::from_secs(60);

/// `kvatlas standalone`, and where it is reached.
pub(crate) struct Kvatlas {
    process: Process,
    pub(crate) events: String,
    pub(crate) grpc: u16,
    pub(crate) http: u16,
}

impl Kvatlas {
    /// Engines are called by their numbers, as the other indexer calls them.
    pub(crate) async fn start(binary: &Path, folder: &TempDir, names: &[String]) -> Result<Self> {
        let [events, grpc, http] = free_ports().await?;
        let instances: Map<String, Value> = names
            .iter()
            .enumerate()
            .map(|(number, address)| (format!("default/{address}"), json!(number.to_string())))
            .collect();
        let settings = json!({
            "telemetry": { "log_level": "warn" },
            "ingest": { "bind": [{ "address": format!("tcp://127.0.0.1:{events}") }] },
            "scorer": {
                "grpc": format!("127.0.0.1:{grpc}"),
                "http": format!("127.0.0.1:{http}"),
                "instances": instances,
            },
        });
        let file = folder.path().join("kvatlas.yaml");
        // Whatever is JSON is YAML too.
        std::fs::write(&file, serde_json::to_vec_pretty(&settings)?)?;
        let args = ["standalone", "--config", &file.display().to_string()];
        let process = start("kvatlas", binary, &args, folder)?;
        for port in [events, grpc, http] {
            wait_for_port(port, READY_LIMIT).await.context("kvatlas")?;
        }
        Ok(Self {
            process,
            events: format!("tcp://127.0.0.1:{events}"),
            grpc,
            http,
        })
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }
}

/// A server with one port.
pub(crate) struct Server {
    process: Process,
    pub(crate) port: u16,
}

impl Server {
    /// Dynamo's standalone indexer.
    pub(crate) async fn dynamo(binary: &Path, folder: &TempDir, threads: usize) -> Result<Self> {
        let [port] = free_ports().await?;
        let (number, threads) = (port.to_string(), threads.to_string());
        let args = ["--port", &number, "--threads", &threads];
        Self::listening(start("dynamo", binary, &args, folder)?, port).await
    }

    /// This binary as an echo.
    pub(crate) async fn echo(folder: &TempDir, endpoints: usize) -> Result<Self> {
        let [port] = free_ports().await?;
        let binary = std::env::current_exe()?;
        let (number, endpoints) = (port.to_string(), endpoints.to_string());
        let args = ["echo", "--port", &number, "--endpoints", &endpoints];
        Self::listening(start("echo", &binary, &args, folder)?, port).await
    }

    async fn listening(process: Process, port: u16) -> Result<Self> {
        wait_for_port(port, READY_LIMIT).await?;
        Ok(Self { process, port })
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }
}

fn start(name: &str, binary: &Path, args: &[&str], folder: &TempDir) -> Result<Process> {
    let program = Program {
        name: name.to_owned(),
        binary: binary.to_owned(),
        args: args.iter().map(|arg| (*arg).to_owned()).collect(),
        variables: Vec::new(),
        log: Some(folder.path().join(format!("{name}.log"))),
    };
    program.start()
}
