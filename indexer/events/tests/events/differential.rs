//! The decoder beside the slow one of `reference.rs`: the same payloads are accepted,
//! and they say the same, errors included. Every payload goes both ways, collected and
//! visited, through vectors that all payloads share.
//!
//! Seeds are fixed, so a failure is the same everywhere; the fuzz target `reference`
//! goes on where these end.

use bytes::Bytes;
use indexer_events::{Limits, Spare, decode_batch};

use crate::noise::Noise;
use crate::reference::{Reading, read};
use crate::{recordings, visits};

/// So that some payloads go beyond each limit. Tags and media are recognised by their
/// first bytes, before any limit, so all of them must fit.
const TIGHT: Limits = Limits {
    events: 3,
    hashes: 4,
    tokens: 6,
    extra_keys: 2,
    text_bytes: 16,
    ..Limits::DEFAULT
};

/// What became of the payloads.
#[derive(Debug, Default)]
struct Tally {
    whole: u32,
    with_errors: u32,
    refused: u32,
    unreadable: u32,
    too_deep: u32,
}

impl Tally {
    fn compare(&mut self, payload: &[u8], limits: &Limits, spare: &mut Spare) {
        let decoded = decode_batch(payload, limits);
        visits::compare(payload, limits, spare);
        match read(payload, limits) {
            Reading::TooDeep => self.too_deep += 1,
            Reading::Unreadable => {
                assert!(decoded.is_err(), "{payload:02x?}: {decoded:?}");
                self.unreadable += 1;
            }
            // As text: a timestamp that is no number equals nothing.
            Reading::Refused(error) => {
                let expected = format!("{error:?}");
                let found = decoded.map_err(|error| format!("{error:?}"));
                assert_eq!(found, Err(expected), "{payload:02x?}");
                self.refused += 1;
            }
            Reading::Read(expected) => {
                let errors = expected.errors.len();
                assert_eq!(decoded.as_ref(), Ok(&expected), "{payload:02x?}");
                match errors {
                    0 => self.whole += 1,
                    _ => self.with_errors += 1,
                }
            }
        }
    }
}

#[test]
fn made_up_messages_mean_the_same_to_a_slow_decoder() {
    let (mut tally, mut spare) = (Tally::default(), Spare::default());
    for seed in 0..8_000 {
        let payload = Noise::new(seed).message();
        let limits = if seed % 3 == 0 {
            TIGHT
        } else {
            Limits::DEFAULT
        };
        tally.compare(&payload, &limits, &mut spare);
    }
    // Or the messages tell nothing.
    assert!(tally.whole > 1_600, "{tally:?}");
    assert!(tally.with_errors > 1_600, "{tally:?}");
    assert!(tally.refused > 1_000, "{tally:?}");
    assert!(tally.unreadable > 100, "{tally:?}");
    assert_eq!(tally.too_deep, 0, "{tally:?}");
}

#[test]
fn damaged_recordings_mean_the_same_to_a_slow_decoder() {
    let payloads = recordings::live_payloads();
    let (mut tally, mut spare) = (Tally::default(), Spare::default());
    for (seed, payload) in (0..).zip(&payloads) {
        tally.compare(payload, &Limits::DEFAULT, &mut spare);
        if payload.len() > 4096 {
            continue;
        }
        let mut noise = Noise::new(seed);
        for _ in 0..4 {
            let other = &payloads[noise.below(payloads.len())];
            let damaged = noise.damage(payload, other);
            tally.compare(&damaged, &Limits::DEFAULT, &mut spare);
        }
    }
    assert!(tally.whole > 1_500, "{tally:?}");
    assert!(tally.with_errors > 100, "{tally:?}");
    assert!(tally.refused > 10, "{tally:?}");
    assert!(tally.unreadable > 1_000, "{tally:?}");
}

#[test]
fn deep_values_are_passed_over_by_both() {
    let (mut tally, mut spare) = (Tally::default(), Spare::default());
    for depth in [1_usize, 30, 400, 5_000] {
        for head in [
            &b"\x91"[..],
            b"\x81\xa1k",
            b"\xdc\x00\x01",
            b"\xdf\x00\x00\x00\x01\xc0",
        ] {
            let deep = [head.repeat(depth), vec![0xc3]].concat();
            // Beside the events, as an event, and as a field that no version knows.
            for (before, after) in [
                (&b"\x94\x01\x90\xc0"[..], &b""[..]),
                (b"\x92\x01\x92", b"\x91\xb0AllBlocksCleared"),
                (b"\x92\x01\x91\x82\xa4type\xb0AllBlocksCleared\xa3new", b""),
            ] {
                let payload = [before, &deep, after].concat();
                tally.compare(&payload, &Limits::DEFAULT, &mut spare);
            }
        }
    }
    // The tree ends at 512 levels; the decoder has no such end.
    assert_eq!((tally.unreadable, tally.too_deep), (0, 12), "{tally:?}");
    let payload = Bytes::from([&b"\x94\x01\x90\xc0"[..], &[0x91; 5_000], b"\xc0"].concat());
    assert_eq!(
        decode_batch(&payload, &Limits::DEFAULT)
            .unwrap()
            .unknown_fields,
        1
    );
}
