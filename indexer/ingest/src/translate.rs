//! Engine events to changes of the replicated state.
//!
//! Tokens, salts and item names end here: what goes on are hashes.

mod blocks;
mod groups;

use std::sync::Arc;

use indexer_events::{BlockRemoved, BlockStored, Decoded, EngineEvent, ExtraKeys};
use proto_model::{Change, Extras, KeySpace, Medium, Message, Publisher, StreamId, Timestamp};

use crate::check::{FirstBlocks, HashCheck, Probe};
use crate::config::EngineKind;
use crate::entry::Entry;
use crate::findings::Findings;
use crate::metrics::Metrics;
use crate::models::ModelRules;
use groups::{Groups, Use};

/// Key spaces remembered per publisher, so that entries share them.
const SPACES: usize = 256;

/// What all publishers of an ingestor share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) findings: Findings,
    pub(crate) metrics: Metrics,
    pub(crate) first_blocks: FirstBlocks,
    pub(crate) probe: Probe,
}

/// Translates the messages of one publisher.
#[derive(Debug)]
pub(crate) struct Translator {
    publisher: Arc<Publisher>,
    subject: String,
    model: Arc<ModelRules>,
    groups: Groups,
    check: Option<HashCheck>,
    spaces: Vec<Arc<KeySpace>>,
    /// The block size last seen, for placeholders that name none.
    block_size: Option<u32>,
}

/// The number and time of a message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stamp {
    pub(crate) sequence: u64,
    pub(crate) timestamp: Timestamp,
    pub(crate) stream: Option<StreamId>,
}

impl Translator {
    pub(crate) fn new(publisher: Arc<Publisher>, model: Arc<ModelRules>, digests: usize) -> Self {
        let check = model
            .hasher
            .as_ref()
            .map(|hasher| HashCheck::new(Arc::clone(hasher), digests));
        Self {
            subject: publisher.to_string(),
            publisher,
            block_size: model.block_size,
            model,
            groups: Groups::default(),
            check,
            spaces: Vec::new(),
        }
    }

    /// The model that the publisher serves.
    pub(crate) fn model(&self) -> &Arc<ModelRules> {
        &self.model
    }

    /// A message that could be read.
    pub(crate) fn translate(
        &mut self,
        stamp: Stamp,
        decoded: &Decoded,
        shared: &mut Shared,
    ) -> Entry {
        let mut entry = self.empty(stamp);
        for event in &decoded.batch.events {
            self.translate_event(event, &mut entry, shared);
        }
        if !decoded.errors.is_empty() {
            entry.message.changes.push(Change::Unreadable);
        }
        entry
    }

    /// A message of which only the number is known.
    pub(crate) fn unreadable(&self, stamp: Stamp) -> Entry {
        let mut entry = self.empty(stamp);
        entry.make_unreadable();
        entry
    }

    fn empty(&self, stamp: Stamp) -> Entry {
        let Stamp {
            sequence,
            timestamp,
            stream,
        } = stamp;
        Entry {
            message: Message {
                sequence,
                timestamp,
                stream,
                changes: Vec::new(),
            },
            spaces: Vec::new(),
            model: Arc::clone(&self.model.name),
            replayed: false,
            unverified: false,
        }
    }

    fn translate_event(&mut self, event: &EngineEvent, entry: &mut Entry, shared: &mut Shared) {
        let events = &shared.metrics.events;
        match event {
            EngineEvent::BlockStored(event) => self.translate_stored(event, entry, shared),
            EngineEvent::BlockRemoved(event) => {
                let change = self.translate_removed(event);
                events.add(
                    if change.is_some() {
                        "removed"
                    } else {
                        "dropped_group"
                    },
                    1,
                );
                entry.message.changes.extend(change);
            }
            EngineEvent::AllBlocksCleared { medium } => {
                events.add("cleared", 1);
                let medium = medium.or(match self.model.engine {
                    EngineKind::Vllm => Some(Medium::Gpu),
                    EngineKind::Sglang => None,
                });
                entry.message.changes.push(Change::Cleared { medium });
            }
        }
    }

