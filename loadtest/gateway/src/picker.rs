//! `kvatlas epp` as a process.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use loadtest_engines::{Process, Program, free_ports};
use tokio::time::Instant;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::programs::log_variables;
use crate::{Client, LIMIT, Log, Metrics, Programs, get};

/// What a picker is started with.
#[derive(Debug, Clone, Default)]
pub struct PickerSetup {
    /// A file or folder of manifests.
    pub manifests: Option<PathBuf>,
    /// Endpoints, where there are no manifests.
    pub endpoints: Vec<SocketAddr>,
    /// Scorers' gRPC addresses.
    pub scorers: Vec<SocketAddr>,
    /// A folder with `tls.crt` and `tls.key`; none: self-signed.
    pub certificates: Option<PathBuf>,
    /// More arguments.
    pub more: Vec<String>,
}

/// A picker; killed when dropped.
#[derive(Debug)]
pub struct Picker {
    program: Program,
    process: Process,
    ext_proc: u16,
    health: u16,
    http: SocketAddr,
    log: Log,
}

impl PickerSetup {
    fn arguments(&self, [ext_proc, health, http]: [u16; 3]) -> Vec<String> {
        let mut arguments = vec!["epp".to_owned()];
        let mut flag = |name: &str, value: String| {
            arguments.push(format!("--{name}"));
            arguments.push(value);
        };
        flag("grpc-port", ext_proc.to_string());
        flag("grpc-health-port", health.to_string());
        flag("metrics-port", http.to_string());
        if let Some(manifests) = &self.manifests {
            flag("manifests", manifests.display().to_string());
        }
        for endpoint in &self.endpoints {
            flag("endpoint", endpoint.to_string());
        }
        for scorer in &self.scorers {
            flag("scorer", scorer.to_string());
        }
        if let Some(folder) = &self.certificates {
            flag("cert-path", folder.display().to_string());
        }
        arguments.push("--health-checking".to_owned());
        arguments.extend(self.more.iter().cloned());
        arguments
    }
}

impl Picker {
    /// Starts one; its log goes into `folder`. On return it is ready.
    ///
    /// # Errors
    /// If it ends, or is not ready within [`LIMIT`].
    pub async fn start(programs: &Programs, setup: &PickerSetup, folder: &Path) -> Result<Self> {
        let mut picker = Self::launch(programs, setup, folder).await?;
        picker.wait_until_ready().await?;
        Ok(picker)
    }

    /// Starts one and does not wait.
    ///
    /// # Errors
    /// If it cannot be started.
    pub async fn launch(programs: &Programs, setup: &PickerSetup, folder: &Path) -> Result<Self> {
        let ports: [u16; 3] = free_ports().await?;
        let log = folder.join("picker.log");
        let program = Program {
            name: "picker".to_owned(),
            binary: programs.kvatlas.clone(),
            args: setup.arguments(ports),
            variables: log_variables(),
            log: Some(log.clone()),
        };
        let [ext_proc, health, http] = ports;
        Ok(Self {
            process: program.start()?,
            program,
            ext_proc,
            health,
            http: SocketAddr::from(([127, 0, 0, 1], http)),
            log: Log::at(log),
        })
    }

    /// The port that Envoy asks.
    #[must_use]
    pub fn ext_proc(&self) -> u16 {
        self.ext_proc
    }

    /// Where metrics are read.
    #[must_use]
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// What it logs.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// The process.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// The process, to end it.
    pub fn process_mut(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Its metrics.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn metrics(&self) -> Result<Metrics> {
        Metrics::read(self.http).await
    }

    /// SIGKILL, and a new one on the same ports. On return it is ready.
    ///
    /// # Errors
    /// As [`Picker::start`].
    pub async fn restart(&mut self) -> Result<()> {
        self.process.kill().await?;
        self.process = self.program.start()?;
        self.wait_until_ready().await
    }

    /// What the plaintext health port says of a service: a status of gRPC health,
    /// or the code of the error.
    ///
    /// # Errors
    /// If the port does not answer.
    pub async fn health(&self, service: &str) -> Result<String> {
        health_at(format!("http://127.0.0.1:{}", self.health), service).await
    }

    async fn wait_until_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + LIMIT;
        loop {
            if let Some(status) = self.process.ended() {
                bail!("the picker ended with {status}:\n{}", self.log.text()?);
            }
            let ready = Client::once(self.http, get("picker", "/readyz")).await;
            if ready.is_ok_and(|answer| answer.status == 200) {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("no picker ready after {LIMIT:?}:\n{}", self.log.text()?);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Asks a gRPC health service.
async fn health_at(url: String, service: &str) -> Result<String> {
    let channel = tonic::transport::Channel::from_shared(url)?;
    let channel = channel.connect().await.context("health port")?;
    let request = HealthCheckRequest {
        service: service.to_owned(),
    };
    let answer = HealthClient::new(channel).check(request).await;
    Ok(match answer {
        Ok(answer) => answer.into_inner().status().as_str_name().to_owned(),
        Err(status) => format!("{:?}", status.code()),
    })
}
