//! One event of the tree, in any form.

use indexer_events::{
    BlockRemoved, BlockStored, EngineEvent, EventProblem, ExtraKeys, FieldError, Limits, Locality,
    SpecKind,
};
use proto_model::{EngineHash, ExtraKey, Medium, TokenId};
use rmpv::ValueRef;

use super::values::{extra_keys, hash, hashes, text, tokens};
use super::{integer, is_nil, key, kind, number};

const EXTRA_KEYS: &str = "extra_keys";
const STORED: [&str; 8] = [
    "block_hashes",
    "parent_block_hash",
    "token_ids",
    "block_size",
    "lora_id",
    "medium",
    "lora_name",
    EXTRA_KEYS,
];
const REMOVED: [&str; 2] = ["block_hashes", "medium"];
const CLEARED: [&str; 1] = ["medium"];
const GROUP: [&str; 3] = [
    "group_idx",
    "kv_cache_spec_kind",
    "kv_cache_spec_sliding_window",
];
/// Known, and without effect.
const PASSED_OVER: [&str; 9] = [
    "event_id",
    "timestamp",
    "model_name",
    "additional_salt",
    "tenant_id",
    "backend_id",
    "dp_rank",
    "group_id",
    "base_block_idx",
];

/// Everything an event can say.
#[derive(Default)]
struct Said {
    hashes: Option<Vec<EngineHash>>,
    parent: Option<EngineHash>,
    tokens: Option<Vec<TokenId>>,
    block_size: Option<u32>,
    lora_id: Option<i64>,
    lora_name: Option<String>,
    medium: Option<Medium>,
    extra_keys: Option<Vec<Vec<ExtraKey>>>,
    group: Option<u16>,
    kind: Option<SpecKind>,
    window: Option<u32>,
    locality: Option<Locality>,
    ownership: Option<String>,
    session: Option<String>,
    lookahead: Vec<TokenId>,
    object_key: Option<String>,
    salt: Option<String>,
}

pub(super) fn event(
    value: &ValueRef<'_>,
    limits: &Limits,
    unknown: &mut u32,
) -> Result<EngineEvent, EventProblem> {
    match value {
        ValueRef::Array(values) => from_array(values, limits, unknown),
        ValueRef::Map(pairs) => from_map(pairs, limits, unknown),
        _ => Err(EventProblem::NotAnEvent { found: kind(value) }),
    }
}

