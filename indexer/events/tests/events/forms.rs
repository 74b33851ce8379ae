//! The forms that an event can take, and what each of them means.

use indexer_events::{
    BlockStored, Decoded, EngineEvent, ExtraKeys, Limits, Locality, SpecKind, decode_batch,
};
use proto_model::{EngineHash, ExtraKey, Medium, Timestamp};

use crate::fabric::{Value, payload, stored_array, stored_with};

fn decode(event: Value) -> Decoded {
    let decoded = decode_batch(&payload(vec![event]), &Limits::default()).unwrap();
    assert_eq!(decoded.errors, []);
    decoded
}

fn stored(event: Value) -> BlockStored {
    match decode(event).batch.events.remove(0) {
        EngineEvent::BlockStored(stored) => *stored,
        other => panic!("{other:?}"),
    }
}

#[test]
fn arrays_of_every_length() {
    for length in 5..=12 {
        let stored = stored(Value::Array(stored_array(length)));
        assert_eq!(stored.block_hashes, [EngineHash(7)]);
        assert_eq!((stored.token_ids, stored.block_size), (vec![1, 2], 2));
        assert_eq!(stored.medium, Medium::Gpu);
        let published = stored.extra_keys != ExtraKeys::NotPublished;
        assert_eq!(published, length >= 9, "{length}");
        assert_eq!(stored.group_idx.is_some(), length >= 10, "{length}");
        assert_eq!(stored.spec_kind.is_some(), length >= 11, "{length}");
    }
}

#[test]
fn fields_of_a_later_version_are_passed_over_and_counted() {
    let mut values = stored_array(12);
    values.extend([Value::text("new"), Value::Map(vec![])]);
    assert_eq!(decode(Value::Array(values)).unknown_fields, 2);
    let map = stored_with("new_in_next_version", Value::Array(vec![Value::Nil; 20]));
    assert_eq!(decode(map).unknown_fields, 1);
}

#[test]
fn map_without_extra_keys_has_none() {
    let pairs = vec![
        ("block_hashes", Value::numbers(&[7])),
        ("token_ids", Value::numbers(&[1, 2])),
        ("block_size", Value::Unsigned(2)),
        // Last, though engines send it first.
        ("type", Value::text("BlockStored")),
    ];
    let stored = stored(Value::map(pairs));
    assert_eq!(stored.extra_keys, ExtraKeys::Published(vec![]));
    assert_eq!(stored.medium, Medium::Gpu);
    assert_eq!(
        (stored.lora_id, stored.lora_name, stored.spec_kind),
        (None, None, None)
    );
}

#[test]
fn newer_map_fields() {
    let stored_field = |field, value| stored(stored_with(field, value));
    let remote = stored_field("locality", Value::text("REMOTE"));
    assert_eq!(remote.locality, Some(Locality::Remote));
    let other = stored_field("locality", Value::text("NEAR"));
    assert_eq!(other.locality, Some(Locality::Other("NEAR".into())));
    let owned = stored_field("ownership", Value::text("tier"));
    assert_eq!(owned.ownership.as_deref(), Some("tier"));
    let session = stored_field("session_id", Value::text("s"));
    assert_eq!(session.session_id.as_deref(), Some("s"));
    let ahead = stored_field("lookahead_token_ids", Value::numbers(&[3, 4]));
    assert_eq!(ahead.lookahead_token_ids, [3, 4]);
    let window = stored_field("kv_cache_spec_sliding_window", Value::Unsigned(64));
    assert_eq!(window.sliding_window, Some(64));
    let lora = stored_field("lora_name", Value::text("my-adapter"));
    assert_eq!(lora.lora_name.as_deref(), Some("my-adapter"));
    assert_eq!(stored_field("lora_id", Value::Signed(-1)).lora_id, Some(-1));
}

