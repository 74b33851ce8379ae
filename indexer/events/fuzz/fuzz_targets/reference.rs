//! Payloads beside a slow decoder: the same are accepted, and say the same.

#![no_main]

use indexer_events::{Limits, decode_batch};
use libfuzzer_sys::fuzz_target;

#[path = "../../tests/events/reference.rs"]
mod reference;

use reference::{Reading, read};

fuzz_target!(|data: &[u8]| {
    // Tags and media are recognised before any limit, so all of them must fit.
    let tight = Limits {
        events: 3,
        hashes: 4,
        tokens: 6,
        extra_keys: 2,
        text_bytes: 16,
        ..Limits::DEFAULT
    };
    for limits in [&Limits::DEFAULT, &tight] {
        let decoded = decode_batch(data, limits);
        match read(data, limits) {
            Reading::TooDeep => {}
            Reading::Unreadable => assert!(decoded.is_err(), "{decoded:?}"),
            Reading::Refused(error) => {
                // As text: a timestamp that is no number equals nothing.
                let found = decoded.map_err(|error| format!("{error:?}"));
                assert_eq!(found, Err(format!("{error:?}")));
            }
            Reading::Read(expected) => assert_eq!(decoded, Ok(expected)),
        }
    }
});
