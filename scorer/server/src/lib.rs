//! Follows the store, answers Score over gRPC and HTTP.
