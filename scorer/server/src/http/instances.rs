//! What Dynamo's and Mooncake's clients call an endpoint.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use proto_model::Endpoint;

use crate::scoring::SharedAddresses;

/// Instance ids of endpoints. Without an entry an endpoint's id is its address,
/// which is what a router can send a request to; or, where endpoints of several
/// clusters have that address, `cluster/address`.
#[derive(Debug, Clone, Default)]
pub struct InstanceNames {
    ids: HashMap<Endpoint, String>,
}

impl InstanceNames {
    /// Ids for some endpoints: Dynamo's are numbers, Mooncake's any text.
    #[must_use]
    pub fn new(ids: BTreeMap<Endpoint, String>) -> Self {
        let ids = ids.into_iter().collect();
        Self { ids }
    }

    /// The endpoint's id.
    pub(super) fn id<'a>(
        &'a self,
        endpoint: &'a Endpoint,
        shared: &SharedAddresses,
    ) -> Cow<'a, str> {
        match self.ids.get(endpoint) {
            Some(id) => Cow::Borrowed(id),
            None => shared.name(endpoint),
        }
    }

    /// Whether a request means the endpoint by this id.
    pub(super) fn means(&self, id: &str, endpoint: &Endpoint) -> bool {
        match self.ids.get(endpoint) {
            Some(own) => own == id,
            None => match id.split_once('/') {
                Some((cluster, address)) => {
                    cluster == endpoint.cluster() && address == endpoint.address()
                }
                None => id == endpoint.address(),
            },
        }
    }
}
