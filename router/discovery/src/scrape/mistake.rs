//! Why an engine's load could not be read.

use std::time::Duration;

/// Why a scrape gave no load. All of them are tried again at the next interval.
#[derive(Debug, thiserror::Error)]
pub enum LoadMistake {
    /// The address cannot stand in a URL.
    #[error("the address cannot be asked over HTTP: give the endpoint one without a zone")]
    Address,
    /// Nobody took the connection.
    #[error("no connection to the engine")]
    Connect(#[source] hyper_util::client::legacy::Error),
    /// No complete answer in time.
    #[error("no complete answer within {after:?}")]
    TimedOut {
        /// The scrape's timeout.
        after: Duration,
    },
    /// What came is not HTTP, or ended before its head was complete.
    #[error("the answer is not HTTP/1.1")]
    Head(#[source] hyper_util::client::legacy::Error),
    /// The body broke off.
    #[error("the answer broke off")]
    Body(#[source] hyper::Error),
    /// An answer without metrics. Redirects are not followed.
    #[error("status {status} instead of 200: is the engine serving /metrics on this port?")]
    Status {
        /// As answered.
        status: u16,
    },
    /// More text than is read.
    #[error("the answer is longer than {limit_bytes} bytes")]
    TooLong {
        /// The limit.
        limit_bytes: usize,
    },
    /// A metric that is needed is not there.
    #[error("{metric} is not among the metrics: is this a vLLM or SGLang engine with metrics on?")]
    Missing {
        /// Its name.
        metric: &'static str,
    },
    /// A metric that is needed says nothing sensible.
    #[error("{metric} is not a number in its range")]
    Value {
        /// Its name.
        metric: &'static str,
    },
}

/// The kinds, in the order of [`LoadMistake::number`].
pub(super) const KINDS: [&str; 9] = [
    "address",
    "connect",
    "timed_out",
    "head",
    "body",
    "status",
    "too_long",
    "missing",
    "value",
];

impl LoadMistake {
    /// A short name, for metrics.
    pub fn kind(&self) -> &'static str {
        KINDS[self.number()]
    }

    pub(super) fn number(&self) -> usize {
        match self {
            Self::Address => 0,
            Self::Connect(_) => 1,
            Self::TimedOut { .. } => 2,
            Self::Head(_) => 3,
            Self::Body(_) => 4,
            Self::Status { .. } => 5,
            Self::TooLong { .. } => 6,
            Self::Missing { .. } => 7,
            Self::Value { .. } => 8,
        }
    }
}
