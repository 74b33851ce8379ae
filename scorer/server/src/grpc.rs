//! The gRPC side: translates, and nothing else.

mod arrival;
mod guarded;
mod health;
mod index;
mod pods;
mod routes;
mod scorer;
mod server;
mod status;
mod timeout;

pub use server::{GrpcError, GrpcSettings, serve};

use proto_api::Failure;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::Response;

/// A failure that no service answered.
pub(crate) fn failed(failure: Failure) -> Response<Body> {
    Status::from(failure).into_http()
}
