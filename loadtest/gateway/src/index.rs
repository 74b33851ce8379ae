//! The index that a picker asks: `kvatlas standalone` as a process.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, bail};
use loadtest_engines::{Process, Program, free_ports};
use serde_json::json;
use tokio::time::Instant;

use crate::programs::log_variables;
use crate::usage::is_stopped;
use crate::{Client, LIMIT, Log, Metrics, Programs, eventually, get};

/// What an index is started with.
#[derive(Debug, Clone)]
pub struct IndexSetup {
    /// The model's name.
    pub model: String,
    /// Its tokenizer and chat template.
    pub tokenizer: PathBuf,
    /// Tokens per block.
    pub block_size: u32,
    /// `PYTHONHASHSEED` of the engines; none: keys are computed from tokens.
    pub hash_seed: Option<u64>,
    /// The port of the engines' replay sockets.
    pub replay_port: Option<u16>,
}

/// Ingestor, store and scorer in one process; killed when dropped.
#[derive(Debug)]
pub struct Index {
    program: Program,
    process: Process,
    events: u16,
    grpc: SocketAddr,
    http: SocketAddr,
    log: Log,
}

impl IndexSetup {
    /// With the test model of this project, as the manifests of the suite say:
    /// blocks of 64 tokens, hashed by the engines with seed 42.
    #[must_use]
    pub fn new(model: &str) -> Self {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/vllm/model");
        Self {
            model: model.to_owned(),
            tokenizer: PathBuf::from(root),
            block_size: 64,
            hash_seed: Some(42),
            replay_port: None,
        }
    }

    fn model(&self) -> serde_json::Value {
        let mut model = json!({
            "name": self.model, "source": self.tokenizer, "block_size": self.block_size,
        });
        if let Some(seed) = self.hash_seed {
            model["profile"] = json!("engine");
            model["engine"] = json!({"algorithm": "sha256_cbor_64bit", "hash_seed": seed});
        }
        model
    }
}

impl Index {
    /// Starts one; its log goes into `folder`. On return it answers.
    ///
    /// # Errors
    /// If it ends, or does not answer within [`LIMIT`].
    pub async fn start(programs: &Programs, setup: &IndexSetup, folder: &Path) -> Result<Self> {
        let [events, grpc, http] = free_ports().await?;
        let log = folder.join("index.log");
        let mut args: Vec<String> = ["standalone", "--bind", &format!("tcp://127.0.0.1:{events}")]
            .map(str::to_owned)
            .to_vec();
        for (flag, port) in [("--grpc", grpc), ("--http", http)] {
            args.extend([flag.to_owned(), format!("127.0.0.1:{port}")]);
        }
        args.push("--set".to_owned());
        args.push(format!("models={}", json!([setup.model()])));
        if let Some(port) = setup.replay_port {
            args.extend(["--replay-port".to_owned(), port.to_string()]);
        }
        let program = Program {
            name: "index".to_owned(),
            binary: programs.kvatlas.clone(),
            args,
            variables: log_variables(),
            log: Some(log.clone()),
        };
        let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let mut index = Self {
            process: program.start()?,
            program,
            events,
            grpc: local(grpc),
            http: local(http),
            log: Log::at(log),
        };
        index.wait_until_ready().await?;
        Ok(index)
    }

    /// Where engines connect their events to.
    #[must_use]
    pub fn events(&self) -> String {
        format!("tcp://127.0.0.1:{}", self.events)
    }

    /// The scorer's gRPC address.
    #[must_use]
    pub fn grpc(&self) -> SocketAddr {
        self.grpc
    }

    /// The process.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Its metrics.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn metrics(&self) -> Result<Metrics> {
        Metrics::read(self.http).await
    }

    /// SIGSTOP. On return no thread of it runs any more.
    ///
    /// # Errors
    /// If it has ended.
    pub async fn freeze(&self) -> Result<()> {
        self.process.signal("STOP").await?;
        eventually("a stopped index", async || {
            Ok(is_stopped(self.process.id())?.then_some(()))
        })
        .await
    }

    /// SIGCONT.
    ///
    /// # Errors
    /// If it has ended.
    pub async fn thaw(&self) -> Result<()> {
        self.process.signal("CONT").await
    }

    /// SIGKILL: everything that it knew is lost.
    ///
    /// # Errors
    /// If the system refuses.
    pub async fn kill(&mut self) -> Result<()> {
        self.process.kill().await
    }

    /// A new one on the same ports, after [`Index::kill`]. It knows nothing.
    ///
    /// # Errors
    /// As [`Index::start`].
    pub async fn start_again(&mut self) -> Result<()> {
        self.process = self.program.start()?;
        self.wait_until_ready().await
    }

    async fn wait_until_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + LIMIT;
        loop {
            if let Some(status) = self.process.ended() {
                bail!("the index ended with {status}:\n{}", self.log.text()?);
            }
            let ready = Client::once(self.http, get("index", "/readyz")).await;
            if ready.is_ok_and(|answer| answer.status == 200) {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("no index ready after {LIMIT:?}:\n{}", self.log.text()?);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
