//! The scorer as its callers see it.

mod common;
mod dialects;
mod errors;
mod follow;
mod grpc;
mod grpc_connections;
mod grpc_index;
mod http;
mod keying;
mod routes_grpc;
mod routes_names;
mod routes_queue;
mod routes_scored;
mod scoring;
mod stores;
mod stores_listed;