#[test]
fn group_kinds() {
    let kind = |text| stored(stored_with("kv_cache_spec_kind", Value::text(text))).spec_kind;
    for text in ["full_attention", "mla_attention", "sink_full_attention"] {
        assert!(kind(text).unwrap().is_prefix_complete(), "{text}");
    }
    for text in [
        "sliding_window",
        "sliding_window_mla",
        "mamba",
        "chunked_local_attention",
        "encoder_only_attention",
        "cross_attention",
    ] {
        let kind = kind(text).unwrap();
        assert!(
            !kind.is_prefix_complete() && !matches!(kind, SpecKind::Other(_)),
            "{text}"
        );
    }
    let other = kind("ring_attention").unwrap();
    assert_eq!(other, SpecKind::Other("ring_attention".into()));
    assert!(!other.is_prefix_complete());
}

fn extras(lists: Value) -> ExtraKeys {
    stored(stored_with("extra_keys", lists)).extra_keys
}

#[test]
fn extra_keys_of_every_form_in_order() {
    let text = Value::text;
    let item = |offset| Value::Array(vec![text("id"), Value::Signed(offset)]);
    let lists = Value::Array(vec![
        Value::Nil,
        Value::Array(vec![
            text("adapter"),
            item(-8),
            text("salt"),
            Value::Bytes(vec![1, 2]),
        ]),
        Value::Array(vec![]),
    ]);
    let keys = vec![
        ExtraKey::Text("adapter".into()),
        ExtraKey::Item {
            identifier: "id".into(),
            offset: -8,
        },
        ExtraKey::Text("salt".into()),
        ExtraKey::Bytes(vec![1, 2]),
    ];
    assert_eq!(
        extras(lists),
        ExtraKeys::Published(vec![vec![], keys, vec![]])
    );
}

#[test]
fn tagged_extra_keys_mean_the_untagged_ones() {
    let text = Value::text;
    let lists = Value::Array(vec![Value::Array(vec![
        Value::Array(vec![text("lora"), text("adapter"), text("/path")]),
        Value::Array(vec![text("mm"), text("id"), Value::Signed(-3)]),
        // An item whose identifier happens to be a tag.
        Value::Array(vec![text("mm"), Value::Unsigned(4)]),
        Value::Array(vec![text("cache_salt"), text("salt")]),
        Value::Array(vec![text("prompt_embeds"), Value::Bytes(vec![1, 2])]),
    ])]);
    let keys = vec![
        ExtraKey::Text("adapter".into()),
        ExtraKey::Item {
            identifier: "id".into(),
            offset: -3,
        },
        ExtraKey::Item {
            identifier: "mm".into(),
            offset: 4,
        },
        ExtraKey::Text("salt".into()),
        ExtraKey::Bytes(vec![1, 2]),
    ];
    assert_eq!(extras(lists), ExtraKeys::Published(vec![keys]));
}

#[test]
fn blocks_without_extra_keys_cost_nothing() {
    let lists = Value::Array(vec![Value::Nil; 5]);
    assert_eq!(extras(lists), ExtraKeys::Published(vec![]));
}

#[test]
fn media_items_before_the_group_are_passed_over() {
    let items = Value::Array(vec![Value::map(vec![("mm_hash", Value::Unsigned(1))])]);
    for items in [items, Value::Nil] {
        let mut values = stored_array(12);
        values.insert(9, items);
        let decoded = decode(Value::Array(values));
        assert_eq!(decoded.unknown_fields, 0);
        let EngineEvent::BlockStored(stored) = &decoded.batch.events[0] else {
            panic!()
        };
        assert_eq!(stored.group_idx, Some(0));
        assert_eq!(stored.spec_kind, Some(SpecKind::FullAttention));
    }
}

#[test]
fn nil_group_keeps_its_place() {
    let mut values = stored_array(9);
    values.extend([Value::Nil, Value::Nil, Value::Unsigned(64)]);
    let stored = stored(Value::Array(values));
    assert_eq!((stored.group_idx, stored.sliding_window), (None, Some(64)));
}

