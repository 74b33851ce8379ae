//! Numbers read 64 bytes at a time.
//!
//! A digit at a time, or a number at a time, the place of each number is known only
//! once the one before is read. Here the places where numbers of a block end are
//! found at once, as the bits of a word; the numbers are then read without waiting
//! for one another. The checks are gathered and looked at once for each block.

/// Bytes that are looked at together.
const BLOCK: usize = 64;

/// The longest number that is read here.
const DIGITS: usize = 8;

/// `'0'` in every byte.
const ZEROS: u64 = 0x3030_3030_3030_3030;

/// By number of digits, the bytes of the number in a word that ends with it.
const DIGIT_BYTES: [u64; 16] = {
    let mut bytes = [0; 16];
    let mut digits = 1;
    while digits <= DIGITS {
        bytes[digits] = u64::MAX << (64 - 8 * digits);
        digits += 1;
    }
    bytes
};

/// By number of digits, the least number that has as many. Longer ones are refused.
const LEAST: [u32; 16] = {
    let mut least = [0; 16];
    let mut digits = 2;
    while digits <= DIGITS {
        least[digits] = 10_u32.pow(digits as u32 - 1);
        digits += 1;
    }
    least
};

/// Reads numbers of up to eight digits from `from` on, each of which is followed by
/// a comma, or each by a comma and a blank. Returns where the first number begins
/// that is not read: what is unusual, or too near the end, is left to the caller.
pub(super) fn read(body: &[u8], from: usize, ids: &mut Vec<u32>) -> usize {
    // A word that ends with the first number must lie in the body.
    if from < DIGITS {
        return from;
    }
    let rest = &body[from..];
    let first = rest.iter().take_while(|byte| byte.is_ascii_digit());
    match rest.get(first.count() + 1) {
        Some(b' ') => read_gaps::<2>(body, from, ids),
        _ => read_gaps::<1>(body, from, ids),
    }
}

/// The bits of the block's bytes that are digits.
fn digits(block: &[u8; BLOCK]) -> u64 {
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let (words, _) = block.as_chunks::<8>();
    let bits = words.iter().enumerate().map(|(place, word)| {
        let values = u64::from_le_bytes(*word) ^ ZEROS;
        // Ten and more carry into the high bit, and no further.
        let others = ((values & !HIGH) + 0x7676_7676_7676_7676) | values;
        // The eight high bits, moved together.
        let digits = (!others & HIGH) >> 7;
        (digits.wrapping_mul(0x0102_0408_1020_4080) >> 56) << (8 * place)
    });
    bits.fold(0, |all, bits| all | bits)
}

/// `GAP` is the length of what follows each number: `,` or `, `.
#[inline]
fn read_gaps<const GAP: usize>(body: &[u8], from: usize, ids: &mut Vec<u32>) -> usize {
    let (mut block_at, mut start) = (from, from);
    // Of the byte before the block.
    let (mut digit_before, mut end_before) = (0, 0);
    let mut read = [0; BLOCK];
    while let Some(block) = block_at_or_end(body, block_at) {
        let digits = digits(block);
        // Of a gap of one byte, every byte is an end, or there is an empty number.
        let (mut ends, stray) = match GAP {
            1 => (!digits, 0),
            _ => {
                let ends = !digits & (digits << 1 | digit_before);
                let gaps = ends | ends << 1 | end_before;
                (digit_before, end_before) = (digits >> 63, ends >> 63);
                (ends, !digits & !gaps)
            }
        };
        let block_start = start;
        let (mut wrong_gaps, mut lengths, mut padded) = (0, 0, 0);
        let mut count = 0;
        while ends != 0 {
            let end = block_at + ends.trailing_zeros() as usize;
            ends &= ends - 1;
            // The number's last eight bytes, and what may be its gap.
            let around = body.get(end - DIGITS..);
            let Some(around) = around.and_then(|bytes| bytes.first_chunk::<{ DIGITS + 2 }>())
            else {
                return block_start;
            };
            let [a, b, c, d, e, f, g, h, gap @ ..] = *around;
            let length = end.wrapping_sub(start);
            let word = u64::from_le_bytes([a, b, c, d, e, f, g, h]) ^ ZEROS;
            let id = number(word & DIGIT_BYTES[length % 16]);
            wrong_gaps |= match GAP {
                1 => u16::from(gap[0] ^ b','),
                _ => u16::from_le_bytes(gap) ^ u16::from_le_bytes(*b", "),
            };
            // Of length 0, all bits are set.
            lengths |= length.wrapping_sub(1);
            padded |= id.wrapping_sub(LEAST[length % 16]);
            read[count % BLOCK] = id;
            count += 1;
            start = end + GAP;
        }
        // Numbers are below 10^8: the high bit tells that one was less than another.
        if stray != 0 || wrong_gaps != 0 || lengths >= DIGITS || padded >> 31 != 0 {
            return block_start;
        }
        ids.extend_from_slice(&read[..count % BLOCK]);
        block_at += BLOCK;
    }
    start
}

