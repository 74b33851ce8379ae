//! A pool as a Kubernetes API server describes it.
//!
//! ```text
//!  API server ══list, watch══▶ follow (one per kind) ──Change──▶ driver ─▶ Cluster ─▶ PoolView
//!             ◀── get pod ──── departures: is it really gone? ◀────┘
//! ```
//!
//! One follower per kind lists and watches for itself and says what it sees; the
//! driver owns all state and publishes views. While a kind cannot be read, what
//! was read last stays.

mod access;
mod cluster;
mod driver;
mod follow;
mod gone;
mod kinds;
mod troubles;

use std::time::Duration;

pub use access::{Access, AccessError};
pub use kinds::{WatchedResource, watched_resources};

use crate::departures::Departures;
use crate::manifest::{PoolGroup, ResourceName};
use crate::source::Discovery;

/// Which pool is followed, and how.
#[derive(Debug, Clone)]
pub struct KubernetesSettings {
    /// How the API server is reached.
    pub access: Access,
    /// The InferencePool's name.
    pub pool_name: String,
    /// Its namespace; `None`: that of the service account or the kubeconfig.
    pub pool_namespace: Option<String>,
    /// Its group; `None`: both are followed, and the stable one goes first.
    pub pool_group: Option<PoolGroup>,
    /// How long the API server may take to begin an answer, or to list a page.
    pub answer_timeout: Duration,
    /// How long one watch lasts before it is begun anew. A connection that died
    /// unnoticed is found out after this and a few seconds.
    pub watch_timeout: Duration,
    /// How often it is looked whether a kind that the API server does not know
    /// is known by now. So long must a kind that was known be unknown until it
    /// counts as removed.
    pub absent_retry: Duration,
    /// The longest pause between attempts to reach the API server; the first is
    /// a fiftieth of it.
    pub longest_pause: Duration,
    /// How long an endpoint must have been gone until it counts as departed.
    pub departure_grace: Duration,
}

impl KubernetesSettings {
    /// The pool of that name, everything else as by default.
    #[must_use]
    pub fn new(pool_name: &str) -> Self {
        Self {
            access: Access::Infer,
            pool_name: pool_name.to_owned(),
            pool_namespace: None,
            pool_group: None,
            answer_timeout: Duration::from_secs(30),
            watch_timeout: Duration::from_secs(60),
            absent_retry: Duration::from_secs(60),
            longest_pause: Duration::from_secs(15),
            departure_grace: Duration::from_secs(30),
        }
    }
}

/// Follows a pool. Returns before the API server has been asked: the view says
/// when it is [`synced`](crate::PoolView), the status what keeps it from that.
///
/// # Errors
/// [`AccessError`] where nothing says how to reach an API server.
pub async fn follow_kubernetes(
    settings: KubernetesSettings,
) -> Result<(Discovery, Departures), AccessError> {
    let (client, own_namespace) = access::client(&settings.access).await?;
    let pool = ResourceName {
        namespace: settings.pool_namespace.clone().unwrap_or(own_namespace),
        name: settings.pool_name.clone(),
    };
    Ok(driver::start(settings, client, pool))
}
