//! A picker and the Envoy that asks it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use http::Request;
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    Answer, Body, Client, Envoy, Manifests, Picker, PickerSetup, Plain, Pool, Programs, Setup,
};

/// What a gateway is started with.
#[derive(Debug, Clone)]
pub struct GatewaySetup {
    /// How Envoy finds endpoints.
    pub pool: Pool,
    /// What the picker is told.
    pub manifests: Manifests,
    /// Scorers that the picker asks.
    pub scorers: Vec<SocketAddr>,
    /// What the virtual host `subset.test` hints at.
    pub subset: Vec<SocketAddr>,
    /// Whether Envoy makes request ids.
    pub makes_request_ids: bool,
    /// Envoy's worker threads.
    pub concurrency: u32,
    /// The picker's certificate, and the authority that Envoy trusts.
    pub certificates: Option<PathBuf>,
    /// More arguments for the picker.
    pub more: Vec<String>,
}

/// Envoy and picker; killed when dropped.
#[derive(Debug)]
pub struct Gateway {
    /// The data plane.
    pub envoy: Envoy,
    /// The picker.
    pub picker: Picker,
    manifests: PathBuf,
    folder: TempDir,
}

impl GatewaySetup {
    /// The usual one: these manifests, nobody to ask for scores.
    #[must_use]
    pub fn new(pool: Pool, manifests: Manifests) -> Self {
        Self {
            pool,
            subset: manifests.endpoints.clone(),
            manifests,
            scorers: Vec::new(),
            makes_request_ids: true,
            concurrency: 1,
            certificates: None,
            more: Vec::new(),
        }
    }

    /// More arguments for the picker.
    #[must_use]
    pub fn with(mut self, arguments: &[&str]) -> Self {
        self.more.extend(arguments.iter().map(ToString::to_string));
        self
    }
}

impl Gateway {
    /// Starts both. On return Envoy holds the picker for healthy.
    ///
    /// # Errors
    /// If either does not start.
    pub async fn start(programs: &Programs, setup: &GatewaySetup) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let manifests = folder.path().join("manifests.yaml");
        std::fs::write(&manifests, setup.manifests.yaml())?;
        let picker = PickerSetup {
            manifests: Some(manifests.clone()),
            endpoints: Vec::new(),
            scorers: setup.scorers.clone(),
            certificates: setup.certificates.clone(),
            more: setup.more.clone(),
        };
        let picker = Picker::start(programs, &picker, folder.path()).await?;
        let authority = setup.certificates.as_ref();
        let envoy = Setup {
            pool: setup.pool,
            engines: setup.manifests.endpoints.clone(),
            plain: Plain::InTurn,
            subset: setup.subset.clone(),
            picker_port: picker.ext_proc(),
            picker_authority: authority.map(|folder| folder.join("tls.crt")),
            makes_request_ids: setup.makes_request_ids,
            concurrency: setup.concurrency,
        };
        let envoy = Envoy::start(programs.envoy(), &envoy, folder.path()).await?;
        envoy.picker_is_healthy().await?;
        Ok(Self {
            envoy,
            picker,
            manifests,
            folder,
        })
    }

    /// Asks through the listener with the picker, over a connection of its own.
    ///
    /// # Errors
    /// If the answer breaks off or hangs.
    pub async fn ask(&self, request: Request<Body>) -> Result<Answer> {
        Client::once(self.envoy.inference(), request).await
    }

    /// A new version of the manifests; the picker reads it by itself.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn rewrite_manifests(&self, text: &str) -> Result<()> {
        let new = self.manifests.with_extension("new");
        std::fs::write(&new, text)?;
        std::fs::rename(&new, &self.manifests).context("manifests")
    }

    /// Where the logs are; they stay there.
    pub fn keep_logs(&mut self) -> &Path {
        self.folder.disable_cleanup(true);
        self.folder.path()
    }

    /// The picker's line `Request handled` of a request.
    ///
    /// # Errors
    /// If there is none within [`crate::LIMIT`].
    pub async fn handled(&self, request_id: &str) -> Result<Value> {
        self.line("Request handled", request_id).await
    }

    /// The picker's line that says this, of a request.
    ///
    /// # Errors
    /// If there is none within [`crate::LIMIT`].
    pub async fn line(&self, message: &str, request_id: &str) -> Result<Value> {
        let what = format!("{message} of {request_id}");
        let log = self.picker.log();
        log.wait_for(&what, |line| {
            line["message"] == message && line["x-request-id"] == request_id
        })
        .await
    }

    /// Envoy's line of the request whose header `x-test` has this value.
    ///
    /// # Errors
    /// If there is none within [`crate::LIMIT`].
    pub async fn accessed(&self, test: &str) -> Result<Value> {
        let log = self.envoy.access_log();
        log.wait_for(test, |line| line["test"] == test).await
    }
}
