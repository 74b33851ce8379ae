//! The names of all keys. They share one hash tag, so that a cluster keeps them
//! on one node.

use proto_model::Endpoint;

/// Names keys under one prefix.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    base: String,
}

impl Keys {
    pub(crate) fn new(prefix: &str) -> Self {
        Self {
            base: format!("{{{prefix}}}:"),
        }
    }

    /// Epoch, revision, counters, the checkpoint in force.
    pub(crate) fn meta(&self) -> String {
        format!("{}meta", self.base)
    }

    /// The batches, one entry each.
    pub(crate) fn stream(&self) -> String {
        format!("{}stream", self.base)
    }

    /// Who writes checkpoints.
    pub(crate) fn lease(&self) -> String {
        format!("{}lease", self.base)
    }

    /// The headers of an endpoint's publishers, by rank.
    pub(crate) fn headers(&self, endpoint: &Endpoint) -> String {
        format!("{}headers:{endpoint}", self.base)
    }

    /// A piece of a checkpoint.
    pub(crate) fn piece(&self, number: u64, index: u64) -> String {
        format!("{}checkpoint:{number}:{index}", self.base)
    }
}
