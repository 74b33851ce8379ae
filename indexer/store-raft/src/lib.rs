//! The replicated store: openraft on sled.

pub mod snapshot;
pub mod types;