    fn translate_removed(&self, event: &BlockRemoved) -> Option<Change> {
        let group = event.group_idx.unwrap_or(0);
        match self.groups.removed(group, event.spec_kind.as_ref()) {
            Use::Take => Some(Change::Removed {
                medium: event.medium,
                group,
                hashes: event.block_hashes.clone(),
            }),
            Use::Drop | Use::Exclude => None,
        }
    }

    fn translate_stored(&mut self, event: &BlockStored, entry: &mut Entry, shared: &mut Shared) {
        let events = shared.metrics.events.clone();
        if event.block_hashes.is_empty() {
            return events.add("empty", 1);
        }
        if event.token_ids.is_empty() {
            let change = self.translate_placeholder(event, entry);
            return events.add(
                if change {
                    "stored_by_hash"
                } else {
                    "dropped_placeholder"
                },
                1,
            );
        }
        let group = event.group_idx.unwrap_or(0);
        let agrees = event.chunks().is_some();
        match self.groups.stored(group, event.spec_kind.as_ref(), agrees) {
            Use::Drop => return events.add("dropped_group", 1),
            Use::Exclude => {
                events.add("excluded_group", 1);
                return entry.message.changes.push(Change::GroupExcluded { group });
            }
            Use::Take => {}
        }
        if !agrees {
            events.add("unclear", 1);
            return entry.message.changes.push(Change::Unreadable);
        }
        events.add("stored", 1);
        self.note_block_size(event.block_size, shared);
        let lora = self
            .model
            .adapter(event.lora_name.as_deref(), event.lora_id);
        let space = self.space(event, lora.as_ref().map(|lora| lora.name.clone()));
        let blocks = self.blocks(event, lora.as_ref(), &space, shared);
        let space = entry_space(entry, space);
        entry.message.changes.push(Change::Stored {
            space,
            medium: event.medium,
            group,
            parent: event.parent_block_hash,
            blocks,
        });
    }

    /// Blocks known by hash only. Without a block size there is no key space
    /// for them, and nothing that they could mean.
    fn translate_placeholder(&mut self, event: &BlockStored, entry: &mut Entry) -> bool {
        let group = event.group_idx.unwrap_or(0);
        let size = Some(event.block_size)
            .filter(|size| *size > 0)
            .or(self.block_size);
        let taken = self.groups.removed(group, event.spec_kind.as_ref()) == Use::Take;
        let Some(size) = size.filter(|_| taken) else {
            return false;
        };
        let lora = self
            .model
            .adapter(event.lora_name.as_deref(), event.lora_id);
        let space = self.intern(KeySpace {
            profile: self.model.profile,
            model: self.model.name.to_string(),
            lora: lora.map(|lora| lora.name),
            block_size: size,
            extras: extras_of(event),
        });
        let space = entry_space(entry, space);
        entry.message.changes.push(Change::StoredByHash {
            medium: event.medium,
            group,
            space,
            hashes: event.block_hashes.clone(),
        });
        true
    }

    fn space(&mut self, event: &BlockStored, lora: Option<String>) -> Arc<KeySpace> {
        self.intern(KeySpace {
            profile: self.model.profile,
            model: self.model.name.to_string(),
            lora,
            block_size: event.block_size,
            extras: extras_of(event),
        })
    }

    fn intern(&mut self, space: KeySpace) -> Arc<KeySpace> {
        if let Some(known) = self.spaces.iter().find(|known| ***known == space) {
            return Arc::clone(known);
        }
        if self.spaces.len() >= SPACES {
            self.spaces.clear();
        }
        let space = Arc::new(space);
        self.spaces.push(Arc::clone(&space));
        space
    }
}

fn extras_of(event: &BlockStored) -> Extras {
    match event.extra_keys {
        ExtraKeys::Published(_) => Extras::Published,
        ExtraKeys::NotPublished => Extras::Hidden,
    }
}

/// The space's index in the entry.
fn entry_space(entry: &mut Entry, space: Arc<KeySpace>) -> u16 {
    let known = entry
        .spaces
        .iter()
        .position(|other| Arc::ptr_eq(other, &space));
    let index = known.unwrap_or_else(|| {
        entry.spaces.push(space);
        entry.spaces.len() - 1
    });
    u16::try_from(index).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests;
