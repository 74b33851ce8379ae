//! The cluster name that a store's endpoints are listed under.

use proto_model::{Endpoint, EndpointError, Publisher};

/// Replaces the cluster in the names of one store's endpoints: where clusters
/// have a store each, their engines need not know what their cluster is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Label(String);

impl Label {
    /// Checks that the text can be a cluster's name.
    pub(super) fn new(text: &str) -> Result<Self, EndpointError> {
        Endpoint::new(text, "any").map(|_| Self(text.to_owned()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// The name that the publisher is listed by.
    pub(super) fn name(&self, publisher: &Publisher) -> Publisher {
        let listed = Endpoint::new(&self.0, publisher.endpoint.address());
        Publisher {
            endpoint: listed.unwrap_or_else(|_| publisher.endpoint.clone()),
            rank: publisher.rank,
        }
    }
}
