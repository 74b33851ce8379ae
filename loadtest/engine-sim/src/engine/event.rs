//! What an engine tells about its cache.

use std::sync::Arc;

use super::hash::{Extras, Link};

/// One event, in the order in which vLLM queues them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CacheEvent {
    /// A run of blocks became full.
    Stored(Stored),
    /// A block's content was given up for another's.
    Removed(Link),
    /// Nothing is cached any more.
    Cleared,
}

/// A run of blocks of one prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// One per block, in order.
    pub links: Vec<Link>,
    /// The block before the run; none at a prompt's start.
    pub parent: Option<Link>,
    /// The tokens of the whole run.
    pub tokens: Vec<u32>,
    /// What was hashed beside the tokens.
    pub extras: Arc<Extras>,
}
