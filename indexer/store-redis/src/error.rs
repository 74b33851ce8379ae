//! Why something did not work: for callers, and between the parts.

use indexer_store::AppendError;

use crate::options::OptionsError;

/// Why a store could not be connected.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The options cannot work.
    #[error("Redis options: {0}")]
    Options(#[from] OptionsError),
    /// The TLS options cannot be used.
    #[error("Redis TLS options cannot be used: {reason}")]
    Tls {
        /// What is wrong.
        reason: String,
    },
    /// The server is too old.
    #[error("Redis {version} is too old; version 7 or newer (or Valkey) is needed")]
    Version {
        /// What it says that it is.
        version: String,
    },
    /// The server may throw keys away to make room.
    #[error(
        "Redis may evict keys (maxmemory-policy {policy}); set maxmemory-policy noeviction on the server"
    )]
    Eviction {
        /// The policy.
        policy: String,
    },
    /// The keys under the prefix are not what this store writes.
    #[error(
        "keys under the prefix are damaged: {what}; delete them, or choose another prefix, and let the engines fill it anew"
    )]
    Damaged {
        /// What was seen.
        what: String,
    },
    /// No server could be reached, or it did not answer.
    #[error("Redis cannot be reached: {reason}")]
    Unreachable {
        /// What was seen last.
        reason: String,
    },
}

impl ConnectError {
    /// Whether connecting again may succeed without a change by somebody.
    #[must_use]
    pub fn retryable(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }
}

/// Why an exchange with Redis failed.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum LinkError {
    /// Not reached, not answered, refused, or moved.
    #[error("{0}")]
    Redis(String),
    /// An answer or a stored value has not the form that it must have.
    #[error("{what} is not as this version writes it")]
    Form {
        /// Which.
        what: &'static str,
    },
    /// The history under the prefix is not whole.
    #[error("keys under the prefix are damaged: {0}")]
    Damaged(String),
}

impl From<redis::RedisError> for LinkError {
    fn from(error: redis::RedisError) -> Self {
        // A server may quote the command it refuses; the first line is enough.
        let text = error.to_string();
        let line = text.lines().next().unwrap_or_default();
        Self::Redis(line.chars().take(300).collect())
    }
}

impl From<LinkError> for AppendError {
    fn from(error: LinkError) -> Self {
        Self::Unavailable {
            reason: error.to_string(),
        }
    }
}
