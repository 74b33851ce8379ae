//! What the eight keys of a group add to its sum.
//!
//! The sum is NH, of the message authentication code UMAC (Black et al.,
//! CRYPTO 1999), with "exclusive or" in the place of the addition: both halves of
//! every key are mixed with a secret of their place, and multiplied. For any two
//! groups of keys, whoever chose them, at most a few of 2³² secrets give equal
//! sums; for keys that are hashes equal sums are as rare as equal keys.

use proto_model::BlockKey;

use crate::page::GROUP;

/// The places' secrets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shares([u64; GROUP]);

impl Shares {
    /// Secrets made from a seed, by the steps of SplitMix64.
    pub(crate) fn new(seed: u64) -> Self {
        let mut state = seed;
        Self(std::array::from_fn(|_| {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^ (mixed >> 31)
        }))
    }

    /// The share of a key that lies at an offset of its page.
    #[inline]
    pub(crate) fn of(&self, offset: usize, key: u64) -> u64 {
        share(self.0[offset % GROUP], key)
    }

    /// The sum of a group.
    #[inline]
    pub(crate) fn sum(&self, keys: &[BlockKey; GROUP]) -> u64 {
        let shares = self.0.iter().zip(keys);
        shares.fold(0, |sum, (secret, key)| {
            sum.wrapping_add(share(*secret, key.0))
        })
    }

    /// The sum of a group whose last block has the first key.
    #[inline]
    pub(crate) fn sum_reversed(&self, keys: &[BlockKey; GROUP]) -> u64 {
        let shares = self.0.iter().rev().zip(keys);
        shares.fold(0, |sum, (secret, key)| {
            sum.wrapping_add(share(*secret, key.0))
        })
    }
}

/// A product of 32 by 32 bits: every x86-64 can do two at once.
#[inline]
fn share(secret: u64, key: u64) -> u64 {
    let mixed = key ^ secret;
    (mixed & 0xffff_ffff) * (mixed >> 32)
}
