//! Makes msgpack bytes by hand, independently of the decoder.

use rmp::encode;

/// A msgpack value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Nil,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    /// In nine bytes, however small.
    Wide(i64),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
    Array(Vec<Self>),
    Map(Vec<(Self, Self)>),
}

impl Value {
    pub(crate) fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    pub(crate) fn numbers(numbers: &[u64]) -> Self {
        Self::Array(numbers.iter().copied().map(Self::Unsigned).collect())
    }

    pub(crate) fn map(pairs: Vec<(&str, Self)>) -> Self {
        Self::Map(
            pairs
                .into_iter()
                .map(|(key, value)| (Self::text(key), value))
                .collect(),
        )
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write(&mut bytes);
        bytes
    }

    fn write(&self, out: &mut Vec<u8>) {
        let length = |length: usize| u32::try_from(length).unwrap();
        match self {
            Self::Nil => encode::write_nil(out).unwrap(),
            Self::Bool(value) => encode::write_bool(out, *value).unwrap(),
            Self::Unsigned(value) => drop(encode::write_uint(out, *value).unwrap()),
            Self::Signed(value) => drop(encode::write_sint(out, *value).unwrap()),
            Self::Wide(value) => encode::write_i64(out, *value).unwrap(),
            Self::Float(value) => encode::write_f64(out, *value).unwrap(),
            Self::Text(text) => encode::write_str(out, text).unwrap(),
            Self::Bytes(bytes) => encode::write_bin(out, bytes).unwrap(),
            Self::Array(values) => {
                encode::write_array_len(out, length(values.len())).unwrap();
                values.iter().for_each(|value| value.write(out));
            }
            Self::Map(pairs) => {
                encode::write_map_len(out, length(pairs.len())).unwrap();
                for (key, value) in pairs {
                    key.write(out);
                    value.write(out);
                }
            }
        }
    }
}

/// The payload `[1.5, events, 0]`.
pub(crate) fn payload(events: Vec<Value>) -> Vec<u8> {
    Value::Array(vec![
        Value::Float(1.5),
        Value::Array(events),
        Value::Unsigned(0),
    ])
    .encode()
}

/// The fields of a `BlockStored` with one block of two tokens, in the order of
/// the array form, as far as vLLM 0.23 has them.
pub(crate) fn stored_fields() -> Vec<(&'static str, Value)> {
    vec![
        ("block_hashes", Value::numbers(&[7])),
        ("parent_block_hash", Value::Nil),
        ("token_ids", Value::numbers(&[1, 2])),
        ("block_size", Value::Unsigned(2)),
        ("lora_id", Value::Nil),
        ("medium", Value::text("GPU")),
        ("lora_name", Value::Nil),
        ("extra_keys", Value::Nil),
        ("group_idx", Value::Unsigned(0)),
        ("kv_cache_spec_kind", Value::text("full_attention")),
        ("kv_cache_spec_sliding_window", Value::Nil),
    ]
}

/// A `BlockStored` map, with `field` set to `value`.
pub(crate) fn stored_with(field: &'static str, value: Value) -> Value {
    let mut pairs = vec![("type", Value::text("BlockStored"))];
    pairs.extend(stored_fields());
    match pairs.iter_mut().find(|(name, _)| *name == field) {
        Some(pair) => pair.1 = value,
        None => pairs.push((field, value)),
    }
    Value::map(pairs)
}

/// A `BlockStored` array of `length` elements, the tag included.
pub(crate) fn stored_array(length: usize) -> Vec<Value> {
    let mut values = vec![Value::text("BlockStored")];
    values.extend(stored_fields().into_iter().map(|(_, value)| value));
    values.truncate(length);
    values
}
