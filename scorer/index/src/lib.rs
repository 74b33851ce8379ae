//! The scorer's in-memory prefix index: which holder holds how much of a prompt.
//!
//! Sync, no I/O, no protobuf. A [`PrefixIndex`] is fed with the state's deltas
//! and answers, for a prompt's block keys, how long a prefix every holder holds
//! and on which media. `docs/index.md` has the structure and its figures.

mod arena;
#[cfg(test)]
mod audit;
mod filter;
mod index;
mod intern;
mod lanes;
mod limits;
mod lookup;
mod matching;
#[cfg(test)]
mod model_tests;
mod page;
mod prefetch;
mod roster;
mod set_id;
mod shared;
mod shares;
mod survivors;
mod table;
mod wide;
mod writer;

pub use filter::HolderFilter;
pub use index::{IndexBuilder, PrefixIndex};
pub use limits::{IndexLimits, IndexStats};
pub use matching::{Match, Matches, Scratch};
