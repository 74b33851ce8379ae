//! Simulated vLLM engines: prefix cache, scheduler, OpenAI HTTP, metrics, events.
//!
//! [`engine`] is the engine without a clock and without sockets; virtual time can
//! drive it. [`EngineSim`] gives it the sockets that vLLM has and drives it by the
//! wall clock. What it knows of the index is nothing: it is a black box beside it.
//! `docs/engine-sim.md` says how it is used and what it was compared with.

pub mod engine;
mod server;
pub mod wire;

pub use loadtest_engines::EventsEndpoint;
pub use server::{EngineSim, Faults, SimConfig, Stats, Tokenizer, Truth};
