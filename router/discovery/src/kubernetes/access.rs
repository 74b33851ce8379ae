use std::path::PathBuf;
use std::time::Duration;

use kube::config::{
    InClusterError, InferConfigError, KubeConfigOptions, Kubeconfig, KubeconfigError,
};
use kube::{Client, Config};

/// Time for a connection to the API server to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How the API server is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// A kubeconfig where one is (`KUBECONFIG`, `~/.kube/config`), else the
    /// service account of the pod that this runs in.
    Infer,
    /// The service account of the pod that this runs in.
    InCluster,
    /// A kubeconfig file.
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// A context of it; `None`: its current one.
        context: Option<String>,
    },
}

/// Nothing says how to reach an API server.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// Neither a kubeconfig nor a service account.
    #[error("no access to Kubernetes: give a kubeconfig, or run in a pod with a service account")]
    Infer(#[source] Box<InferConfigError>),
    /// No service account.
    #[error("no access to Kubernetes from this pod: it needs a service account with its token")]
    InCluster(#[source] InClusterError),
    /// The kubeconfig file cannot be read.
    #[error("kubeconfig {} cannot be used", path.display())]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<KubeconfigError>,
    },
    /// The certificates or tokens named cannot be used.
    #[error("the credentials for Kubernetes cannot be used")]
    Credentials(#[source] Box<kube::Error>),
}

impl AccessError {
    /// Whether trying again may help: only another configuration does.
    #[must_use]
    pub fn retryable(&self) -> bool {
        false
    }
}

/// A client, and the namespace that it is at home in.
pub(super) async fn client(access: &Access) -> Result<(Client, String), AccessError> {
    let mut config = match access {
        Access::Infer => Config::infer()
            .await
            .map_err(|error| AccessError::Infer(Box::new(error)))?,
        Access::InCluster => Config::incluster().map_err(AccessError::InCluster)?,
        Access::Kubeconfig { path, context } => {
            let wrong = |source| AccessError::Kubeconfig {
                path: path.clone(),
                source: Box::new(source),
            };
            let file = Kubeconfig::read_from(path).map_err(wrong)?;
            let options = KubeConfigOptions {
                context: context.clone(),
                ..KubeConfigOptions::default()
            };
            Config::from_custom_kubeconfig(file, &options)
                .await
                .map_err(wrong)?
        }
    };
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    // Followers have pauses of their own, and say what they wait for.
    config.default_retry = false;
    let namespace = config.default_namespace.clone();
    let client =
        Client::try_from(config).map_err(|error| AccessError::Credentials(Box::new(error)))?;
    Ok((client, namespace))
}
