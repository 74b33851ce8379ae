//! A check in front of bytes.

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Bytes of a check.
pub(crate) const CHECK: usize = 8;

/// The check that these bytes must have. `seed` tells kinds of records apart, so
/// that none is taken for another.
pub(crate) fn check_of(seed: u64, bytes: &[u8]) -> [u8; CHECK] {
    xxh3_64_with_seed(bytes, seed).to_le_bytes()
}

/// What follows the check, if it is as it was written.
pub(crate) fn checked(seed: u64, bytes: &[u8]) -> Option<&[u8]> {
    let (check, rest) = bytes.split_first_chunk::<CHECK>()?;
    (*check == check_of(seed, rest)).then_some(rest)
}

/// Puts the check in front of bytes that begin with room for it.
pub(crate) fn seal(seed: u64, bytes: &mut [u8]) {
    if let Some((check, rest)) = bytes.split_first_chunk_mut::<CHECK>() {
        *check = check_of(seed, rest);
    }
}
