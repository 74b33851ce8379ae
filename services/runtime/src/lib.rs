//! What every role of the process needs and no role owns: configuration,
//! telemetry, metrics, the admin listener, and an orderly end.
//!
//! This crate knows none of the others, so that each of them can be started
//! by it.

pub mod admin;
pub mod config;
pub mod drain;
pub mod http;
pub mod metrics;
pub mod telemetry;