#[test]
fn removal_of_every_length() {
    let values = [
        Value::text("BlockRemoved"),
        Value::numbers(&[7, 8]),
        Value::text("CPU"),
        Value::Unsigned(3),
        Value::text("mamba"),
        Value::Unsigned(64),
        Value::text("new"),
    ];
    for length in 2..=values.len() {
        let decoded = decode(Value::Array(values[..length].to_vec()));
        let EngineEvent::BlockRemoved(removed) = &decoded.batch.events[0] else {
            panic!()
        };
        assert_eq!(removed.block_hashes, [EngineHash(7), EngineHash(8)]);
        assert_eq!(
            removed.medium,
            if length > 2 { Medium::Cpu } else { Medium::Gpu }
        );
        assert_eq!(removed.group_idx, (length > 3).then_some(3));
        assert_eq!(removed.spec_kind, (length > 4).then_some(SpecKind::Mamba));
        assert_eq!(decoded.unknown_fields, u32::from(length > 6));
    }
}

#[test]
fn clear_of_one_medium() {
    let cleared = EngineEvent::AllBlocksCleared {
        medium: Some(Medium::Cpu),
    };
    let tag = ("type", Value::text("AllBlocksCleared"));
    let map = Value::map(vec![tag, ("medium", Value::text("CPU"))]);
    assert_eq!(decode(map).batch.events, std::slice::from_ref(&cleared));
    let array = Value::Array(vec![Value::text("AllBlocksCleared"), Value::text("CPU")]);
    assert_eq!(decode(array).batch.events, [cleared]);
}

/// An SGLang store: metadata where vLLM has the LoRA name.
fn sglang(parent: Value, metadata: Value) -> Value {
    let mut values = stored_array(7);
    values[1] = Value::numbers(&[7, 8]);
    values[2] = parent;
    values[3] = Value::numbers(&[1, 2, 3, 4]);
    values.push(metadata);
    Value::Array(values)
}

#[test]
fn sglang_salt_counts_for_the_block_that_starts_the_prompt() {
    let metadata = || Value::map(vec![("cache_salt", Value::text("tenant"))]);
    let salted = stored(sglang(Value::Nil, metadata()));
    let keys = vec![vec![ExtraKey::Text("tenant".into())], vec![]];
    assert_eq!(salted.extra_keys, ExtraKeys::Published(keys));
    assert_eq!(salted.lora_name, None);
    let later = stored(sglang(Value::Unsigned(6), metadata()));
    assert_eq!(later.extra_keys, ExtraKeys::Published(vec![]));
}

#[test]
fn sglang_without_salt() {
    let metadata = Value::map(vec![
        ("cache_salt", Value::Nil),
        ("later", Value::Unsigned(1)),
    ]);
    let decoded = decode(sglang(Value::Nil, metadata));
    assert_eq!(decoded.unknown_fields, 1);
    let EngineEvent::BlockStored(stored) = &decoded.batch.events[0] else {
        panic!()
    };
    assert_eq!(stored.extra_keys, ExtraKeys::Published(vec![]));
}

#[test]
fn offload_placeholder_has_blocks_but_no_chunks() {
    let mut values = stored_array(7);
    values[3] = Value::Array(vec![]);
    values[4] = Value::Unsigned(0);
    values[6] = Value::text("STORAGE");
    let stored = stored(Value::Array(values));
    assert_eq!((stored.medium, stored.block_size), (Medium::Disk, 0));
    assert!(stored.chunks().is_none());
}

#[test]
fn chunks_pair_hashes_tokens_and_extra_keys() {
    let stored = stored(sglang(
        Value::Nil,
        Value::map(vec![("cache_salt", Value::text("t"))]),
    ));
    let chunks: Vec<_> = stored.chunks().unwrap().collect();
    let salt = ExtraKey::Text("t".into());
    assert_eq!(
        chunks,
        [
            (EngineHash(7), &[1, 2][..], std::slice::from_ref(&salt)),
            (EngineHash(8), &[3, 4][..], &[][..]),
        ]
    );
}

