//! One request of the running stage.

use std::time::Duration;

use crate::parts::Moments;

/// What is known of it so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Request {
    pub(crate) user: u32,
    /// When the client sent it.
    pub(crate) sent: Duration,
    /// The router that chose, and the engine that it chose.
    pub(crate) picker: usize,
    pub(crate) engine: usize,
    /// In the router's books, until the first token.
    pub(crate) booked: u64,
    /// What the router thought that the engine has.
    pub(crate) predicted: u32,
    /// Of its prompt, what the engine had.
    pub(crate) cached: u32,
    /// On its way to its first token.
    pub(crate) moments: Moments,
    /// When the first token came.
    pub(crate) first: Option<Duration>,
    /// When the last token so far came.
    pub(crate) last: Duration,
    pub(crate) generated: u32,
    pub(crate) refused: bool,
}
