//! What Dynamo's and Mooncake's clients call an endpoint.

use std::collections::BTreeMap;

use proto_model::Endpoint;

/// Instance ids of endpoints. Without an entry an endpoint's id is its address,
/// which is what a router can send a request to.
#[derive(Debug, Clone, Default)]
pub struct InstanceNames {
    ids: BTreeMap<Endpoint, String>,
}

impl InstanceNames {
    /// Ids for some endpoints: Dynamo's are numbers, Mooncake's any text.
    #[must_use]
    pub fn new(ids: BTreeMap<Endpoint, String>) -> Self {
        Self { ids }
    }

    /// The endpoint's id.
    #[must_use]
    pub fn id<'a>(&'a self, endpoint: &'a Endpoint) -> &'a str {
        self.ids
            .get(endpoint)
            .map_or_else(|| endpoint.address(), String::as_str)
    }
}
