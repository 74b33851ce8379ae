//! The fields of an event as they turn up, by name, whatever the encoding.

use proto_model::{EngineHash, ExtraKey, Medium, TokenId};

use super::{Event, Tag, value};
use crate::extra::read_extra_keys;
use crate::reader::{Fault, Reader};
use crate::{BlockRemoved, BlockStored, ExtraKeys, FieldError, Locality, SpecKind};

/// Everything that any event can say. `None` is absent or nil.
#[derive(Default)]
pub(super) struct Fields {
    block_hashes: Option<Vec<EngineHash>>,
    parent_block_hash: Option<EngineHash>,
    token_ids: Option<Vec<TokenId>>,
    block_size: Option<u32>,
    lora_id: Option<i64>,
    lora_name: Option<String>,
    medium: Option<Medium>,
    extra_keys: Option<Vec<Vec<ExtraKey>>>,
    group_idx: Option<u16>,
    spec_kind: Option<SpecKind>,
    sliding_window: Option<u32>,
    locality: Option<Locality>,
    ownership: Option<String>,
    session_id: Option<String>,
    lookahead_token_ids: Option<Vec<TokenId>>,
    object_key: Option<String>,
    /// A salt that SGLang sends apart from the extra keys.
    cache_salt: Option<String>,
}

impl Fields {
    pub(super) fn with_published_extra_keys() -> Self {
        Self {
            extra_keys: Some(Vec::new()),
            ..Self::default()
        }
    }

    /// Reads the value of the field `name`; false, without moving, if there is
    /// no such field.
    pub(super) fn read(&mut self, name: &[u8], reader: &mut Reader<'_>) -> Result<bool, Fault> {
        match name {
            b"block_hashes" | b"seq_hashes" => self.read_hashes(reader)?,
            b"parent_block_hash" | b"parent_hash" => {
                self.parent_block_hash = value::optional_hash(reader, "parent_block_hash")?;
            }
            b"token_ids" => self.token_ids = Some(value::tokens(reader, "token_ids")?),
            b"block_size" => {
                self.block_size = Some(value::optional_u32(reader, "block_size")?.unwrap_or(0));
            }
            b"lora_id" => self.lora_id = value::optional_i64(reader, "lora_id")?,
            b"lora_name" => self.lora_name = value::owned_text(reader, "lora_name")?,
            b"medium" => self.medium = read_medium(reader)?,
            b"extra_keys" => self.extra_keys = Some(read_extra_keys(reader)?),
            b"group_idx" => self.group_idx = value::optional_u16(reader, "group_idx")?,
            b"kv_cache_spec_kind" => {
                let kind = value::text(reader, "kv_cache_spec_kind")?;
                self.spec_kind = kind.map(SpecKind::from_text);
            }
            b"kv_cache_spec_sliding_window" => {
                self.sliding_window = value::optional_u32(reader, "kv_cache_spec_sliding_window")?;
            }
            _ => return self.read_newer(name, reader),
        }
        Ok(true)
    }

