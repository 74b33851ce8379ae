//! Varints read 64 bytes at a time.
//!
//! Read one by one, each number waits for the length of the one before, which no
//! processor can guess where ids have two or three bytes. Here the last bytes of all
//! numbers of a block are found at once, as the bits of a word; the numbers are then
//! read without waiting for one another.

use prost::encoding::decode_varint;

/// Bytes that are looked at together.
const BLOCK: usize = 64;

/// The longest number that is read with the others: 28 bits, more than any
/// vocabulary needs.
const SHORT: usize = 4;

/// By length, the bytes of a number in the word that it begins.
const NUMBER_BYTES: [u32; 8] = [0, 0xff, 0xffff, 0xff_ffff, u32::MAX, 0, 0, 0];

/// Appends the numbers of a run, or returns `None` if it is not well formed; some
/// may have been appended then. Of a number beyond 32 bits the lower ones are
/// taken, as protobuf says.
pub(super) fn append(run: &[u8], ids: &mut Vec<u32>) -> Option<()> {
    ids.reserve(count(run));
    let mut at = 0;
    let mut numbers = [0; BLOCK];
    // Every number of the block has a word behind its first byte.
    while let Some(bytes) = run.get(at..).and_then(|rest| rest.first_chunk()) {
        match short_ones(bytes, &mut numbers) {
            Some((found, length)) => {
                ids.extend_from_slice(found);
                at += length;
            }
            None => {
                let end = at + BLOCK;
                while at < end {
                    at += one(&run[at..], ids)?;
                }
            }
        }
    }
    while at < run.len() {
        at += one(&run[at..], ids)?;
    }
    Some(())
}

/// How many numbers end in a run: each has one byte without the high bit, its last.
fn count(run: &[u8]) -> usize {
    // Few enough for a byte to count, so that many are counted by one instruction.
    let parts = run.chunks(255);
    let others = |part: &[u8]| part.iter().map(|byte| byte >> 7).sum::<u8>();
    run.len() - parts.map(|part| usize::from(others(part))).sum::<usize>()
}

/// Appends the first number, of any length; how many bytes it has.
fn one(bytes: &[u8], ids: &mut Vec<u32>) -> Option<usize> {
    let mut rest = bytes;
    ids.push(decode_varint(&mut rest).ok()? as u32);
    Some(bytes.len() - rest.len())
}

/// The numbers that end in a block, the first of which begins it, and how many bytes
/// they have. `None` if there are none, or a longer one is among them.
#[inline]
fn short_ones<'n>(
    block: &[u8; BLOCK + SHORT],
    numbers: &'n mut [u32; BLOCK],
) -> Option<(&'n [u32], usize)> {
    let mut ends = last_bytes(block);
    let (mut start, mut count, mut excess) = (0, 0, 0);
    while ends != 0 {
        let end = ends.trailing_zeros() as usize + 1;
        ends &= ends - 1;
        let length = end - start;
        excess |= length - 1;
        let bytes = block[start % BLOCK..].first_chunk()?;
        let number = u32::from_le_bytes(*bytes) & NUMBER_BYTES[length % 8];
        // Seven bits of every byte, moved together by twos and then by fours.
        let twos = number & 0x007f_007f | (number & 0x7f00_7f00) >> 1;
        numbers[count % BLOCK] = twos & 0x3fff | twos >> 16 << 14;
        (start, count) = (end, count + 1);
    }
    let found = numbers.get(..count)?;
    (count > 0 && excess < SHORT).then_some((found, start))
}

/// The bits of the block's bytes that are the last of a number.
#[inline]
fn last_bytes(block: &[u8]) -> u64 {
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let (words, _) = block[..BLOCK].as_chunks::<8>();
    let bits = words.iter().enumerate().map(|(place, word)| {
        let last = (!u64::from_le_bytes(*word) & HIGH) >> 7;
        // The eight bits, moved together.
        (last.wrapping_mul(0x0102_0408_1020_4080) >> 56) << (8 * place)
    });
    bits.fold(0, |all, bits| all | bits)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::encoding::encode_varint;

    use super::*;

    fn run(numbers: &[u64]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for number in numbers {
            encode_varint(*number, &mut bytes);
        }
        bytes
    }

    fn one_by_one(mut bytes: &[u8]) -> Option<Vec<u32>> {
        let mut ids = Vec::new();
        while !bytes.is_empty() {
            ids.push(decode_varint(&mut bytes).ok()? as u32);
        }
        Some(ids)
    }

    /// Mostly ids, now and then a number that nobody would send.
    fn number() -> impl Strategy<Value = u64> {
        prop_oneof![
            9 => (any::<u32>(), 8..32_u32).prop_map(|(id, shift)| u64::from(id >> shift)),
            1 => (any::<u64>(), 0..64_u32).prop_map(|(id, shift)| id >> shift),
        ]
    }

    proptest! {
        #[test]
        fn a_run_is_what_its_numbers_are_one_by_one(
            numbers in prop::collection::vec(number(), 0..300),
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        ) {
            let mut bytes = run(&numbers);
            for (place, byte) in damage {
                if !bytes.is_empty() {
                    let place = place.index(bytes.len());
                    bytes[place] = byte;
                }
            }
            let mut ids = Vec::new();
            let read = append(&bytes, &mut ids).map(|()| ids);
            prop_assert_eq!(read, one_by_one(&bytes));
        }
    }

    #[test]
    fn numbers_of_each_length_are_read_at_every_place_of_a_block() {
        for bits in 0..64 {
            for lead in 0..BLOCK {
                let mut numbers = vec![3; lead];
                numbers.extend([1 << bits, (1 << bits) - 1, u64::MAX >> (63 - bits)]);
                numbers.extend(vec![300; BLOCK]);
                let mut ids = Vec::new();
                append(&run(&numbers), &mut ids).expect("well formed");
                let expected: Vec<u32> = numbers.iter().map(|number| *number as u32).collect();
                assert_eq!(ids, expected, "{bits} bits behind {lead} bytes");
            }
        }
    }

    #[test]
    fn a_run_without_an_end_is_refused() {
        for length in 1..300 {
            assert_eq!(
                append(&vec![0x80; length], &mut Vec::new()),
                None,
                "{length}"
            );
        }
    }
}
