//! The seams of the store over gRPC: a server for any store, a client that is one.
