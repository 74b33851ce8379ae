//! Each way in which a payload, an event or a field can be wrong, by name.

use indexer_events::{
    BatchError, Decoded, EngineEvent, EventProblem, FieldError, Limits, decode_batch,
};

use crate::fabric::{Value, payload, stored_array, stored_with};

fn batch_error(payload: &[u8]) -> BatchError {
    decode_batch(payload, &Limits::default()).unwrap_err()
}

#[test]
fn payloads_that_are_no_batch() {
    let events = || Value::Array(vec![]);
    let trailing = [payload(vec![]), vec![0xc0, 0xc0]].concat();
    for (bytes, expected) in [
        (vec![], BatchError::Empty),
        (
            Value::text("hello").encode(),
            BatchError::NotABatch { found: "text" },
        ),
        (
            Value::Float(1.0).encode(),
            BatchError::NotABatch { found: "float" },
        ),
        (
            vec![0xc1],
            BatchError::NotABatch {
                found: "reserved byte",
            },
        ),
        (
            vec![0x92],
            BatchError::Truncated {
                offset: 1,
                needed: 2,
            },
        ),
        (
            vec![0x92, 0xcb, 0],
            BatchError::Truncated {
                offset: 2,
                needed: 7,
            },
        ),
        (
            vec![0xdd, 0xff, 0xff, 0xff, 0xff],
            BatchError::Truncated {
                offset: 5,
                needed: 0xffff_ffff,
            },
        ),
        (
            vec![0x93, 0x01, 0x90, 0xc0, 0xc0],
            BatchError::TrailingBytes {
                offset: 4,
                bytes: 1,
            },
        ),
        (
            trailing,
            BatchError::TrailingBytes {
                offset: 12,
                bytes: 2,
            },
        ),
        (
            vec![0x94, 0x01, 0x90, 0xc0, 0xc1],
            BatchError::ReservedByte { offset: 4 },
        ),
        (
            Value::Array(vec![Value::Float(-1.0), events()]).encode(),
            BatchError::Timestamp { found: -1.0 },
        ),
        (
            Value::Array(vec![Value::Float(f64::INFINITY), events()]).encode(),
            BatchError::Timestamp {
                found: f64::INFINITY,
            },
        ),
        (
            Value::Array(vec![Value::Nil, events()]).encode(),
            BatchError::Field(wrong_type("ts", "number", "nil")),
        ),
        (
            Value::Array(vec![Value::Float(1.0), Value::Nil]).encode(),
            BatchError::Field(wrong_type("events", "array", "nil")),
        ),
        (
            Value::Array(vec![Value::Float(1.0), events(), Value::text("0")]).encode(),
            BatchError::Field(wrong_type("data_parallel_rank", "integer", "text")),
        ),
        (
            Value::Array(vec![Value::Float(1.0)]).encode(),
            BatchError::Field(FieldError::Missing { field: "events" }),
        ),
        (
            Value::Map(vec![]).encode(),
            BatchError::Field(FieldError::Missing { field: "ts" }),
        ),
    ] {
        assert_eq!(batch_error(&bytes), expected, "{bytes:x?}");
    }
}

#[test]
fn timestamp_that_is_not_a_number() {
    let bytes = Value::Array(vec![Value::Float(f64::NAN), Value::Array(vec![])]).encode();
    assert!(matches!(batch_error(&bytes), BatchError::Timestamp { found } if found.is_nan()));
}

#[test]
fn every_proper_prefix_of_a_batch_is_truncated() {
    let whole = payload(vec![
        Value::Array(stored_array(12)),
        stored_with("locality", Value::Nil),
    ]);
    for length in 1..whole.len() {
        let error = batch_error(&whole[..length]);
        assert!(
            matches!(error, BatchError::Truncated { .. }),
            "{length}: {error}"
        );
    }
}

/// One wrong event between two right ones.
fn sandwich(wrong: Value) -> Decoded {
    let cleared = || Value::Array(vec![Value::text("AllBlocksCleared")]);
    decode_batch(
        &payload(vec![cleared(), wrong, cleared()]),
        &Limits::default(),
    )
    .unwrap()
}

fn problem(wrong: Value) -> EventProblem {
    let decoded = sandwich(wrong);
    let cleared = EngineEvent::AllBlocksCleared { medium: None };
    assert_eq!(decoded.batch.events, [cleared.clone(), cleared]);
    assert_eq!(decoded.errors.len(), 1);
    assert_eq!(decoded.errors[0].index, 1);
    decoded.errors[0].problem.clone()
}

#[test]
fn events_that_are_none() {
    for (event, expected) in [
        (Value::Nil, EventProblem::NotAnEvent { found: "nil" }),
        (
            Value::text("BlockStored"),
            EventProblem::NotAnEvent { found: "text" },
        ),
        (Value::Array(vec![]), EventProblem::NoTag),
        (Value::Array(vec![Value::Nil]), EventProblem::NoTag),
        (Value::Map(vec![]), EventProblem::NoTag),
        (
            Value::map(vec![("medium", Value::text("GPU"))]),
            EventProblem::NoTag,
        ),
        (
            Value::Array(vec![Value::text("BlockInactive"), Value::Map(vec![])]),
            EventProblem::UnknownTag {
                tag: "BlockInactive".into(),
            },
        ),
        (
            Value::map(vec![
                ("type", Value::text("BlockInactive")),
                ("block_hashes", Value::Nil),
            ]),
            EventProblem::UnknownTag {
                tag: "BlockInactive".into(),
            },
        ),
        (
            Value::Array(vec![Value::Unsigned(1)]),
            EventProblem::Field(wrong_type("type", "text", "integer")),
        ),
    ] {
        assert_eq!(problem(event), expected);
    }
}

