//! Just enough of vLLM's wire to read the recordings: any msgpack value, and
//! `BlockStored` by field position or by field name.

use std::fmt;

use base64::Engine as _;
use proto_model::{EngineHash, ExtraKey};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// A msgpack value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Any {
    Nil,
    Int(i128),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
    List(Vec<Any>),
    Map(Vec<(Any, Any)>),
}

impl<'de> Deserialize<'de> for Any {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyVisitor)
    }
}

struct AnyVisitor;

impl<'de> Visitor<'de> for AnyVisitor {
    type Value = Any;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any msgpack value")
    }

    fn visit_unit<E>(self) -> Result<Any, E> {
        Ok(Any::Nil)
    }

    fn visit_none<E>(self) -> Result<Any, E> {
        Ok(Any::Nil)
    }

    fn visit_i64<E>(self, value: i64) -> Result<Any, E> {
        Ok(Any::Int(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Any, E> {
        Ok(Any::Int(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Any, E> {
        Ok(Any::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Any, E> {
        Ok(Any::Text(value.to_owned()))
    }

    fn visit_bytes<E>(self, value: &[u8]) -> Result<Any, E> {
        Ok(Any::Bytes(value.to_vec()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Any, A::Error> {
        let mut list = Vec::new();
        while let Some(value) = access.next_element()? {
            list.push(value);
        }
        Ok(Any::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Any, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = access.next_entry()? {
            map.push(entry);
        }
        Ok(Any::Map(map))
    }
}

/// A `BlockStored` event, decoded.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) hashes: Vec<Hash>,
    pub(crate) parent: Option<Hash>,
    pub(crate) tokens: Vec<u32>,
    pub(crate) block_size: usize,
    pub(crate) lora_name: Option<String>,
    /// One list per block; empty if the event has no such field.
    pub(crate) extras: Vec<Vec<ExtraKey>>,
}

/// A block hash as published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hash {
    pub(crate) short: EngineHash,
    /// The whole digest, where the engine publishes bytes.
    pub(crate) bytes: Option<Vec<u8>>,
}

/// Every `BlockStored` of a recording, in order.
pub(crate) fn stored_events(tag: &str) -> Vec<Stored> {
    let mut events = Vec::new();
    for line in recording_lines(tag, "events") {
        let payload = line["payload_b64"].as_str().expect("payload");
        let bytes = base64::prelude::BASE64_STANDARD
            .decode(payload)
            .expect("base64");
        let Any::List(batch) = rmp_serde::from_slice(&bytes).expect("msgpack") else {
            panic!("a batch is an array")
        };
        let Any::List(list) = &batch[1] else {
            panic!("events are an array")
        };
        events.extend(list.iter().filter_map(stored));
    }
    events
}

/// The lines of one file of a recording.
pub(crate) fn recording_lines(tag: &str, kind: &str) -> Vec<serde_json::Value> {
    let path = format!("{}/{tag}.{kind}", testdata("vllm/traces"));
    let file = if kind == "meta" {
        format!("{path}.json")
    } else {
        format!("{path}.jsonl")
    };
    let text = std::fs::read_to_string(file).expect("recording");
    text.lines()
        .map(|line| serde_json::from_str(line).expect("json"))
        .collect()
}

/// A path under `testdata/`.
pub(crate) fn testdata(path: &str) -> String {
    format!("{}/../../testdata/{path}", env!("CARGO_MANIFEST_DIR"))
}

fn stored(event: &Any) -> Option<Stored> {
    const NAMES: [&str; 9] = [
        "type",
        "block_hashes",
        "parent_block_hash",
        "token_ids",
        "block_size",
        "lora_id",
        "medium",
        "lora_name",
        "extra_keys",
    ];
    let field = |index: usize| match event {
        Any::List(list) => list.get(index).cloned().unwrap_or(Any::Nil),
        Any::Map(map) => {
            let named = |(key, _): &&(Any, Any)| *key == Any::Text(NAMES[index].to_owned());
            map.iter()
                .find(named)
                .map_or(Any::Nil, |(_, value)| value.clone())
        }
        other => panic!("an event is an array or a map, not {other:?}"),
    };
    if field(0) != Any::Text("BlockStored".to_owned()) {
        return None;
    }
    Some(Stored {
        hashes: list(field(1)).into_iter().filter_map(hash).collect(),
        parent: hash(field(2)),
        tokens: list(field(3))
            .into_iter()
            .map(|t| u32::try_from(int(&t)).unwrap())
            .collect(),
        block_size: usize::try_from(int(&field(4))).unwrap(),
        lora_name: match field(7) {
            Any::Text(name) => Some(name),
            _ => None,
        },
        extras: list(field(8)).into_iter().map(extras).collect(),
    })
}

fn list(value: Any) -> Vec<Any> {
    match value {
        Any::List(list) => list,
        _ => Vec::new(),
    }
}

fn int(value: &Any) -> i128 {
    match value {
        Any::Int(value) => *value,
        other => panic!("an integer, not {other:?}"),
    }
}

fn hash(value: Any) -> Option<Hash> {
    match value {
        Any::Nil => None,
        Any::Bytes(bytes) => Some(Hash {
            short: EngineHash::from_digest(&bytes),
            bytes: Some(bytes),
        }),
        // Negative ones as two's complement.
        other => Some(Hash {
            short: EngineHash(int(&other) as u64),
            bytes: None,
        }),
    }
}

fn extras(value: Any) -> Vec<ExtraKey> {
    list(value)
        .into_iter()
        .map(|key| match key {
            Any::Text(text) => ExtraKey::Text(text),
            Any::Bytes(bytes) => ExtraKey::Bytes(bytes),
            Any::List(pair) => match &pair[..] {
                [Any::Text(identifier), offset] => ExtraKey::Item {
                    identifier: identifier.clone(),
                    offset: i64::try_from(int(offset)).unwrap(),
                },
                other => panic!("(identifier, offset), not {other:?}"),
            },
            other => panic!("an extra key, not {other:?}"),
        })
        .collect()
}
