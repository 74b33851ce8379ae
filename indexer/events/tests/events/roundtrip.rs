//! Whatever an engine can say comes out as it was said, in both encodings.

use indexer_events::{
    BlockRemoved, BlockStored, EngineEvent, ExtraKeys, Limits, Locality, SpecKind, decode_batch,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proto_model::{EngineHash, ExtraKey, Medium};

use crate::fabric::{Value, payload};

fn hash() -> impl Strategy<Value = (EngineHash, Value)> {
    prop_oneof![
        any::<u64>().prop_map(|hash| (EngineHash(hash), Value::Unsigned(hash))),
        any::<i64>().prop_map(|hash| (EngineHash(hash as u64), Value::Signed(hash))),
        any::<[u8; 32]>().prop_map(|hash| {
            let low = u64::from_be_bytes(*hash.last_chunk().unwrap());
            (EngineHash(low), Value::Bytes(hash.to_vec()))
        }),
        any::<[u8; 3]>().prop_map(|[a, b, c]| {
            let low = u64::from_be_bytes([0, 0, 0, 0, 0, a, b, c]);
            (EngineHash(low), Value::Bytes(vec![a, b, c]))
        }),
    ]
}

fn medium() -> impl Strategy<Value = (Medium, Value)> {
    prop_oneof![
        Just((Medium::Gpu, Value::Nil)),
        Just((Medium::Gpu, Value::text("GPU"))),
        Just((Medium::Cpu, Value::text("CPU"))),
        Just((Medium::Disk, Value::text("STORAGE"))),
        Just((Medium::Disk, Value::text("FS"))),
        Just((Medium::Remote, Value::text("OBJ"))),
    ]
}

fn extra_key() -> impl Strategy<Value = (ExtraKey, Value)> {
    prop_oneof![
        ".{0,12}".prop_map(|text| (ExtraKey::Text(text.clone()), Value::Text(text))),
        (".{0,12}", any::<i64>()).prop_map(|(identifier, offset)| {
            let value = Value::Array(vec![Value::text(&identifier), Value::Signed(offset)]);
            (ExtraKey::Item { identifier, offset }, value)
        }),
        vec(any::<u8>(), 0..40).prop_map(|b| (ExtraKey::Bytes(b.clone()), Value::Bytes(b))),
    ]
}

fn extra_keys() -> impl Strategy<Value = (Vec<Vec<ExtraKey>>, Value)> {
    vec(vec(extra_key(), 0..3), 0..4).prop_map(|blocks| {
        let (mut keys, mut values) = (Vec::new(), Vec::new());
        for block in blocks {
            let (block_keys, block_values): (Vec<_>, Vec<_>) = block.into_iter().unzip();
            values.push(match block_values.is_empty() {
                true => Value::Nil,
                false => Value::Array(block_values),
            });
            keys.push(block_keys);
        }
        if keys.iter().all(Vec::is_empty) {
            keys.clear();
        }
        (keys, Value::Array(values))
    })
}

fn kind() -> impl Strategy<Value = (SpecKind, &'static str)> {
    prop_oneof![
        Just((SpecKind::FullAttention, "full_attention")),
        Just((SpecKind::SlidingWindow, "sliding_window")),
        Just((SpecKind::Mamba, "mamba")),
        Just((SpecKind::Other("new".into()), "new")),
    ]
}

/// What `BlockStored` can say, with the same in msgpack next to it.
#[derive(Debug, Clone)]
struct Said {
    event: BlockStored,
    values: Vec<(&'static str, Value)>,
}

fn said() -> impl Strategy<Value = Said> {
    let head = (
        vec(hash(), 0..5),
        option::of(hash()),
        vec(any::<u32>(), 0..40),
        any::<u32>(),
        option::of(any::<i64>()),
        medium(),
        option::of(".{0,20}"),
        extra_keys(),
    );
    let tail = (
        option::of(any::<u16>()),
        option::of(kind()),
        option::of(any::<u32>()),
        option::of(prop_oneof![Just("LOCAL"), Just("REMOTE"), Just("new")]),
        option::of(".{0,20}"),
        option::of(".{0,20}"),
        vec(any::<u32>(), 0..5),
    );
    (head, tail).prop_map(|(head, tail)| {
        let (hashes, parent, tokens, block_size, lora_id, medium, lora_name, extras) = head;
        let (group, kind, window, locality, ownership, session, lookahead) = tail;
        let numbers = |tokens: &[u32]| {
            Value::Array(
                tokens
                    .iter()
                    .map(|token| Value::Unsigned((*token).into()))
                    .collect(),
            )
        };
        let text = |text: &Option<String>| text.clone().map_or(Value::Nil, Value::Text);
        let number = |number: Option<u64>| number.map_or(Value::Nil, Value::Unsigned);
        let (parent, parent_value) = parent.unzip();
        let (kind, kind_text) = kind.unzip();
        let (block_hashes, hash_values): (Vec<_>, Vec<_>) = hashes.into_iter().unzip();
        let values = vec![
            ("block_hashes", Value::Array(hash_values)),
            ("parent_block_hash", parent_value.unwrap_or(Value::Nil)),
            ("token_ids", numbers(&tokens)),
            ("block_size", Value::Unsigned(block_size.into())),
            ("lora_id", lora_id.map_or(Value::Nil, Value::Signed)),
            ("medium", medium.1),
            ("lora_name", text(&lora_name)),
            ("extra_keys", extras.1),
            ("group_idx", number(group.map(u64::from))),
            (
                "kv_cache_spec_kind",
                kind_text.map_or(Value::Nil, Value::text),
            ),
            (
                "kv_cache_spec_sliding_window",
                number(window.map(u64::from)),
            ),
            ("locality", locality.map_or(Value::Nil, Value::text)),
            ("ownership", text(&ownership)),
            ("session_id", text(&session)),
            ("lookahead_token_ids", numbers(&lookahead)),
        ];
        let event = BlockStored {
            block_hashes,
            parent_block_hash: parent,
            token_ids: tokens,
            block_size,
            lora_id,
            lora_name,
            medium: medium.0,
            extra_keys: ExtraKeys::Published(extras.0),
            group_idx: group,
            spec_kind: kind,
            sliding_window: window,
            locality: locality.map(|text| match text {
                "LOCAL" => Locality::Local,
                "REMOTE" => Locality::Remote,
                other => Locality::Other(other.to_owned()),
            }),
            ownership,
            session_id: session,
            lookahead_token_ids: lookahead,
            object_key: None,
        };
        Said { event, values }
    })
}

/// What is left of the event in the array form of `length` elements.
fn cut(mut event: BlockStored, length: usize) -> BlockStored {
    event.locality = None;
    event.ownership = None;
    event.session_id = None;
    event.lookahead_token_ids.clear();
    if length < 12 {
        event.sliding_window = None;
    }
    if length < 11 {
        event.spec_kind = None;
    }
    if length < 10 {
        event.group_idx = None;
    }
    if length < 9 {
        event.extra_keys = ExtraKeys::NotPublished;
    }
    if length < 8 {
        event.lora_name = None;
    }
    if length < 7 {
        event.medium = Medium::Gpu;
    }
    event
}

fn only_event(event: Value) -> EngineEvent {
    let mut decoded = decode_batch(&payload(vec![event]), &Limits::default()).unwrap();
    assert_eq!((decoded.errors.len(), decoded.unknown_fields), (0, 0));
    decoded.batch.events.remove(0)
}

proptest! {
    #[test]
    fn stored_as_a_map(said in said(), keep_nils in any::<bool>(), first in any::<bool>()) {
        let mut pairs = said.values;
        if !keep_nils {
            pairs.retain(|(_, value)| *value != Value::Nil);
        }
        let place = if first { 0 } else { pairs.len() };
        pairs.insert(place, ("type", Value::text("BlockStored")));
        let expected = EngineEvent::BlockStored(Box::new(said.event));
        prop_assert_eq!(only_event(Value::map(pairs)), expected);
    }

    #[test]
    fn stored_as_an_array(said in said(), length in 6_usize..=12) {
        let mut values = vec![Value::text("BlockStored")];
        values.extend(said.values.into_iter().map(|(_, value)| value).take(length - 1));
        let expected = EngineEvent::BlockStored(Box::new(cut(said.event, length)));
        prop_assert_eq!(only_event(Value::Array(values)), expected);
    }

    #[test]
    fn removed_both_ways(
        hashes in vec(hash(), 0..6),
        medium in medium(),
        group in option::of(any::<u16>()),
    ) {
        let (block_hashes, values): (Vec<_>, Vec<_>) = hashes.into_iter().unzip();
        let expected = EngineEvent::BlockRemoved(BlockRemoved {
            block_hashes,
            medium: medium.0,
            group_idx: group,
            spec_kind: None,
            locality: None,
            ownership: None,
            object_key: None,
        });
        let group = group.map_or(Value::Nil, |group| Value::Unsigned(group.into()));
        let tag = Value::text("BlockRemoved");
        let hashes = Value::Array(values);
        let array = vec![tag.clone(), hashes.clone(), medium.1.clone(), group.clone()];
        prop_assert_eq!(&only_event(Value::Array(array)), &expected);
        let map =
            vec![("type", tag), ("block_hashes", hashes), ("medium", medium.1), ("group_idx", group)];
        prop_assert_eq!(only_event(Value::map(map)), expected);
    }
}
