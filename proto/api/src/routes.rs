//! `RecordRouteRequest` and `RemoveEndpointRequest`, checked, and back.

mod invalid;

use std::time::Duration;

use proto_model::{BlockKey, Endpoint, EndpointError, Rank};

use crate::{limits, v1};
pub use invalid::InvalidRoute;

/// Keys of estimated routes that are remembered for an endpoint where nobody
/// says otherwise: the limit of the estimating router that this one replaces.
pub const DEFAULT_ROUTE_CAPACITY: u32 = 31_250;

/// An endpoint as whoever records routes names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteEndpoint {
    cluster: Option<String>,
    address: String,
}

/// One routing decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordRoute {
    /// Where the request was sent.
    pub endpoint: RouteEndpoint,
    /// The endpoint's rank.
    pub rank: Rank,
    /// What that says of the endpoint's cache.
    pub claim: RouteClaim,
    /// The prompt's keys, from the first block on; 1 to [`limits::ROUTE_KEYS`].
    pub keys: Vec<BlockKey>,
}

/// What a route says of the endpoint's cache, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouteClaim {
    /// The engine will soon announce these blocks itself.
    Speculative {
        /// How long it counts: 1 to [`limits::ROUTE_LIFETIME_MS`] milliseconds.
        lifetime: Duration,
    },
    /// Nothing more will ever be heard.
    Estimated {
        /// At most this many keys are remembered for the endpoint: 1 to
        /// [`limits::ROUTE_CAPACITY`].
        capacity: u32,
    },
}

/// An endpoint that is gone for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoveEndpoint {
    /// Which.
    pub endpoint: RouteEndpoint,
    /// Only this rank; `None`: all.
    pub rank: Option<Rank>,
}

impl RouteEndpoint {
    /// Checks both parts as those of an [`Endpoint`]; an empty cluster is none.
    pub fn new(cluster: &str, address: &str) -> Result<Self, EndpointError> {
        let stand_in = if cluster.is_empty() { "own" } else { cluster };
        Endpoint::new(stand_in, address)?;
        Ok(Self {
            cluster: (!cluster.is_empty()).then(|| cluster.to_owned()),
            address: address.to_owned(),
        })
    }

    /// The cluster; `None`: the scorer's own.
    #[must_use]
    pub fn cluster(&self) -> Option<&str> {
        self.cluster.as_deref()
    }

    /// `ip` or `ip:port`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }
}

impl RouteClaim {
    /// The kind's name, for metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Speculative { .. } => "speculative",
            Self::Estimated { .. } => "estimated",
        }
    }
}

impl TryFrom<v1::RecordRouteRequest> for RecordRoute {
    type Error = InvalidRoute;

    fn try_from(request: v1::RecordRouteRequest) -> Result<Self, Self::Error> {
        let endpoint = RouteEndpoint::new(&request.cluster, &request.address)?;
        match request.keys.len() {
            0 => return Err(InvalidRoute::KeysEmpty),
            count if count > limits::ROUTE_KEYS => return Err(InvalidRoute::TooManyKeys(count)),
            _ => {}
        }
        Ok(Self {
            endpoint,
            rank: Rank(request.rank),
            claim: claim(&request)?,
            // In place: a key is its number.
            keys: request.keys.into_iter().map(BlockKey).collect(),
        })
    }
}

fn claim(request: &v1::RecordRouteRequest) -> Result<RouteClaim, InvalidRoute> {
    let (lifetime_ms, capacity) = (request.lifetime_ms, request.capacity);
    match v1::RouteKind::try_from(request.kind) {
        Ok(v1::RouteKind::Speculative) => match lifetime_ms {
            1..=limits::ROUTE_LIFETIME_MS => Ok(RouteClaim::Speculative {
                lifetime: Duration::from_millis(lifetime_ms.into()),
            }),
            _ => Err(InvalidRoute::Lifetime(lifetime_ms)),
        },
        Ok(v1::RouteKind::Estimated) if lifetime_ms != 0 => {
            Err(InvalidRoute::LifetimeOfEstimated(lifetime_ms))
        }
        Ok(v1::RouteKind::Estimated) => match capacity {
            0 => Ok(RouteClaim::Estimated {
                capacity: DEFAULT_ROUTE_CAPACITY,
            }),
            1..=limits::ROUTE_CAPACITY => Ok(RouteClaim::Estimated { capacity }),
            _ => Err(InvalidRoute::Capacity(capacity)),
        },
        Ok(v1::RouteKind::Unspecified) | Err(_) => Err(InvalidRoute::Kind(request.kind)),
    }
}

impl From<RecordRoute> for v1::RecordRouteRequest {
    fn from(route: RecordRoute) -> Self {
        let (kind, lifetime_ms, capacity) = match route.claim {
            RouteClaim::Speculative { lifetime } => {
                let lifetime = u32::try_from(lifetime.as_millis()).unwrap_or(u32::MAX);
                (v1::RouteKind::Speculative, lifetime, 0)
            }
            RouteClaim::Estimated { capacity } => (v1::RouteKind::Estimated, 0, capacity),
        };
        Self {
            cluster: route.endpoint.cluster.unwrap_or_default(),
            address: route.endpoint.address,
            rank: route.rank.0,
            kind: kind.into(),
            keys: route.keys.into_iter().map(|key| key.0).collect(),
            lifetime_ms,
            capacity,
        }
    }
}

impl TryFrom<v1::RemoveEndpointRequest> for RemoveEndpoint {
    type Error = InvalidRoute;

    fn try_from(request: v1::RemoveEndpointRequest) -> Result<Self, Self::Error> {
        Ok(Self {
            endpoint: RouteEndpoint::new(&request.cluster, &request.address)?,
            rank: request.rank.map(Rank),
        })
    }
}

impl From<RemoveEndpoint> for v1::RemoveEndpointRequest {
    fn from(removed: RemoveEndpoint) -> Self {
        Self {
            cluster: removed.endpoint.cluster.unwrap_or_default(),
            address: removed.endpoint.address,
            rank: removed.rank.map(|rank| rank.0),
        }
    }
}
