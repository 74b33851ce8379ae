//! A step's events as the message that vLLM would send.

use bytes::Bytes;
use loadtest_engines::{BatchEvent, Form, StoredRun, batch};

use crate::engine::{CacheEvent, Generation};

fn form(generation: Generation) -> Form {
    match generation {
        Generation::V0_10 => Form::Arrays,
        Generation::V0_32 => Form::Maps,
    }
}

/// The payload of one message. `timestamp` is in seconds since the Unix epoch.
///
/// # Errors
/// None that memory does not give.
pub fn payload(
    generation: Generation,
    timestamp: f64,
    block_size: usize,
    events: &[CacheEvent],
) -> anyhow::Result<Bytes> {
    let events: Vec<_> = events
        .iter()
        .map(|event| published(event, block_size))
        .collect();
    batch(form(generation), timestamp, &events).map(Bytes::from)
}

fn published(event: &CacheEvent, block_size: usize) -> BatchEvent<'_> {
    match event {
        CacheEvent::Cleared => BatchEvent::Cleared,
        CacheEvent::Removed(link) => BatchEvent::Removed(link.published()),
        CacheEvent::Stored(stored) => {
            let lora = stored.extras.lora.as_ref();
            BatchEvent::Stored(StoredRun {
                hashes: stored.links.iter().map(|link| link.published()).collect(),
                parent: stored.parent.map(|link| link.published()),
                tokens: &stored.tokens,
                block_size,
                lora: lora.map(|lora| (lora.id, lora.name.as_str())),
                salt: stored.extras.salt.as_deref(),
            })
        }
    }
}
