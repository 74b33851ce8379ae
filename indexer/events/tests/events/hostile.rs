//! Limits hold, whatever a message declares.

use indexer_events::{
    BatchError, EngineEvent, EventError, FieldError, Limits, Topic, decode_batch, parse_live,
    parse_replay,
};
use proptest::prelude::*;

use crate::fabric::{Value, payload, stored_with};

#[test]
fn payload_limit() {
    let bytes = payload(vec![]);
    let limits = |payload_bytes| Limits {
        payload_bytes,
        ..Limits::default()
    };
    assert!(decode_batch(&bytes, &limits(bytes.len())).is_ok());
    let error = decode_batch(&bytes, &limits(bytes.len() - 1)).unwrap_err();
    assert_eq!(
        error,
        BatchError::PayloadTooLarge {
            bytes: 12,
            limit: 11
        }
    );
}

#[test]
fn event_limit() {
    let limits = Limits {
        events: 1,
        ..Limits::default()
    };
    let cleared = || Value::Array(vec![Value::text("AllBlocksCleared")]);
    assert!(decode_batch(&payload(vec![cleared()]), &limits).is_ok());
    let error = decode_batch(&payload(vec![cleared(), cleared()]), &limits).unwrap_err();
    assert_eq!(error, BatchError::TooManyEvents { found: 2, limit: 1 });
}

#[test]
fn field_limits() {
    let limits = Limits {
        hashes: 2,
        tokens: 3,
        extra_keys: 1,
        text_bytes: 20,
        ..Limits::default()
    };
    let salts = Value::Array(vec![Value::Array(vec![Value::text("a"), Value::text("b")])]);
    let long = Value::text(&"x".repeat(21));
    for (field, value, expected) in [
        (
            "block_hashes",
            Value::numbers(&[1, 2, 3]),
            too_many("block_hashes", 3, 2),
        ),
        (
            "token_ids",
            Value::numbers(&[1, 2, 3, 4]),
            too_many("token_ids", 4, 3),
        ),
        (
            "lookahead_token_ids",
            Value::numbers(&[1, 2, 3, 4]),
            too_many("lookahead_token_ids", 4, 3),
        ),
        (
            "extra_keys",
            Value::Array(vec![Value::Nil; 3]),
            too_many("extra_keys", 3, 2),
        ),
        ("extra_keys", salts, too_many("extra_keys", 2, 1)),
        (
            "lora_name",
            long,
            FieldError::TooLong {
                field: "lora_name",
                found: 21,
                limit: 20,
            },
        ),
        (
            "parent_block_hash",
            Value::Bytes(vec![0; 21]),
            FieldError::TooLong {
                field: "parent_block_hash",
                found: 21,
                limit: 20,
            },
        ),
    ] {
        let decoded = decode_batch(&payload(vec![stored_with(field, value)]), &limits).unwrap();
        assert_eq!(decoded.errors[0].problem, expected.into());
    }
}

fn too_many(field: &'static str, found: usize, limit: usize) -> FieldError {
    FieldError::TooMany {
        field,
        found,
        limit,
    }
}

#[test]
fn memory_limit_covers_lists_that_are_nearly_empty() {
    // One byte per block, of which only the last has a key.
    let mut lists = vec![Value::Nil; 100_000];
    lists.push(Value::Array(vec![Value::text("s")]));
    let bytes = payload(vec![stored_with("extra_keys", Value::Array(lists))]);
    assert!(decode_batch(&bytes, &Limits::default()).is_ok());
    let limits = Limits {
        decoded_bytes: 1 << 20,
        ..Limits::default()
    };
    let error = decode_batch(&bytes, &limits).unwrap_err();
    assert_eq!(error, BatchError::DecodedTooLarge { limit: 1 << 20 });
}

#[test]
fn memory_limit_covers_the_errors() {
    let bytes = payload(vec![Value::Nil; 100]);
    let for_events = 100 * size_of::<EngineEvent>();
    let limits = |for_errors| Limits {
        decoded_bytes: for_events + for_errors * size_of::<EventError>(),
        ..Limits::default()
    };
    assert_eq!(
        decode_batch(&bytes, &limits(100)).map(|decoded| decoded.errors.len()),
        Ok(100)
    );
    let limit = limits(99).decoded_bytes;
    assert_eq!(
        decode_batch(&bytes, &limits(99)),
        Err(BatchError::DecodedTooLarge { limit })
    );
}

#[test]
fn depth_costs_no_stack() {
    let depth = 1 << 20;
    let mut deep = vec![0x91; depth];
    deep.push(0xc0);
    let bytes = [&[0x94, 0x01, 0x90, 0xc0][..], &deep].concat();
    let decoded = decode_batch(&bytes, &Limits::default()).unwrap();
    assert_eq!(decoded.unknown_fields, 1);
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        drop(decode_batch(&bytes, &Limits::default()));
    }

    #[test]
    fn damaged_batches_never_panic(
        at in 0_usize..200,
        byte in any::<u8>(),
        cut in 0_usize..200,
    ) {
        let mut bytes = payload(vec![stored_with("session_id", Value::text("s"))]);
        let length = bytes.len();
        bytes[at % length] = byte;
        drop(decode_batch(&bytes, &Limits::default()));
        drop(decode_batch(&bytes[..cut % length], &Limits::default()));
    }

    #[test]
    fn arbitrary_frames_never_panic(
        frames in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..30), 0..7),
    ) {
        let frames: Vec<_> = frames.into_iter().map(bytes::Bytes::from).collect();
        drop(parse_live(&frames));
        drop(parse_replay(&frames));
    }

    #[test]
    fn arbitrary_topics_never_panic(topic in "(kv@)?[\\[\\]0-9a-f:.@%]{0,24}|.{0,40}") {
        drop(Topic::parse(&topic));
    }
}
