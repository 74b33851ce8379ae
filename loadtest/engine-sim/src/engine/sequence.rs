//! One request on its way through the engine.

use std::sync::Arc;
use std::time::Duration;

use super::hash::{Extras, Hasher, Link};
use super::pool::BlockId;

/// A request's number, given by who submits it.
pub type RequestId = u64;

/// What is asked of the engine.
#[derive(Debug, Clone)]
pub struct Submission {
    /// Any number that no request in flight has.
    pub id: RequestId,
    /// The prompt's token ids.
    pub prompt: Vec<u32>,
    /// What will be generated, token by token: a simulated engine has no model that
    /// could decide it.
    pub reply: Vec<u32>,
    /// What is hashed beside the tokens.
    pub extras: Extras,
}

#[derive(Debug)]
pub(crate) struct Sequence {
    pub(crate) id: RequestId,
    /// The prompt, then what was generated so far.
    pub(crate) tokens: Vec<u32>,
    pub(crate) prompt_tokens: usize,
    reply: Vec<u32>,
    extras: Arc<Extras>,
    /// One per full block of `tokens`.
    pub(crate) links: Vec<Link>,
    /// The blocks that it uses.
    pub(crate) blocks: Vec<BlockId>,
    /// How many of its blocks can be found by others.
    pub(crate) kept: usize,
    /// Tokens whose KV is there.
    pub(crate) computed: usize,
    /// Of the prompt, found in the cache when it was first scheduled.
    pub(crate) cached_tokens: Option<usize>,
    pub(crate) submitted: Duration,
}

impl Sequence {
    pub(crate) fn new(submission: Submission, submitted: Duration) -> Self {
        Self {
            id: submission.id,
            prompt_tokens: submission.prompt.len(),
            tokens: submission.prompt,
            reply: submission.reply,
            extras: Arc::new(submission.extras),
            links: Vec::new(),
            blocks: Vec::new(),
            kept: 0,
            computed: 0,
            cached_tokens: None,
            submitted,
        }
    }

    pub(crate) fn extras(&self) -> Arc<Extras> {
        Arc::clone(&self.extras)
    }

    /// Hashes the blocks that became full.
    pub(crate) fn hash(&mut self, hasher: &Hasher, block_size: usize) {
        let full = self.tokens.len() / block_size;
        for block in self.links.len()..full {
            let tokens = &self.tokens[block * block_size..][..block_size];
            let link = hasher.link(self.links.last(), tokens, &self.extras);
            self.links.push(link);
        }
    }

    /// Tokens generated so far.
    pub(crate) fn generated(&self) -> usize {
        self.tokens.len() - self.prompt_tokens
    }

    /// Generates the next token; true if it was the last.
    pub(crate) fn generate(&mut self) -> (u32, bool) {
        let next = self.generated();
        let token = self.reply[next];
        self.tokens.push(token);
        (token, next + 1 == self.reply.len())
    }
}
