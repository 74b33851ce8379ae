//! Messages of vLLM engines, byte for byte as two of its versions send them.

use anyhow::Result;

/// How events are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// vLLM 0.10: arrays, without media and extra keys.
    Arrays,
    /// vLLM 0.24 and later: maps.
    Maps,
}

/// One event of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BatchEvent<'a> {
    /// A run of blocks became full.
    Stored(StoredRun<'a>),
    /// Blocks' contents were given up.
    Removed(u64),
    /// Nothing is cached any more.
    Cleared,
}

/// A run of blocks of one prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRun<'a> {
    /// The engine's hash of each block.
    pub hashes: Vec<u64>,
    /// The hash of the block before the run; none at a prompt's start.
    pub parent: Option<u64>,
    /// The tokens of the whole run.
    pub tokens: &'a [u32],
    /// Tokens per block.
    pub block_size: usize,
    /// The adapter's number and name.
    pub lora: Option<(u32, &'a str)>,
    /// The request's salt, which belongs to a prompt's first block.
    pub salt: Option<&'a str>,
}

/// The MessagePack payload of one message of rank 0. `timestamp` is in seconds
/// since the Unix epoch.
///
/// # Errors
/// None that memory does not give.
pub fn batch(form: Form, timestamp: f64, events: &[BatchEvent<'_>]) -> Result<Vec<u8>> {
    let tokens: usize = events.iter().map(BatchEvent::tokens).sum();
    let mut out = Vec::with_capacity(64 + events.len() * 128 + tokens * 5);
    rmp::encode::write_array_len(&mut out, 3)?;
    rmp::encode::write_f64(&mut out, timestamp)?;
    rmp::encode::write_array_len(&mut out, length(events.len()))?;
    for event in events {
        match form {
            Form::Arrays => array(&mut out, event)?,
            Form::Maps => map(&mut out, event)?,
        }
    }
    uint(&mut out, 0)?;
    Ok(out)
}

impl BatchEvent<'_> {
    fn tokens(&self) -> usize {
        match self {
            Self::Stored(run) => run.tokens.len(),
            Self::Removed(_) | Self::Cleared => 0,
        }
    }
}

fn array(out: &mut Vec<u8>, event: &BatchEvent<'_>) -> Result<()> {
    match event {
        BatchEvent::Stored(run) => {
            rmp::encode::write_array_len(out, 6)?;
            text(out, "BlockStored")?;
            hashes(out, &run.hashes)?;
            optional(out, run.parent)?;
            token_ids(out, run.tokens)?;
            uint(out, run.block_size as u64)?;
            optional(out, run.lora.map(|(id, _)| u64::from(id)))
        }
        BatchEvent::Removed(hash) => {
            rmp::encode::write_array_len(out, 2)?;
            text(out, "BlockRemoved")?;
            hashes(out, &[*hash])
        }
        BatchEvent::Cleared => {
            rmp::encode::write_array_len(out, 1)?;
            text(out, "AllBlocksCleared")
        }
    }
}

fn map(out: &mut Vec<u8>, event: &BatchEvent<'_>) -> Result<()> {
    match event {
        BatchEvent::Stored(run) => stored_map(out, run),
        BatchEvent::Removed(hash) => {
            rmp::encode::write_map_len(out, 4)?;
            kind(out, "BlockRemoved")?;
            text(out, "block_hashes")?;
            hashes(out, &[*hash])?;
            medium_and_group(out)
        }
        BatchEvent::Cleared => {
            rmp::encode::write_map_len(out, 1)?;
            kind(out, "AllBlocksCleared")
        }
    }
}

fn stored_map(out: &mut Vec<u8>, run: &StoredRun<'_>) -> Result<()> {
    rmp::encode::write_map_len(out, 11)?;
    kind(out, "BlockStored")?;
    text(out, "block_hashes")?;
    hashes(out, &run.hashes)?;
    text(out, "parent_block_hash")?;
    optional(out, run.parent)?;
    text(out, "token_ids")?;
    token_ids(out, run.tokens)?;
    text(out, "block_size")?;
    uint(out, run.block_size as u64)?;
    text(out, "lora_id")?;
    optional(out, run.lora.map(|(id, _)| u64::from(id)))?;
    text(out, "medium")?;
    text(out, "GPU")?;
    text(out, "lora_name")?;
    match run.lora {
        Some((_, name)) => text(out, name)?,
        None => rmp::encode::write_nil(out)?,
    }
    text(out, "extra_keys")?;
    extra_keys(out, run)?;
    text(out, "group_idx")?;
    uint(out, 0)?;
    text(out, "kv_cache_spec_kind")?;
    text(out, "full_attention")
}

/// One list, or nil, per block: the adapter's name, then on a prompt's first block
/// the salt.
fn extra_keys(out: &mut Vec<u8>, run: &StoredRun<'_>) -> Result<()> {
    rmp::encode::write_array_len(out, length(run.hashes.len()))?;
    for block in 0..run.hashes.len() {
        let first = block == 0 && run.parent.is_none();
        let salt = run.salt.filter(|_| first);
        let keys = [run.lora.map(|(_, name)| name), salt];
        let keys: Vec<&str> = keys.into_iter().flatten().collect();
        if keys.is_empty() {
            rmp::encode::write_nil(out)?;
            continue;
        }
        rmp::encode::write_array_len(out, length(keys.len()))?;
        for key in keys {
            text(out, key)?;
        }
    }
    Ok(())
}

fn medium_and_group(out: &mut Vec<u8>) -> Result<()> {
    text(out, "medium")?;
    text(out, "GPU")?;
    text(out, "group_idx")?;
    uint(out, 0)
}

fn kind(out: &mut Vec<u8>, kind: &str) -> Result<()> {
    text(out, "type")?;
    text(out, kind)
}

fn hashes(out: &mut Vec<u8>, hashes: &[u64]) -> Result<()> {
    rmp::encode::write_array_len(out, length(hashes.len()))?;
    hashes.iter().try_for_each(|hash| uint(out, *hash))
}

fn token_ids(out: &mut Vec<u8>, tokens: &[u32]) -> Result<()> {
    rmp::encode::write_array_len(out, length(tokens.len()))?;
    tokens.iter().try_for_each(|id| uint(out, u64::from(*id)))
}

fn optional(out: &mut Vec<u8>, number: Option<u64>) -> Result<()> {
    match number {
        Some(number) => uint(out, number),
        None => Ok(rmp::encode::write_nil(out)?),
    }
}

fn uint(out: &mut Vec<u8>, number: u64) -> Result<()> {
    rmp::encode::write_uint(out, number)?;
    Ok(())
}

fn text(out: &mut Vec<u8>, text: &str) -> Result<()> {
    Ok(rmp::encode::write_str(out, text)?)
}

fn length(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
