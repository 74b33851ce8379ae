//! The store on Redis or Valkey: a log of batches and checkpoints of the state.
//!
//! ```text
//!  append ─▶ judge on headers ─▶ script ─▶ stream ─▶ follower ─▶ watches
//!                                  │                    │ when due
//!                                  └─ headers           └─▶ checkpoint, trim
//! ```
//!
//! The stream is the total order. Every process that watches follows it into a
//! state of its own, so that nothing is looked up in Redis and the outcome is that
//! of every other store. What the order rules need of a publisher is kept beside
//! the stream, so that an append is judged and committed in one step. Keys,
//! formats, epochs and failures are described in `docs/store-redis.md`.

mod checkpoint;
mod commit;
mod epoch;
mod error;
mod follow;
mod headers;
mod judge;
mod keys;
mod link;
mod metrics;
mod options;
mod server;
mod store;
mod watch;
mod wire;

pub use error::ConnectError;
pub use options::{
    CheckpointOptions, Login, OptionsError, RedisOptions, Secret, TlsOptions, Topology,
};
pub use store::RedisStore;
