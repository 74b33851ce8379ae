//! What happens to every structure: the same fleet, the same events, the same
//! questions, with the answers that a naive model gives.

mod corpus;
mod engine;
mod generate;
mod naive;
mod random;
mod scenario;
mod trace;

pub(crate) use corpus::{Block, Corpus, Prompt};
pub(crate) use generate::generate;
pub(crate) use scenario::{Evictions, Scenario};
pub(crate) use trace::{Act, Checkpoint, Event, Trace};
