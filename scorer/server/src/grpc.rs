//! The gRPC side: translates, and nothing else.

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
