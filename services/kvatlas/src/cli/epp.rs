//! `kvatlas epp`: the flags, in our names and in those of other endpoint pickers.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use super::ConfigArgs;
use super::roles::{Settings, set, some};

#[derive(Debug, Args)]
pub(crate) struct EppArgs {
    #[command(flatten)]
    pub(crate) source: ConfigArgs,
    #[command(flatten)]
    pub(crate) routing: RoutingFlags,
    /// A scorer; a name stands for every address that it leads to (epp.scorers). May
    /// be repeated.
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) scorer: Vec<String>,
    /// HTTP listen address: metrics, health (epp.http).
    #[arg(long, value_name = "ADDR:PORT", conflicts_with = "metrics_port")]
    pub(crate) http: Option<String>,
    /// The same on every interface.
    #[arg(long, value_name = "PORT")]
    pub(crate) metrics_port: Option<u16>,
    /// How long open streams may take to end (drain_timeout), such as 30s.
    #[arg(long, value_name = "DURATION")]
    pub(crate) drain_timeout: Option<String>,
}

/// What a standalone takes too.
#[derive(Debug, Default, Args)]
pub(crate) struct RoutingFlags {
    /// Manifests: a file, or a folder of them (epp.manifests). May be repeated.
    #[arg(long, value_name = "FILE|DIR")]
    pub(crate) manifests: Vec<PathBuf>,
    /// An endpoint beside those of manifests (epp.endpoints). May be repeated.
    #[arg(long, value_name = "IP:PORT[=NAME]")]
    pub(crate) endpoint: Vec<String>,
    /// ext_proc listen address (epp.grpc).
    #[arg(long, value_name = "ADDR:PORT", conflicts_with = "grpc_port")]
    pub(crate) ext_proc: Option<String>,
    /// The same on every interface.
    #[arg(long, value_name = "PORT")]
    pub(crate) grpc_port: Option<u16>,
    /// gRPC health listen address (epp.health).
    #[arg(long, value_name = "ADDR:PORT", conflicts_with = "grpc_health_port")]
    pub(crate) health: Option<String>,
    /// The same on every interface.
    #[arg(long, value_name = "PORT")]
    pub(crate) grpc_health_port: Option<u16>,
    /// The InferencePool (epp.pool.name).
    #[arg(long, value_name = "NAME")]
    pub(crate) pool_name: Option<String>,
    /// Its namespace (epp.pool.namespace).
    #[arg(long, value_name = "NAME")]
    pub(crate) pool_namespace: Option<String>,
    /// Its API group (epp.pool.group).
    #[arg(long, value_name = "GROUP")]
    pub(crate) pool_group: Option<String>,
    /// The pool and its endpoints from Kubernetes (epp.kubernetes); so they are too
    /// where a pool is named, and neither manifests nor endpoints are given.
    #[arg(long)]
    pub(crate) kubernetes: bool,
    /// TLS on the ext_proc port (epp.serve.tls).
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) secure_serving: Option<bool>,
    /// The folder of tls.crt and tls.key (epp.serve.certificates).
    #[arg(long, value_name = "DIR")]
    pub(crate) cert_path: Option<String>,
    /// Health checks on the ext_proc port too (epp.serve.health_checking).
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) health_checking: Option<bool>,
}

impl EppArgs {
    /// As settings.
    pub(crate) fn settings(&self) -> Result<Settings> {
        let mut settings = Settings::new();
        self.routing.add_to(&mut settings)?;
        set(&mut settings, "epp.scorers", some(&self.scorer))?;
        let http = address(self.http.as_ref(), self.metrics_port);
        set(&mut settings, "epp.http", http.as_ref())?;
        set(&mut settings, "drain_timeout", self.drain_timeout.as_ref())?;
        Ok(settings)
    }
}

impl RoutingFlags {
    pub(super) fn add_to(&self, settings: &mut Settings) -> Result<()> {
        set(settings, "epp.manifests", some(&self.manifests))?;
        set(settings, "epp.endpoints", some(&self.endpoint))?;
        let grpc = address(self.ext_proc.as_ref(), self.grpc_port);
        set(settings, "epp.grpc", grpc.as_ref())?;
        let health = address(self.health.as_ref(), self.grpc_health_port);
        set(settings, "epp.health", health.as_ref())?;
        set(settings, "epp.pool.name", self.pool_name.as_ref())?;
        set(settings, "epp.pool.namespace", self.pool_namespace.as_ref())?;
        set(settings, "epp.pool.group", self.pool_group.as_ref())?;
        set(settings, "epp.kubernetes", self.kubernetes.then_some(&true))?;
        set(settings, "epp.serve.tls", self.secure_serving.as_ref())?;
        // Charts pass an empty path where there is none.
        let certificates = self.cert_path.as_ref();
        let certificates = certificates.filter(|path| !path.is_empty());
        set(settings, "epp.serve.certificates", certificates)?;
        let checking = self.health_checking.as_ref();
        set(settings, "epp.serve.health_checking", checking)
    }
}

/// An address, or a port on every interface.
fn address(address: Option<&String>, port: Option<u16>) -> Option<String> {
    address
        .cloned()
        .or_else(|| port.map(|port| format!(":{port}")))
}
