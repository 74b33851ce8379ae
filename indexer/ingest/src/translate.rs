//! Engine events to changes of the replicated state.
//!
//! What the state must not see ends here: groups that do not hold whole
//! prefixes, media that nobody named, hashes that are not the engine's own.

mod blocks;
mod groups;
mod spaces;

use std::sync::Arc;

use parking_lot::Mutex;
use proto_model::{Change, KeySpace, Medium, Message, Publisher, StreamId, Timestamp};

use crate::check::{FirstBlocks, HashCheck, Probe};
use crate::config::EngineKind;
use crate::entry::Entry;
use crate::findings::Findings;
use crate::keyed::{Content, Group, Keyed, KeyedEvent, KeyedStored, Part, StoreKind};
use crate::metrics::Metrics;
use crate::models::ModelRules;
use groups::{Groups, Use};
use spaces::Spaces;

/// What all publishers of an ingestor share.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    pub(crate) findings: Findings,
    pub(crate) metrics: Metrics,
    pub(crate) first_blocks: Arc<Mutex<FirstBlocks>>,
    pub(crate) probe: Arc<Probe>,
}

/// Translates the messages of one publisher.
#[derive(Debug)]
pub(crate) struct Translator {
    publisher: Arc<Publisher>,
    subject: String,
    model: Arc<ModelRules>,
    groups: Groups,
    check: Option<HashCheck>,
    spaces: Spaces,
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
            spaces: Spaces::default(),
        }
    }

    /// The model that the publisher serves.
    pub(crate) fn model(&self) -> &Arc<ModelRules> {
        &self.model
    }

    /// A message that could be read.
    pub(crate) fn translate(&mut self, stamp: Stamp, mut keyed: Keyed, shared: &Shared) -> Entry {
        let mut entry = self.empty(stamp);
        let events = std::mem::take(&mut keyed.events);
        entry.message.changes.reserve_exact(events.len());
        for event in &events {
            self.translate_event(event, &mut keyed, &mut entry, shared);
        }
        if !keyed.errors.is_empty() {
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

    fn translate_event(
        &mut self,
        event: &KeyedEvent,
        keyed: &mut Keyed,
        entry: &mut Entry,
        shared: &Shared,
    ) {
        let metrics = &shared.metrics.events;
        match event {
            KeyedEvent::Stored(stored) => self.translate_stored(stored, keyed, entry, shared),
            KeyedEvent::Removed {
                medium,
                group,
                hashes,
                events,
            } => match self.groups.removed(group.number, group.kind.as_ref()) {
                Use::Take => {
                    metrics.add("removed", *events);
                    entry.message.changes.push(Change::Removed {
                        medium: *medium,
                        group: group.number,
                        hashes: keyed.take_hashes(*hashes),
                    });
                }
                Use::Drop | Use::Exclude => metrics.add("dropped_group", *events),
            },
            KeyedEvent::Cleared { medium } => {
                metrics.add("cleared", 1);
                let medium = medium.or(match self.model.engine {
                    EngineKind::Vllm => Some(Medium::Gpu),
                    EngineKind::Sglang => None,
                });
                entry.message.changes.push(Change::Cleared { medium });
            }
        }
    }

    fn translate_stored(
        &mut self,
        stored: &KeyedStored,
        keyed: &mut Keyed,
        entry: &mut Entry,
        shared: &Shared,
    ) {
        let metrics = &shared.metrics.events;
        let agrees = match stored.content {
            Content::Nothing => return metrics.add("empty", stored.events),
            Content::Hashes(hashes) => {
                let change = self.translate_placeholder(stored, hashes, keyed, entry);
                let fate = if change {
                    "stored_by_hash"
                } else {
                    "dropped_placeholder"
                };
                return metrics.add(fate, stored.events);
            }
            Content::Unclear => false,
            Content::Blocks { .. } => true,
        };
        let Group { number, kind } = &stored.kind.group;
        match self.groups.stored(*number, kind.as_ref(), agrees) {
            Use::Drop => return metrics.add("dropped_group", stored.events),
            Use::Exclude => {
                // Those after the first are of a group that is excluded already.
                metrics.add("excluded_group", 1);
                metrics.add("dropped_group", stored.events - 1);
                let group = *number;
                return entry.message.changes.push(Change::GroupExcluded { group });
            }
            Use::Take => {}
        }
        let Content::Blocks { .. } = stored.content else {
            metrics.add("unclear", stored.events);
            return entry.message.changes.push(Change::Unreadable);
        };
        metrics.add("stored", stored.events);
        self.note_block_size(stored.kind.block_size, shared);
        let space = self.spaces.of(&self.model, &stored.kind);
        let blocks = self.blocks(stored, keyed, &space, shared);
        entry.message.changes.push(Change::Stored {
            space: entry_space(&mut entry.spaces, space),
            medium: stored.kind.medium,
            group: *number,
            parent: stored.parent,
            blocks,
        });
    }

    /// Blocks known by hash only. Without a block size there is no key space
    /// for them, and nothing that they could mean.
    fn translate_placeholder(
        &mut self,
        stored: &KeyedStored,
        hashes: Part,
        keyed: &mut Keyed,
        entry: &mut Entry,
    ) -> bool {
        let Group { number, kind } = &stored.kind.group;
        let size = Some(stored.kind.block_size)
            .filter(|size| *size > 0)
            .or(self.block_size);
        let taken = self.groups.removed(*number, kind.as_ref()) == Use::Take;
        let Some(block_size) = size.filter(|_| taken) else {
            return false;
        };
        let kind = StoreKind {
            block_size,
            ..stored.kind.clone()
        };
        let space = self.spaces.of(&self.model, &kind);
        entry.message.changes.push(Change::StoredByHash {
            medium: stored.kind.medium,
            group: *number,
            space: entry_space(&mut entry.spaces, space),
            hashes: keyed.take_hashes(hashes),
        });
        true
    }
}

/// The space's index in the entry.
fn entry_space(spaces: &mut Vec<Arc<KeySpace>>, space: Arc<KeySpace>) -> u16 {
    let known = spaces.iter().position(|other| Arc::ptr_eq(other, &space));
    let index = known.unwrap_or_else(|| {
        spaces.push(space);
        spaces.len() - 1
    });
    u16::try_from(index).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests;
