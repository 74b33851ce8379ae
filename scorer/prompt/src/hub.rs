//! Models by hub name: from the hub's local cache, or over its HTTP interface
//! into that cache.

mod cache;
mod client;
mod download;
mod error;
mod name;

pub use error::HubError;
pub use name::HubModel;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Where hub models are found, and whether the network may be used.
#[derive(Clone)]
pub struct HubConfig {
    /// The cache directory, with one `models--ORG--NAME` directory per model.
    pub cache: PathBuf,
    /// The hub, or a mirror of it: `https://host[:port][/path]`, or `http://`.
    pub endpoint: String,
    /// Sent to the endpoint's own host only.
    pub token: Option<String>,
    /// The proxy for all requests: `http://host:port`.
    pub proxy: Option<String>,
    /// Use what is in the cache and nothing else.
    pub offline: bool,
    /// How long one file may take, from connecting to its last byte.
    pub timeout: Duration,
}

impl HubConfig {
    /// The configuration that the hub's own Python library would use, from the
    /// variables that it reads: `HF_HUB_CACHE`, `HF_HOME`, `XDG_CACHE_HOME`,
    /// `HOME`, `HF_ENDPOINT`, `HF_TOKEN`, `HF_HUB_OFFLINE`, and `HTTPS_PROXY`.
    #[must_use]
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Self {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let home = || {
            let cache = variable("XDG_CACHE_HOME").map(PathBuf::from);
            let cache = cache.unwrap_or_else(|| {
                PathBuf::from(variable("HOME").unwrap_or_default()).join(".cache")
            });
            variable("HF_HOME").map_or_else(|| cache.join("huggingface"), PathBuf::from)
        };
        let switch = |name: &str| variable(name).is_some_and(|value| is_on(&value));
        Self {
            cache: variable("HF_HUB_CACHE").map_or_else(|| home().join("hub"), PathBuf::from),
            endpoint: variable("HF_ENDPOINT").unwrap_or_else(|| DEFAULT_ENDPOINT.to_owned()),
            token: variable("HF_TOKEN"),
            proxy: variable("HTTPS_PROXY").or_else(|| variable("https_proxy")),
            offline: switch("HF_HUB_OFFLINE"),
            timeout: DEFAULT_TIMEOUT,
        }
    }

    /// The directory of the model's files: from the cache if they are there,
    /// else downloaded. Blocks.
    pub fn fetch(&self, model: &HubModel) -> Result<PathBuf, HubError> {
        match self.cached(model) {
            Err(HubError::NotCached { .. }) if !self.offline => download::download(self, model),
            found => found,
        }
    }

    /// The directory of the model's files in the cache.
    pub fn cached(&self, model: &HubModel) -> Result<PathBuf, HubError> {
        cache::find(&self.cache, model, self.offline)
    }
}

const DEFAULT_ENDPOINT: &str = "https://huggingface.co";
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(120);

fn is_on(value: &str) -> bool {
    matches!(
        value.to_ascii_lowercase().as_str(),
        "1" | "on" | "yes" | "true"
    )
}

impl Default for HubConfig {
    /// No cache but `huggingface/hub` in the working directory; a service should
    /// use [`HubConfig::from_variables`].
    fn default() -> Self {
        Self {
            cache: PathBuf::from("huggingface/hub"),
            endpoint: DEFAULT_ENDPOINT.to_owned(),
            token: None,
            proxy: None,
            offline: false,
            timeout: DEFAULT_TIMEOUT,
        }
    }
}

impl fmt::Debug for HubConfig {
    /// The token is a secret, and a proxy's address may hold one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubConfig")
            .field("cache", &self.cache)
            .field("endpoint", &client::without_credentials(&self.endpoint))
            .field("offline", &self.offline)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
