//! Why nothing was recorded or removed.

use std::time::Duration;

use proto_api::{Failure, FailureKind, InvalidRoute};
use proto_model::{EndpointError, Refusal};

/// When a caller should try again where there is no room: the queue holds what a
/// store takes in a fraction of a second.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// Why a route was not recorded, or an endpoint not removed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum RouteError {
    /// The request itself is malformed.
    #[error(transparent)]
    Invalid(#[from] InvalidRoute),
    /// This scorer takes no routes.
    #[error("this scorer takes no routes (its setting accept_routes is false); ask one that does")]
    Refusing,
    /// No store is followed that has this cluster.
    #[error(
        "cluster {given:?} belongs to no store that is followed; set cluster to one of {known}"
    )]
    UnknownCluster {
        /// As the request names it, or what stands for none.
        given: String,
        /// The stores' names.
        known: String,
    },
    /// Too much waits to be appended.
    #[error("{what} of routes wait to be appended, which is the limit; try again a little later")]
    Full {
        /// What there is too much of.
        what: &'static str,
    },
    /// The store cannot take it now; whether it has is not known.
    #[error("the store has not taken it: {0}; try again, or ask another scorer")]
    StoreAway(String),
    /// The store says that it is full.
    #[error("{0}")]
    Refused(&'static str),
    /// The caller's deadline, or the scorer's own, passed.
    #[error("the store has not answered in time; recording the same again does no harm")]
    Late,
    /// This scorer is stopping.
    #[error("this scorer is stopping; ask another one")]
    Stopping,
}

impl From<EndpointError> for RouteError {
    fn from(error: EndpointError) -> Self {
        Self::Invalid(error.into())
    }
}

impl From<Refusal> for RouteError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(match refusal {
            Refusal::TooManyPublishers => "the store can take no further endpoint",
            Refusal::TooManyRoutes => {
                "the store remembers as many routes as it may, all of other endpoints; lower their \
                 capacity, or remove endpoints that are gone"
            }
            Refusal::BadSpace => "the store refuses the route",
        })
    }
}

impl From<RouteError> for Failure {
    fn from(error: RouteError) -> Self {
        use FailureKind as Kind;
        let text = error.to_string();
        match error {
            RouteError::Invalid(invalid) => invalid.into(),
            RouteError::Refusing | RouteError::Refused(_) => {
                Self::new(Kind::FailedPrecondition, text)
            }
            RouteError::UnknownCluster { .. } => {
                Self::of_field(Kind::InvalidArgument, "cluster", text)
            }
            RouteError::Full { .. } => Self::new(Kind::Busy, text).with_retry_after(RETRY_AFTER),
            RouteError::StoreAway(_) | RouteError::Stopping => Self::new(Kind::Unavailable, text),
            RouteError::Late => Self::new(Kind::DeadlineExceeded, text),
        }
    }
}
