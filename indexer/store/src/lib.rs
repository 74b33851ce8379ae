//! The two seams of the index, and the embedded store behind them.

pub mod seam;

pub use seam::{
    AppendError, Appended, IndexWatch, IndexWriter, WatchError, WatchItem, WatchStream,
};
