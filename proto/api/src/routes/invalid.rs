//! Each way in which a request about routes can be wrong.

use proto_model::EndpointError;

use crate::{Failure, FailureKind, limits};

/// Why a request records or removes nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRoute {
    /// Cluster or address is malformed.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// The kind is not said.
    #[error("kind is {0}; say 1 (speculative) or 2 (estimated)")]
    Kind(i32),
    /// There is nothing to record.
    #[error("keys is empty; a prompt without a whole block has nothing to record")]
    KeysEmpty,
    /// There are more keys than [`limits::ROUTE_KEYS`].
    #[error(
        "keys has {0} elements; at most {max} are allowed: leave out the last ones",
        max = limits::ROUTE_KEYS
    )]
    TooManyKeys(usize),
    /// A speculative route that expires at once, or not for a long time.
    #[error(
        "lifetime_ms is {0}; a speculative route needs 1 to {max}",
        max = limits::ROUTE_LIFETIME_MS
    )]
    Lifetime(u32),
    /// Estimated routes go when there is no more room for them.
    #[error("lifetime_ms is {0}; an estimated route has none: leave it at 0, and set capacity")]
    LifetimeOfEstimated(u32),
    /// More keys than are remembered for any endpoint.
    #[error("capacity is {0}; at most {max} is allowed, 0 for the default", max = limits::ROUTE_CAPACITY)]
    Capacity(u32),
}

impl InvalidRoute {
    /// The request field at fault.
    #[must_use]
    pub fn field(&self) -> &'static str {
        match self {
            Self::Endpoint(
                EndpointError::Empty { part }
                | EndpointError::TooLong { part, .. }
                | EndpointError::Character { part, .. },
            ) => part,
            Self::Kind(_) => "kind",
            Self::KeysEmpty | Self::TooManyKeys(_) => "keys",
            Self::Lifetime(_) | Self::LifetimeOfEstimated(_) => "lifetime_ms",
            Self::Capacity(_) => "capacity",
        }
    }
}

impl From<InvalidRoute> for Failure {
    fn from(error: InvalidRoute) -> Self {
        let kind = match error {
            InvalidRoute::TooManyKeys(_) => FailureKind::TooLarge,
            _ => FailureKind::InvalidArgument,
        };
        Self::of_field(kind, error.field(), error.to_string())
    }
}
