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

/// Appends the numbers of a run, or returns `None` if it is not well formed; some
/// may have been appended then. Of a number beyond 32 bits the lower ones are
/// taken, as protobuf says.
pub(super) fn append(run: &[u8], ids: &mut Vec<u32>) -> Option<()> {
    let (mut block_at, mut start) = (0, 0);
    // Behind the last number's first byte, too, a word must lie in the run.
    while let Some(bytes) = chunk::<{ BLOCK + SHORT }>(run, block_at) {
        let ends = last_bytes(bytes);
        let (first, before) = (start, ids.len());
        let (mut rest, mut excess) = (ends, 0);
        ids.extend((0..ends.count_ones()).map(|_| {
            let end = block_at + rest.trailing_zeros() as usize + 1;
            rest &= rest.wrapping_sub(1);
            let length = end - start;
            excess |= length - 1;
            let word = chunk(run, start).map_or(0, |bytes| u32::from_le_bytes(*bytes));
            start = end;
            number(word, length)
        }));
        if excess >= SHORT {
            ids.truncate(before);
            start = first;
            for _ in 0..ends.count_ones() {
                start += one(&run[start..], ids)?;
            }
        }
        block_at += BLOCK;
    }
    while start < run.len() {
        start += one(&run[start..], ids)?;
    }
    Some(())
}

/// Appends the first number, of any length; how many bytes it has.
fn one(bytes: &[u8], ids: &mut Vec<u32>) -> Option<usize> {
    let mut rest = bytes;
    ids.push(decode_varint(&mut rest).ok()? as u32);
    Some(bytes.len() - rest.len())
}

#[inline]
fn chunk<const N: usize>(run: &[u8], at: usize) -> Option<&[u8; N]> {
    run.get(at..)?.first_chunk()
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

/// The number that a word begins with and that has so many of its bytes.
#[inline]
fn number(word: u32, length: usize) -> u32 {
    let bits = u32::MAX.wrapping_shr(32_u32.wrapping_sub(8 * length as u32));
    let word = word & bits;
    word & 0x7f | word >> 1 & 0x3f80 | word >> 2 & 0x1f_c000 | word >> 3 & 0xfe0_0000
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
            assert_eq!(append(&vec![0x80; length], &mut Vec::new()), None, "{length}");
        }
    }
}