#[test]
fn no_chunks_unless_the_counts_agree() {
    let one_hash_too_many = stored(stored_with("block_hashes", Value::numbers(&[7, 8])));
    assert!(one_hash_too_many.chunks().is_none());
    let no_hash = stored(stored_with("block_hashes", Value::Array(vec![])));
    assert!(no_hash.chunks().is_none());
    let salts = Value::Array(vec![Value::Array(vec![Value::text("s")]); 2]);
    assert!(stored(stored_with("extra_keys", salts)).chunks().is_none());
}

#[test]
fn mooncake_store_event() {
    let event = Value::map(vec![
        ("event_id", Value::Unsigned(1)),
        ("timestamp", Value::Unsigned(1_763_600_000_000)),
        ("event_type", Value::text("stored")),
        ("type", Value::text("BlockStored")),
        ("model_name", Value::text("m")),
        ("block_size", Value::Nil),
        ("additional_salt", Value::Nil),
        ("lora_name", Value::Nil),
        ("tenant_id", Value::text("default")),
        ("backend_id", Value::text("b")),
        ("medium", Value::text("cpu")),
        ("dp_rank", Value::Unsigned(0)),
        ("object_key", Value::text("k")),
        ("group_id", Value::Nil),
        ("seq_hashes", Value::numbers(&[7])),
        ("block_hashes", Value::Array(vec![])),
        ("base_block_idx", Value::Nil),
        ("parent_hash", Value::Unsigned(6)),
        ("token_ids", Value::Nil),
    ]);
    let millis = Value::Unsigned(1_763_600_000_250);
    let payload = Value::Array(vec![millis, Value::Array(vec![event]), Value::Nil]).encode();
    let decoded = decode_batch(&payload, &Limits::default()).unwrap();
    assert_eq!((decoded.errors.len(), decoded.unknown_fields), (0, 0));
    assert_eq!(decoded.batch.timestamp, Timestamp(1_763_600_000_250_000));
    assert_eq!(decoded.batch.data_parallel_rank, None);
    let EngineEvent::BlockStored(stored) = &decoded.batch.events[0] else {
        panic!()
    };
    assert_eq!(stored.object_key.as_deref(), Some("k"));
    assert_eq!(stored.medium, Medium::Cpu);
    assert_eq!(stored.block_hashes, [EngineHash(7)]);
    assert_eq!(stored.parent_block_hash, Some(EngineHash(6)));
    assert_eq!((stored.token_ids.len(), stored.block_size), (0, 0));
}

#[test]
fn batches_without_rank_as_a_map_and_with_later_fields() {
    let event = || Value::Array(vec![Value::Array(vec![Value::text("AllBlocksCleared")])]);
    let time = || Value::Float(2.5);
    for (batch, rank, unknown) in [
        (Value::Array(vec![time(), event()]), None, 0),
        (Value::Array(vec![time(), event(), Value::Nil]), None, 0),
        (
            Value::Array(vec![time(), event(), Value::Unsigned(3)]),
            Some(3),
            0,
        ),
        (
            Value::Array(vec![time(), event(), Value::Unsigned(3), Value::Nil]),
            Some(3),
            1,
        ),
        (
            Value::map(vec![("ts", time()), ("events", event())]),
            None,
            0,
        ),
        (
            Value::map(vec![
                ("new", Value::Nil),
                ("data_parallel_rank", Value::Unsigned(3)),
                ("events", event()),
                ("ts", time()),
            ]),
            Some(3),
            1,
        ),
    ] {
        let decoded = decode_batch(&batch.encode(), &Limits::default()).unwrap();
        assert_eq!(decoded.batch.timestamp, Timestamp(2_500_000));
        assert_eq!(decoded.batch.data_parallel_rank, rank);
        assert_eq!(
            decoded.batch.events,
            [EngineEvent::AllBlocksCleared { medium: None }]
        );
        assert_eq!(decoded.unknown_fields, unknown);
    }
}

#[test]
fn heartbeat_is_an_empty_batch() {
    let decoded = decode_batch(&payload(vec![]), &Limits::default()).unwrap();
    assert!(decoded.batch.events.is_empty() && decoded.errors.is_empty());
}