    /// The fields that only the map form has.
    fn read_newer(&mut self, name: &[u8], reader: &mut Reader<'_>) -> Result<bool, Fault> {
        match name {
            b"locality" => {
                self.locality = value::text(reader, "locality")?.map(Locality::from_text);
            }
            b"ownership" => self.ownership = value::owned_text(reader, "ownership")?,
            b"session_id" => self.session_id = value::owned_text(reader, "session_id")?,
            b"lookahead_token_ids" => {
                self.lookahead_token_ids = Some(value::tokens(reader, "lookahead_token_ids")?);
            }
            b"object_key" => self.object_key = value::owned_text(reader, "object_key")?,
            // The rest of Mooncake's envelope. The publisher's configuration
            // says the same, and the salt is a secret that nobody needs here.
            b"event_id" | b"timestamp" | b"model_name" | b"additional_salt" | b"tenant_id"
            | b"backend_id" | b"dp_rank" | b"group_id" | b"base_block_idx" => reader.skip()?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Mooncake sends the hashes under two names, of which either may be empty.
    fn read_hashes(&mut self, reader: &mut Reader<'_>) -> Result<(), Fault> {
        let found = value::hashes(reader, "block_hashes")?;
        if self.block_hashes.as_ref().is_none_or(Vec::is_empty) {
            self.block_hashes = Some(found);
        }
        Ok(())
    }

    /// SGLang's metadata map: the salt, and what this version does not know.
    pub(super) fn read_metadata(
        &mut self,
        reader: &mut Reader<'_>,
        pairs: usize,
        unknown_fields: &mut u32,
    ) -> Result<(), Fault> {
        self.extra_keys.get_or_insert_default();
        for _ in 0..pairs {
            if value::key(reader)? == Some(b"cache_salt") {
                self.cache_salt = value::owned_text(reader, "cache_salt")?;
            } else {
                *unknown_fields = unknown_fields.saturating_add(1);
                reader.skip()?;
            }
        }
        Ok(())
    }

    pub(super) fn finish(self, reader: &mut Reader<'_>, tag: Tag) -> Result<Event, Fault> {
        match tag {
            Tag::Stored => {
                reader.charge(size_of::<BlockStored>())?;
                Ok(Event::Stored(self.into_stored(reader)?))
            }
            Tag::Removed => Ok(Event::Removed(self.into_removed()?)),
            Tag::Cleared => Ok(Event::Cleared {
                medium: self.medium,
            }),
        }
    }

    fn into_stored(mut self, reader: &mut Reader<'_>) -> Result<BlockStored, Fault> {
        let block_hashes = required(self.block_hashes.take(), "block_hashes")?;
        let extra_keys = match self.extra_keys.take() {
            Some(keys) => ExtraKeys::Published(self.with_salt(reader, keys, block_hashes.len())?),
            None => ExtraKeys::NotPublished,
        };
        Ok(BlockStored {
            block_hashes,
            parent_block_hash: self.parent_block_hash,
            token_ids: required(self.token_ids, "token_ids")?,
            block_size: required(self.block_size, "block_size")?,
            lora_id: self.lora_id,
            lora_name: self.lora_name,
            medium: self.medium.unwrap_or(Medium::Gpu),
            extra_keys,
            group_idx: self.group_idx,
            spec_kind: self.spec_kind,
            sliding_window: self.sliding_window,
            locality: self.locality,
            ownership: self.ownership,
            session_id: self.session_id,
            lookahead_token_ids: self.lookahead_token_ids.unwrap_or_default(),
            object_key: self.object_key,
        })
    }

    /// A salt sent apart goes where vLLM puts it: into the extra keys of the
    /// block that starts the prompt. The blocks after it inherit it.
    fn with_salt(
        &mut self,
        reader: &mut Reader<'_>,
        mut keys: Vec<Vec<ExtraKey>>,
        blocks: usize,
    ) -> Result<Vec<Vec<ExtraKey>>, Fault> {
        let Some(salt) = self.cache_salt.take() else {
            return Ok(keys);
        };
        if self.parent_block_hash.is_some() || blocks == 0 {
            return Ok(keys);
        }
        if keys.is_empty() {
            reader.charge(blocks.saturating_mul(size_of::<Vec<ExtraKey>>()))?;
            keys = vec![Vec::new(); blocks];
        }
        if let Some(first) = keys.first_mut() {
            first.push(ExtraKey::Text(salt));
        }
        Ok(keys)
    }

    fn into_removed(self) -> Result<BlockRemoved, Fault> {
        Ok(BlockRemoved {
            block_hashes: required(self.block_hashes, "block_hashes")?,
            medium: self.medium.unwrap_or(Medium::Gpu),
            group_idx: self.group_idx,
            spec_kind: self.spec_kind,
            locality: self.locality,
            ownership: self.ownership,
            object_key: self.object_key,
        })
    }
}

fn read_medium(reader: &mut Reader<'_>) -> Result<Option<Medium>, Fault> {
    if reader.passes(b"\xa3GPU") {
        return Ok(Some(Medium::Gpu));
    }
    let Some(text) = value::text(reader, "medium")? else {
        return Ok(None);
    };
    Ok(Some(text.parse().map_err(FieldError::Medium)?))
}

fn required<T>(value: Option<T>, field: &'static str) -> Result<T, FieldError> {
    value.ok_or(FieldError::Missing { field })
}