#[test]
fn fields_of_the_wrong_type() {
    let hash = "integer or byte string";
    for (field, value, expected, found) in [
        ("block_hashes", Value::Nil, "array", "nil"),
        (
            "block_hashes",
            Value::Array(vec![Value::text("x")]),
            hash,
            "text",
        ),
        (
            "block_hashes",
            Value::Array(vec![Value::Float(1.0)]),
            hash,
            "float",
        ),
        ("parent_block_hash", Value::Bool(true), hash, "boolean"),
        ("token_ids", Value::Unsigned(1), "array", "integer"),
        (
            "token_ids",
            Value::Array(vec![Value::Array(vec![])]),
            "integer",
            "array",
        ),
        ("block_size", Value::text("16"), "integer", "text"),
        ("lora_id", Value::text("1"), "integer", "text"),
        ("lora_name", Value::Unsigned(1), "text", "integer"),
        ("medium", Value::Unsigned(0), "text", "integer"),
        ("extra_keys", Value::text("salt"), "array", "text"),
        (
            "extra_keys",
            Value::Array(vec![Value::text("salt")]),
            "array",
            "text",
        ),
        ("group_idx", Value::text("0"), "integer", "text"),
        ("kv_cache_spec_kind", Value::Unsigned(0), "text", "integer"),
        (
            "kv_cache_spec_sliding_window",
            Value::text("64"),
            "integer",
            "text",
        ),
        ("locality", Value::Bool(false), "text", "boolean"),
        ("ownership", Value::Map(vec![]), "text", "map"),
        ("session_id", Value::Bytes(vec![1]), "text", "byte string"),
        ("lookahead_token_ids", Value::text("1"), "array", "text"),
    ] {
        let wrong = wrong_type(field, expected, found);
        assert_eq!(
            problem(stored_with(field, value)),
            EventProblem::Field(wrong)
        );
    }
}

#[test]
fn numbers_out_of_range() {
    let token = u64::from(u32::MAX);
    for (field, value, found, limit) in [
        (
            "token_ids",
            Value::Array(vec![Value::Signed(-1)]),
            -1,
            token,
        ),
        ("token_ids", Value::numbers(&[1 << 32]), 1 << 32, token),
        ("block_size", Value::Signed(-16), -16, token),
        ("group_idx", Value::Unsigned(65536), 65536, 65535),
        (
            "lora_id",
            Value::Unsigned(1 << 63),
            1 << 63,
            i64::MAX.unsigned_abs(),
        ),
        (
            "kv_cache_spec_sliding_window",
            Value::Unsigned(1 << 32),
            1 << 32,
            token,
        ),
    ] {
        let wrong = FieldError::OutOfRange {
            field,
            found,
            limit,
        };
        assert_eq!(
            problem(stored_with(field, value)),
            EventProblem::Field(wrong)
        );
    }
}

#[test]
fn missing_fields() {
    let hashes = FieldError::Missing {
        field: "block_hashes",
    };
    let removed = Value::map(vec![("type", Value::text("BlockRemoved"))]);
    assert_eq!(problem(removed), hashes.into());
    for (length, field) in [(1, "block_hashes"), (3, "token_ids"), (4, "block_size")] {
        let short = Value::Array(stored_array(length));
        assert_eq!(problem(short), FieldError::Missing { field }.into());
    }
}

#[test]
fn unknown_medium() {
    let EventProblem::Field(FieldError::Medium(unknown)) =
        problem(stored_with("medium", Value::text("TAPE")))
    else {
        panic!("no medium error");
    };
    assert_eq!(unknown.0, "TAPE");
}

#[test]
fn extra_keys_of_no_known_form() {
    let list = |values| Value::Array(vec![Value::Array(vec![values])]);
    for (key, found) in [
        (Value::Unsigned(5), "integer"),
        (Value::Nil, "nil"),
        (Value::Array(vec![]), "list that has not 2 or 3 elements"),
        (
            Value::Array(vec![Value::Unsigned(1), Value::Unsigned(2)]),
            "integer",
        ),
        (
            Value::Array(vec![Value::text("salt"), Value::text("s")]),
            "list with an unknown tag",
        ),
        (
            Value::Array(vec![Value::text("lora"), Value::text("s")]),
            "list with an unknown tag",
        ),
    ] {
        let wrong = FieldError::ExtraKey { found };
        assert_eq!(problem(stored_with("extra_keys", list(key))), wrong.into());
    }
}

#[test]
fn text_that_is_not_utf8() {
    let mut bytes = payload(vec![stored_with("session_id", Value::text("@@@@"))]);
    let at = bytes
        .windows(4)
        .position(|window| window == b"@@@@")
        .unwrap();
    bytes[at] = 0xff;
    let decoded = decode_batch(&bytes, &Limits::default()).unwrap();
    let wrong = FieldError::NotUtf8 {
        field: "session_id",
    };
    assert_eq!(decoded.errors[0].problem, wrong.into());
}

fn wrong_type(field: &'static str, expected: &'static str, found: &'static str) -> FieldError {
    FieldError::WrongType {
        field,
        expected,
        found,
    }
}
