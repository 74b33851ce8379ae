//! The two seams of the index, and the embedded store behind them.
//!
//! [`seam`] is the contract that every store keeps, [`EmbeddedStore`] the one
//! that lives in this process, in memory or on a disk, and [`conformance`] the
//! suite that every implementation is tested with. [`History`] is what all stores
//! that replay batches have in common: the state, its recent past, its watchers. How the embedded store works,
//! and its files, are in `docs/state.md`.

pub mod conformance;
mod disk;
mod embedded;
mod history;
mod options;
pub mod seam;
mod stamp;
mod stats;
mod weight;

pub use disk::OpenError;
pub use embedded::EmbeddedStore;
pub use history::History;
pub use options::{DiskOptions, EmbeddedOptions, HistoryOptions};
pub use seam::{
    AppendError, Appended, IndexWatch, IndexWriter, WatchError, WatchItem, WatchStream,
};
pub use stamp::{clock, leaves_times, stamped};
pub use stats::HistoryStats;
pub use weight::batch_weight;
