//! Simulated vLLM engines: cache, scheduler, OpenAI HTTP, metrics, events.

pub mod engine;
pub mod wire;
