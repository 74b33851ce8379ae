//! From scores and load to a ranked list of endpoints. Sync and pure: the same
//! arguments give the same answer, on every picker.
//!
//! ```text
//!  candidates ──▶ saturation ──▶ shed?      priority < 0 and every endpoint is saturated
//!      ├───────▶ overload ────▶ eligible?   tokens of work there against tokens saved
//!      └───────▶ parts ───────▶ score       prefix, queue, running, KV use, by weight
//!                                 └─ spread ─▶ ranked: eligible first, then by score
//! ```
//! `docs/picking.md` explains every rule, with figures.

mod candidate;
mod overload;
mod parts;
mod pick;
mod policy;
mod ranking;
mod saturation;
mod spread;

pub use candidate::{Ask, Candidate, InFlight, Load};
pub use pick::{Pick, Reason, Refusal, pick};
pub use policy::{Overload, Policy, PolicyMistake, Saturation, Weights};
