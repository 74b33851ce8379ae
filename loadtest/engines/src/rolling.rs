//! The rolling block hashes of Dynamo's router and the Mooncake proposal, which
//! an index can be asked by. Written from their description, so that a mistake in
//! the index's own functions shows.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::prompts::Prompt;

const SEED: u64 = 1337;

/// Every block's own hash, whatever comes before it.
#[must_use]
pub fn local_hashes(prompt: &Prompt) -> Vec<u64> {
    (0..prompt.blocks())
        .map(|block| {
            let tokens = prompt.tokens(block);
            let bytes: Vec<u8> = tokens.iter().flat_map(|id| id.to_le_bytes()).collect();
            xxh3_64_with_seed(&bytes, SEED)
        })
        .collect()
}

/// One per block of the prompt: the block's own hash for the first; the hash of
/// the one before, and the block's own, for the others.
#[must_use]
pub fn rolling_hashes(prompt: &Prompt) -> Vec<u64> {
    let mut chain: Option<u64> = None;
    let mut hashes = local_hashes(prompt);
    for hash in &mut hashes {
        if let Some(before) = chain {
            let mut both = [0; 16];
            both[..8].copy_from_slice(&before.to_le_bytes());
            both[8..].copy_from_slice(&hash.to_le_bytes());
            *hash = xxh3_64_with_seed(&both, SEED);
        }
        chain = Some(*hash);
    }
    hashes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_prefixes_have_equal_hashes_and_others_do_not() {
        let short = rolling_hashes(&Prompt::unique(7, 3));
        let long = rolling_hashes(&Prompt::unique(7, 5));
        let other = rolling_hashes(&Prompt::unique(8, 5));
        assert_eq!(short, long[..3]);
        assert!(long.iter().zip(&other).all(|(ours, theirs)| ours != theirs));
    }
}
