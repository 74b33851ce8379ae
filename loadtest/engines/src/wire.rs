//! The messages of a vLLM 0.24 or later engine.

use anyhow::Result;

use crate::cache::Event;
use crate::prompts::{BLOCK_SIZE, Prompt};

/// The MessagePack payload of one message.
///
/// # Errors
/// None that memory does not give.
pub fn payload(
    timestamp: f64,
    prompt: &Prompt,
    hashes: &[u64],
    events: &[Event],
) -> Result<Vec<u8>> {
    let mut payload = Vec::with_capacity(64 + hashes.len() * 64);
    begin(&mut payload, timestamp, events.len())?;
    for event in events {
        match event {
            Event::Stored { first, last } => {
                stored(&mut payload, prompt, hashes, *first, *last)?;
            }
            Event::Removed(hash) => removed(&mut payload, *hash)?,
        }
    }
    rmp::encode::write_uint(&mut payload, 0)?;
    Ok(payload)
}

/// Gives a payload another time, in seconds since the Unix epoch.
///
/// # Panics
/// If it was not made by [`payload`].
pub fn stamp(payload: &mut [u8], timestamp: f64) {
    // A list of three, then a 64-bit float.
    assert_eq!(payload[..2], [0x93, 0xcb], "not a payload of this module");
    payload[2..10].copy_from_slice(&timestamp.to_be_bytes());
}

/// The payload of a message that says that the cache is empty.
pub(crate) fn cleared(timestamp: f64) -> Result<Vec<u8>> {
    let mut payload = Vec::with_capacity(64);
    begin(&mut payload, timestamp, 1)?;
    rmp::encode::write_map_len(&mut payload, 1)?;
    text(&mut payload, "type")?;
    text(&mut payload, "AllBlocksCleared")?;
    rmp::encode::write_uint(&mut payload, 0)?;
    Ok(payload)
}

fn begin(out: &mut Vec<u8>, timestamp: f64, events: usize) -> Result<()> {
    rmp::encode::write_array_len(out, 3)?;
    rmp::encode::write_f64(out, timestamp)?;
    rmp::encode::write_array_len(out, length(events))?;
    Ok(())
}

fn stored(
    out: &mut Vec<u8>,
    prompt: &Prompt,
    hashes: &[u64],
    first: usize,
    last: usize,
) -> Result<()> {
    rmp::encode::write_map_len(out, 7)?;
    text(out, "type")?;
    text(out, "BlockStored")?;
    text(out, "block_hashes")?;
    rmp::encode::write_array_len(out, length(last - first + 1))?;
    for hash in &hashes[first..=last] {
        rmp::encode::write_uint(out, *hash)?;
    }
    text(out, "parent_block_hash")?;
    match first.checked_sub(1) {
        Some(parent) => {
            rmp::encode::write_uint(out, hashes[parent])?;
        }
        None => rmp::encode::write_nil(out)?,
    }
    text(out, "token_ids")?;
    rmp::encode::write_array_len(out, length((last - first + 1) * BLOCK_SIZE))?;
    for block in first..=last {
        for token in prompt.tokens(block) {
            rmp::encode::write_uint(out, u64::from(token))?;
        }
    }
    text(out, "block_size")?;
    rmp::encode::write_uint(out, BLOCK_SIZE as u64)?;
    text(out, "medium")?;
    text(out, "GPU")?;
    text(out, "group_idx")?;
    rmp::encode::write_uint(out, 0)?;
    Ok(())
}

fn removed(out: &mut Vec<u8>, hash: u64) -> Result<()> {
    rmp::encode::write_map_len(out, 4)?;
    text(out, "type")?;
    text(out, "BlockRemoved")?;
    text(out, "block_hashes")?;
    rmp::encode::write_array_len(out, 1)?;
    rmp::encode::write_uint(out, hash)?;
    text(out, "medium")?;
    text(out, "GPU")?;
    text(out, "group_idx")?;
    rmp::encode::write_uint(out, 0)?;
    Ok(())
}

fn text(out: &mut Vec<u8>, text: &str) -> Result<()> {
    Ok(rmp::encode::write_str(out, text)?)
}

fn length(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamped_payload_is_one_made_at_that_time() {
        let prompt = Prompt::unique(1, 2);
        let events = [Event::Removed(9), Event::Stored { first: 0, last: 1 }];
        let mut early = payload(1.5, &prompt, &[7, 8], &events).unwrap();
        let late = payload(2.25, &prompt, &[7, 8], &events).unwrap();
        assert_ne!(early, late);
        stamp(&mut early, 2.25);
        assert_eq!(early, late);
    }
}
