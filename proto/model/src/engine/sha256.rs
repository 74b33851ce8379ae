//! SHA-256 of a buffer that may be written to.
//!
//! Blocks are short: of the time that a general hasher takes for 80 bytes, a good
//! part goes into its own buffer. Here the message is padded where it lies, and
//! compressed from there.

use sha2::block_api::compress256;

/// Bytes that are compressed at a time.
const BLOCK: usize = 64;

/// The state before the first block (FIPS 180-4, section 5.3.3).
const INITIAL: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// The digest of the buffer, which is left padded (FIPS 180-4, section 5.1.1).
pub(super) fn digest(message: &mut Vec<u8>) -> [u8; 32] {
    let bits = message.len() as u64 * 8;
    message.push(0x80);
    let length = (message.len() + size_of::<u64>()).next_multiple_of(BLOCK);
    message.resize(length - size_of::<u64>(), 0);
    message.extend_from_slice(&bits.to_be_bytes());
    let (blocks, rest) = message.as_chunks::<BLOCK>();
    debug_assert!(rest.is_empty(), "the message is padded to whole blocks");
    let mut state = INITIAL;
    compress256(&mut state, blocks);
    let mut digest = [0; 32];
    for (bytes, word) in digest.as_chunks_mut::<4>().0.iter_mut().zip(state) {
        *bytes = word.to_be_bytes();
    }
    digest
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn as_the_general_hasher_at_every_length() {
        let bytes: Vec<u8> = (0..=255).cycle().take(400).collect();
        for length in 0..bytes.len() {
            let expected: [u8; 32] = Sha256::digest(&bytes[..length]).into();
            assert_eq!(digest(&mut bytes[..length].to_vec()), expected, "{length}");
        }
    }
}