fn tag(value: &ValueRef<'_>, limits: &Limits) -> Result<&'static str, EventProblem> {
    let text = text(value, "type", limits)?.ok_or(EventProblem::NoTag)?;
    match text.as_str() {
        "BlockStored" | "stored" => Ok("stored"),
        "BlockRemoved" | "removed" => Ok("removed"),
        "AllBlocksCleared" | "cleared" => Ok("cleared"),
        _ => Err(EventProblem::UnknownTag {
            tag: text.chars().take(64).collect(),
        }),
    }
}

fn from_map(
    pairs: &[(ValueRef<'_>, ValueRef<'_>)],
    limits: &Limits,
    unknown: &mut u32,
) -> Result<EngineEvent, EventProblem> {
    let mut found = None;
    let mut said = Said {
        extra_keys: Some(Vec::new()),
        ..Said::default()
    };
    for (name, value) in pairs {
        match key(name).and_then(|name| std::str::from_utf8(name).ok()) {
            Some("type" | "event_type") => {
                let tag = tag(value, limits)?;
                found.get_or_insert(tag);
            }
            Some(name) if PASSED_OVER.contains(&name) => {}
            Some(name) if said.hear(name, value, limits)? => {}
            _ => *unknown += 1,
        }
    }
    said.into_event(found.ok_or(EventProblem::NoTag)?)
}

fn from_array(
    values: &[ValueRef<'_>],
    limits: &Limits,
    unknown: &mut u32,
) -> Result<EngineEvent, EventProblem> {
    let [head, values @ ..] = values else {
        return Err(EventProblem::NoTag);
    };
    let tag = tag(head, limits)?;
    let names = match tag {
        "stored" => &STORED[..],
        "removed" => &REMOVED,
        _ => &CLEARED,
    };
    let mut said = Said::default();
    for (name, value) in names.iter().zip(values) {
        match value {
            ValueRef::Map(pairs) if *name == "lora_name" => {
                said.metadata(pairs, limits, unknown)?;
            }
            _ => drop(said.hear(name, value, limits)?),
        }
    }
    let rest = values.get(names.len()..).unwrap_or_default();
    if tag == "cleared" {
        *unknown += u32::try_from(rest.len()).unwrap();
    } else {
        said.group(rest, limits, unknown)?;
    }
    said.into_event(tag)
}

impl Said {
    /// The group's fields after all others, media items before them or not.
    fn group(
        &mut self,
        values: &[ValueRef<'_>],
        limits: &Limits,
        unknown: &mut u32,
    ) -> Result<(), FieldError> {
        let mut next = 0;
        for (at, value) in values.iter().enumerate() {
            let before_number = values
                .get(at + 1)
                .is_some_and(|next| integer(next).is_some());
            let items = kind(value) == "array" || is_nil(value) && before_number;
            if next == 0 && items {
                continue;
            }
            if next == 0 && kind(value) == "text" {
                next = 1;
            }
            match GROUP.get(next) {
                Some(name) => drop(self.hear(name, value, limits)?),
                None => *unknown += 1,
            }
            next += 1;
        }
        Ok(())
    }

    fn metadata(
        &mut self,
        pairs: &[(ValueRef<'_>, ValueRef<'_>)],
        limits: &Limits,
        unknown: &mut u32,
    ) -> Result<(), FieldError> {
        self.extra_keys.get_or_insert_default();
        for (name, value) in pairs {
            if key(name) == Some(b"cache_salt") {
                self.salt = text(value, "cache_salt", limits)?;
            } else {
                *unknown += 1;
            }
        }
        Ok(())
    }

    /// Takes a field's value; false if there is no such field.
    fn hear(
        &mut self,
        name: &str,
        value: &ValueRef<'_>,
        limits: &Limits,
    ) -> Result<bool, FieldError> {
        match name {
            "block_hashes" | "seq_hashes" => {
                let found = hashes(value, limits)?;
                if self.hashes.as_ref().is_none_or(Vec::is_empty) {
                    self.hashes = Some(found);
                }
            }
            "parent_block_hash" | "parent_hash" => {
                self.parent = match value {
                    ValueRef::Nil => None,
                    value => Some(hash(value, "parent_block_hash", limits)?),
                };
            }
            "token_ids" => self.tokens = Some(tokens(value, "token_ids", limits)?),
            "block_size" => {
                let size = number(value, "block_size", u32::MAX.into())?;
                self.block_size = Some(size.unwrap_or(0));
            }
            "lora_id" => self.lora_id = number(value, "lora_id", i64::MAX.unsigned_abs())?,
            "lora_name" => self.lora_name = text(value, "lora_name", limits)?,
            "medium" => {
                let word = text(value, "medium", limits)?;
                self.medium = word.map(|word| word.parse()).transpose()?;
            }
            EXTRA_KEYS => self.extra_keys = Some(extra_keys(value, limits)?),
            "group_idx" => self.group = number(value, "group_idx", u16::MAX.into())?,
            "kv_cache_spec_kind" => {
                self.kind = text(value, "kv_cache_spec_kind", limits)?.map(spec_kind);
            }
            "kv_cache_spec_sliding_window" => {
                self.window = number(value, "kv_cache_spec_sliding_window", u32::MAX.into())?;
            }
            "locality" => self.locality = text(value, "locality", limits)?.map(locality),
            "ownership" => self.ownership = text(value, "ownership", limits)?,
            "session_id" => self.session = text(value, "session_id", limits)?,
            "lookahead_token_ids" => {
                self.lookahead = tokens(value, "lookahead_token_ids", limits)?;
            }
            "object_key" => self.object_key = text(value, "object_key", limits)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn into_event(mut self, tag: &str) -> Result<EngineEvent, EventProblem> {
        if tag == "cleared" {
            let medium = self.medium;
            return Ok(EngineEvent::AllBlocksCleared { medium });
        }
        let missing = |field| move || FieldError::Missing { field };
        let block_hashes = self.hashes.ok_or_else(missing("block_hashes"))?;
        let medium = self.medium.unwrap_or(Medium::Gpu);
        if tag == "removed" {
            return Ok(EngineEvent::BlockRemoved(BlockRemoved {
                block_hashes,
                medium,
                group_idx: self.group,
                spec_kind: self.kind,
                locality: self.locality,
                ownership: self.ownership,
                object_key: self.object_key,
            }));
        }
        let starts_prompt = self.parent.is_none() && !block_hashes.is_empty();
        if let (Some(lists), Some(salt), true) = (&mut self.extra_keys, self.salt, starts_prompt) {
            if lists.is_empty() {
                lists.resize(block_hashes.len(), Vec::new());
            }
            lists[0].push(ExtraKey::Text(salt));
        }
        Ok(EngineEvent::BlockStored(Box::new(BlockStored {
            block_hashes,
            parent_block_hash: self.parent,
            token_ids: self.tokens.ok_or_else(missing("token_ids"))?,
            block_size: self.block_size.ok_or_else(missing("block_size"))?,
            lora_id: self.lora_id,
            lora_name: self.lora_name,
            medium,
            extra_keys: self
                .extra_keys
                .map_or(ExtraKeys::NotPublished, ExtraKeys::Published),
            group_idx: self.group,
            spec_kind: self.kind,
            sliding_window: self.window,
            locality: self.locality,
            ownership: self.ownership,
            session_id: self.session,
            lookahead_token_ids: self.lookahead,
            object_key: self.object_key,
        })))
    }
}

fn spec_kind(text: String) -> SpecKind {
    match text.as_str() {
        "full_attention" => SpecKind::FullAttention,
        "mla_attention" => SpecKind::MlaAttention,
        "sink_full_attention" => SpecKind::SinkFullAttention,
        "sliding_window" => SpecKind::SlidingWindow,
        "sliding_window_mla" => SpecKind::SlidingWindowMla,
        "mamba" => SpecKind::Mamba,
        "chunked_local_attention" => SpecKind::ChunkedLocalAttention,
        "encoder_only_attention" => SpecKind::EncoderOnlyAttention,
        "cross_attention" => SpecKind::CrossAttention,
        _ => SpecKind::Other(text),
    }
}

fn locality(text: String) -> Locality {
    match text.as_str() {
        "LOCAL" => Locality::Local,
        "REMOTE" => Locality::Remote,
        _ => Locality::Other(text),
    }
}
