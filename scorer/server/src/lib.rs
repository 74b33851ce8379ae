//! The scorer as a service.
//!
//! A [`Replica`] follows a store and keeps the index in memory; [`Scoring`]
//! answers queries from it; [`Scorer`] adds admission, threads and metrics; gRPC
//! and HTTP only translate. No answer waits for a network. [`Routes`] takes what others
//! decided to the stores.

mod answering;
mod caught;
mod grpc;
mod http;
mod listing;
mod metrics;
mod models;
mod prompts;
mod replica;
mod routes;
mod scorer;
mod scoring;

pub use answering::{Answering, give_way};
pub use grpc::{GrpcError, GrpcSettings, serve as serve_grpc};
pub use http::{InstanceNames, routes as http_routes};
pub use metrics::{Rpc, ScorerMetrics};
pub use models::{ConfiguredModel, ModelCatalog, ModelConfig, ModelMistake, ModelsConfig};
pub use prompts::{Prompts, PromptsError};
pub use replica::{
    Content, Directory, FollowSettings, KnownPublisher, Replica, Replicas, ReplicasError,
    RevisionWentBack,
};
pub use routes::{RouteWriting, Routes};
pub use scorer::{Scorer, ScorerLimits};
pub use scoring::{
    KeyCache, KeyCacheStats, Outcome, Row, ScoreError, Scoring, WeightError, Weights,
};
