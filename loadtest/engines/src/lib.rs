//! Simulated engines with real caches and real sockets, and the processes they
//! are run against.
//!
//! An [`Engine`] runs prompts through a [`Cache`] and publishes what changed as
//! vLLM does, replay socket included. What its cache holds is the truth that an
//! index is compared with: nothing here knows anything of the index but the
//! public hash functions.

mod batch;
mod cache;
mod engine;
mod feed;
mod link;
mod outlet;
mod process;
mod prompts;
mod publisher;
mod rolling;
mod wire;

pub use batch::{BatchEvent, Form, StoredRun, batch};
pub use cache::{Cache, Event, Hash};
pub use engine::Engine;
pub use feed::Feed;
pub use outlet::Ports;
pub use process::{Process, Program, free_port, free_ports, wait_for_port};
pub use prompts::{BLOCK_SIZE, Population, Prompt};
pub use publisher::{EventsEndpoint, Publisher, PublisherConfig};
pub use rolling::{local_hashes, rolling_hashes};
pub use wire::{payload, stamp};
