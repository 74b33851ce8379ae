//! The seams of the store over gRPC: a server for any store, a client that is one.
//!
//! ```text
//!  writer ─▶ RemoteStore ──Append──▶ StoreService ─▶ IndexWriter
//!  reader ◀─ RemoteStore ◀──Watch─── StoreService ◀─ IndexWatch
//!            any of several nodes    one per node
//! ```
//!
//! The contract on the wire is `proto/kvatlas/v1/store.proto`; what it means for
//! clients in other languages is in `docs/api.md`.

mod client;
mod convert;
mod server;

pub use client::{OptionsError, RemoteOptions, RemoteStore};
pub use server::{StoreLimits, StoreService};