#[inline]
fn block_at_or_end(body: &[u8], at: usize) -> Option<&[u8; BLOCK]> {
    body.get(at..)?.first_chunk()
}

/// The number of eight digits, the first in the lowest byte.
#[inline]
fn number(digits: u64) -> u32 {
    // They are added up in pairs, fours, all. Other bytes than digits may overflow.
    let add_up =
        |values: u64, base: u64, bits: u32| values.wrapping_mul(base).wrapping_add(values >> bits);
    let pairs = add_up(digits, 10, 8) & 0x00ff_00ff_00ff_00ff;
    let fours = add_up(pairs, 100, 16) & 0x0000_ffff_0000_ffff;
    (add_up(fours, 10_000, 32) & 0xffff_ffff) as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The list's numbers one by one, as far as `read` said that it came.
    fn one_by_one(text: &str) -> Vec<u32> {
        let numbers = text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty());
        numbers.map(|number| number.parse().unwrap()).collect()
    }

    fn number_text() -> impl Strategy<Value = String> {
        (any::<u32>(), 0..32_u32).prop_map(|(id, shift)| (id >> shift).to_string())
    }

    proptest! {
        #[test]
        fn what_is_read_is_there_and_whole(
            numbers in prop::collection::vec(number_text(), 0..300),
            gap in prop_oneof![Just(","), Just(", "), Just(" ,")],
            damage in prop::option::weighted(0.5, (any::<prop::sample::Index>(), any::<u8>())),
            lead in 0..70_usize,
        ) {
            let lead = " ".repeat(lead);
            let mut body = format!("{lead}{}]", numbers.join(gap)).into_bytes();
            let list = lead.len()..body.len() - 1;
            if let Some((place, byte)) = damage
                && !list.is_empty()
            {
                body[list.start + place.index(list.len())] = byte;
            }
            let mut ids = vec![7];
            let end = read(&body, lead.len(), &mut ids);
            let text = std::str::from_utf8(&body[lead.len()..end]).unwrap();
            prop_assert_eq!(&ids[1..], one_by_one(text));
            prop_assert!(text.is_empty() || text.trim_end().ends_with(','), "{}", text);
            let padded = |number: &str| number.len() > 1 && number.starts_with('0');
            let bare = text.replace(' ', "");
            prop_assert!(!bare.contains(",,") && !bare.split(',').any(padded), "{}", text);
        }
    }

    #[test]
    fn most_of_a_plain_list_is_read() {
        for gap in [",", ", "] {
            let numbers: Vec<String> = (0..2000_u32).map(|n| (n * 77).to_string()).collect();
            let body = format!("12345678{}]", numbers.join(gap));
            let mut ids = Vec::new();
            read(body.as_bytes(), 8, &mut ids);
            assert!(ids.len() > 1980, "{} of {gap:?}", ids.len());
            assert_eq!(
                ids,
                (0..ids.len() as u32).map(|n| n * 77).collect::<Vec<_>>()
            );
        }
    }
}
