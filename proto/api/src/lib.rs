//! The wire contract: generated gRPC code, conversions to checked types, and
//! the one place where errors become statuses.
//!
//! Servers and clients meet here. Inside, everybody works with the plain types
//! ([`ScoreQuery`], [`ScoreAnswer`], the vocabulary of `proto-model`); what came
//! from a socket is a plain type only after a `TryFrom` has said yes.

mod answer;
mod batch;
mod candidate;
mod change;
mod directory;
mod failure;
mod invalid;
pub mod limits;
mod names;
mod outcome;
mod query;
mod request;
mod response;
mod routes;
mod secret;
mod store_failure;
mod token_ids;

pub use answer::{EndpointScore, KeyProfile, ReplicaState, RouteKeys, ScoreAnswer, StoreStanding};
pub use batch::{AppendRequest, BatchProblem, InvalidBatch};
pub use candidate::{Candidate, CandidateError};
pub use directory::{EndpointInfo, ModelInfo, StatsInfo, StoreStats};
pub use failure::{Failure, FailureKind, InvalidFailure};
pub use invalid::{InvalidAnswer, InvalidChange, InvalidOutcome, InvalidQuery};
pub use query::{Estimation, Input, KeyForm, KeyList, MediumWeights, ScoreQuery};
pub use routes::{
    DEFAULT_ROUTE_CAPACITY, InvalidRoute, RecordRoute, RemoveEndpoint, RouteClaim, RouteEndpoint,
};
pub use store_failure::StoreFailure;
pub use token_ids::TokenIds;

/// `kvatlas.v1`, as generated.
#[expect(
    missing_docs,
    reason = "documented in proto/kvatlas/v1, where the contract is"
)]
#[allow(
    clippy::all,
    clippy::clone_on_ref_ptr,
    unused_qualifications,
    reason = "generated"
)]
pub mod v1 {
    tonic::include_proto!("kvatlas.v1");

    pub use crate::TokenIds;
}

/// llm-d's `indexer.v1`, as generated.
#[expect(
    missing_docs,
    reason = "documented in proto/compat, where the contract is"
)]
#[allow(
    clippy::all,
    clippy::clone_on_ref_ptr,
    unused_qualifications,
    reason = "generated"
)]
pub mod llmd {
    tonic::include_proto!("indexer.v1");
}

/// Every served `.proto` file, encoded, for the reflection service.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
