//! Block keys, beside the floor: the same digest over the same number of bytes, a
//! block at a time, with nothing around it.

use std::hint::black_box;
use std::time::Instant;

use anyhow::{Result, anyhow};
use proto_model::engine::{EngineHasher, HashAlgorithm, HashRules};
use proto_model::{
    BlockKey, Extras, ItemForm, KeySpace, Profile, PromptContext, TokenId, content_keys,
    engine_keys,
};
use serde::Serialize;
use sha2::{Digest, Sha256};
use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128};

/// Lengths of prompts, in tokens.
const LENGTHS: [usize; 4] = [1_024, 7_200, 32_768, 131_072];

/// Tokens per block.
const BLOCK_SIZES: [u32; 2] = [16, 64];

/// Vocabulary of the tokens.
const VOCABULARY: u32 = 151_936;

/// Tokens that a figure is measured over, about.
const MEASURED: usize = 4_000_000;

/// Turns in which keys and floor are measured; the best of each counts.
const TURNS: usize = 7;

/// One way to key one length of prompt.
#[derive(Debug, Serialize)]
pub(crate) struct Keys {
    pub(crate) form: String,
    pub(crate) block_size: u32,
    pub(crate) tokens: usize,
    /// One prompt's keys, in microseconds.
    pub(crate) keys_us: f64,
    /// The floor of one prompt, in microseconds.
    pub(crate) floor_us: f64,
    /// One over the other.
    pub(crate) ratio: f64,
}

pub(crate) fn measure() -> Result<Vec<Keys>> {
    let mut found = Vec::new();
    for block_size in BLOCK_SIZES {
        for tokens in LENGTHS {
            let ids = prompt(tokens);
            found.push(content(block_size, &ids));
            for algorithm in HashAlgorithm::ALL {
                found.push(engine(algorithm, block_size, &ids)?);
            }
        }
    }
    Ok(found)
}

fn prompt(tokens: usize) -> Vec<TokenId> {
    // Small and large ids come mixed, as in any text.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let wide = u32::try_from(state >> 33).unwrap_or(0);
        if wide % 4 == 0 {
            wide % 1_000
        } else {
            wide % VOCABULARY
        }
    };
    (0..tokens).map(|_| next()).collect()
}

fn space(profile: Profile, block_size: u32) -> KeySpace {
    KeySpace {
        profile,
        model: "bench".to_owned(),
        lora: None,
        block_size,
        extras: Extras::Published,
    }
}

fn content(block_size: u32, ids: &[TokenId]) -> Keys {
    let space = space(Profile::Content, block_size);
    let mut out: Vec<BlockKey> = Vec::new();
    let bytes: Vec<u8> = ids.iter().flat_map(|id| id.to_le_bytes()).collect();
    let keys = || {
        let form = ItemForm::default();
        let _ = content_keys(
            &space,
            form,
            None,
            black_box(ids),
            &PromptContext::default(),
            &mut out,
        );
    };
    // A block's own hash, and the chain's.
    let floor = || {
        let mut parent = 0_u64;
        for block in black_box(&bytes).chunks_exact(block_size as usize * 4) {
            let local = xxh3_64_with_seed(block, 1337);
            let mut both = [0; 16];
            both[..8].copy_from_slice(&parent.to_le_bytes());
            both[8..].copy_from_slice(&local.to_le_bytes());
            parent = xxh3_64_with_seed(&both, 1337);
        }
        black_box(parent);
    };
    timed("content".to_owned(), block_size, ids.len(), keys, floor)
}

fn engine(algorithm: HashAlgorithm, block_size: u32, ids: &[TokenId]) -> Result<Keys> {
    let rules = HashRules::new(algorithm, Some("42".to_owned()), None);
    let hasher = EngineHasher::new(rules).map_err(|error| anyhow!(error))?;
    let space = space(Profile::Engine, block_size);
    let mut out = Vec::new();
    let keys = || {
        let _ = engine_keys(
            &space,
            &hasher,
            black_box(ids),
            &PromptContext::default(),
            &mut out,
        );
    };
    let (lengths, longest) = encoded(algorithm, block_size, ids);
    let mut bytes = vec![7_u8; longest];
    // Each block waits for the one before, as in any chain.
    let floor = || {
        for length in black_box(&lengths) {
            let digest = digest(algorithm, &bytes[..*length]);
            bytes[2..10].copy_from_slice(&digest.to_be_bytes());
        }
        black_box(&bytes);
    };
    let form = format!("engine {algorithm}");
    Ok(timed(form, block_size, ids.len(), keys, floor))
}

fn digest(algorithm: HashAlgorithm, bytes: &[u8]) -> u64 {
    match algorithm {
        HashAlgorithm::Xxhash | HashAlgorithm::XxhashCbor => {
            u64::try_from(xxh3_128(bytes) & u128::from(u64::MAX)).unwrap_or(0)
        }
        // Python's own hash reads eight bytes for every token.
        HashAlgorithm::Builtin => xxh3_64_with_seed(bytes, 0),
        _ => {
            let digest = Sha256::digest(bytes);
            u64::from_be_bytes(std::array::from_fn(|index| digest[index]))
        }
    }
}

/// Bytes that every block's tuple takes, and the most of them.
fn encoded(algorithm: HashAlgorithm, block_size: u32, ids: &[TokenId]) -> (Vec<usize>, usize) {
    let per_token = |id: &TokenId| match (algorithm, *id) {
        (HashAlgorithm::Builtin, _) => 8,
        (HashAlgorithm::Sha256 | HashAlgorithm::Xxhash, 0..0x100) => 2,
        (_, 0..24) => 1,
        (_, 24..0x100) => 2,
        (_, 0x100..0x1_0000) => 3,
        (_, 0x1_0000..) => 5,
    };
    let around = match algorithm {
        HashAlgorithm::Builtin => 16,
        HashAlgorithm::Sha256Cbor64 => 12,
        HashAlgorithm::Sha256Cbor => 38,
        HashAlgorithm::XxhashCbor => 21,
        HashAlgorithm::Sha256 => 54,
        HashAlgorithm::Xxhash => 38,
    };
    let blocks = ids.chunks_exact(block_size as usize);
    let lengths: Vec<usize> = blocks
        .map(|block| around + block.iter().map(per_token).sum::<usize>())
        .collect();
    let longest = lengths.iter().copied().max().unwrap_or(0).max(16);
    (lengths, longest)
}

fn timed(
    form: String,
    block_size: u32,
    tokens: usize,
    mut keys: impl FnMut(),
    mut floor: impl FnMut(),
) -> Keys {
    let rounds = (MEASURED / TURNS / tokens).max(1);
    let (mut keys_us, mut floor_us) = (f64::MAX, f64::MAX);
    for _ in 0..TURNS {
        keys_us = keys_us.min(per_round(rounds, &mut keys));
        floor_us = floor_us.min(per_round(rounds, &mut floor));
    }
    Keys {
        form,
        block_size,
        tokens,
        keys_us,
        floor_us,
        ratio: keys_us / floor_us,
    }
}

fn per_round(rounds: usize, work: &mut impl FnMut()) -> f64 {
    let started = Instant::now();
    for _ in 0..rounds {
        work();
    }
    started.elapsed().as_secs_f64() * 1e6 / rounds as f64
}
