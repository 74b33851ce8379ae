//! A payload's events with their blocks hashed: what connections hand on.
//!
//! Tokens, salts and item names end here, while the connection's own task still
//! has them at hand: what goes on are hashes, in three lists for all events of a
//! message. Events that say one thing together are joined (vLLM evicts block by
//! block, each with an event of its own).

use std::ops::Range;

use indexer_events::{
    BatchError, BlockRemoved, BlockStored, EventError, ExtraKeys, Limits, Spare, SpecKind, Visit,
    visit_batch,
};
use proto_model::{EngineHash, Extras, LocalHash, Medium, StoredBlock, Timestamp, TokenId};

use crate::check::without_lora;

/// The most that is reserved for a message because the one before it had as
/// much: events, blocks, hashes.
const EXPECTED: [usize; 3] = [64, 1024, 1024];

/// A message that could be read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Keyed {
    pub(crate) timestamp: Timestamp,
    pub(crate) rank: Option<u32>,
    /// The events that could not be used.
    pub(crate) errors: Vec<EventError>,
    /// Fields that were passed over.
    pub(crate) unknown_fields: u32,
    pub(crate) events: Vec<KeyedEvent>,
    blocks: Vec<StoredBlock>,
    hashes: Vec<EngineHash>,
    tokens: Vec<TokenId>,
    /// Stores as they came, for the hash check; empty if nothing is checked.
    originals: Vec<BlockStored>,
}

/// Part of one of a message's lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part {
    from: usize,
    to: usize,
}

impl Part {
    fn range(self) -> Range<usize> {
        self.from..self.to
    }
}

/// One event, or several that follow on one another and say the same of more
/// blocks.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum KeyedEvent {
    Stored(KeyedStored),
    Removed {
        medium: Medium,
        group: Group,
        hashes: Part,
        /// How many events of the engine this is.
        events: u64,
    },
    Cleared {
        medium: Option<Medium>,
    },
}

/// The group of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group {
    /// 0 where the engine names none.
    pub(crate) number: u16,
    pub(crate) kind: Option<SpecKind>,
}

/// A store.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct KeyedStored {
    pub(crate) kind: StoreKind,
    pub(crate) content: Content,
    /// The block before the first.
    pub(crate) parent: Option<EngineHash>,
    /// How many events of the engine this is.
    pub(crate) events: u64,
}

/// What stores must have in common to be one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoreKind {
    pub(crate) medium: Medium,
    pub(crate) group: Group,
    pub(crate) block_size: u32,
    pub(crate) lora_name: Option<Box<str>>,
    pub(crate) lora_id: Option<i64>,
    /// Whether the engine says what blocks depend on besides their tokens.
    pub(crate) extras: Extras,
}

/// The blocks of a store.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// None at all.
    Nothing,
    /// Known by hash only: an offload tier's.
    Hashes(Part),
    /// Hashes and tokens that do not agree in number.
    Unclear,
    /// With tokens, hashed.
    Blocks {
        blocks: Part,
        /// The tokens of the first block, if it begins a prompt and depends on
        /// nothing else.
        first: Option<Part>,
        /// Its place among the originals, if they are kept.
        original: usize,
    },
}

/// Reads the payloads of one connection.
#[derive(Debug)]
pub(crate) struct Reading {
    limits: Limits,
    /// Whether hashes may be checked, which takes the events as they are.
    keep_originals: bool,
    spare: Spare,
    /// Lengths of the last message's lists.
    last: [usize; 3],
}

impl Reading {
    pub(crate) fn new(limits: Limits, keep_originals: bool) -> Self {
        Self {
            limits,
            keep_originals,
            spare: Spare::default(),
            last: [0; 3],
        }
    }

    pub(crate) fn read(&mut self, payload: &[u8]) -> Result<Keyed, BatchError> {
        let [events, blocks, hashes] = self.last;
        let mut keyed = Keyed {
            events: Vec::with_capacity(events),
            blocks: Vec::with_capacity(blocks),
            hashes: Vec::with_capacity(hashes),
            ..Keyed::default()
        };
        let keep = self.keep_originals;
        let visit = |visit: Visit<'_>| keyed.visit(visit, keep);
        let envelope = visit_batch(payload, &self.limits, &mut self.spare, visit)?;
        keyed.timestamp = envelope.timestamp;
        keyed.rank = envelope.data_parallel_rank;
        keyed.errors = envelope.errors;
        keyed.unknown_fields = envelope.unknown_fields;
        let lengths = [keyed.events.len(), keyed.blocks.len(), keyed.hashes.len()];
        for ((last, length), most) in self.last.iter_mut().zip(lengths).zip(EXPECTED) {
            *last = length.min(most);
        }
        Ok(keyed)
    }
}

impl Keyed {
    pub(crate) fn visit(&mut self, visit: Visit<'_>, keep_originals: bool) {
        match visit {
            Visit::Begin(_) => {
                self.events.clear();
                self.blocks.clear();
                self.hashes.clear();
                self.tokens.clear();
                self.originals.clear();
            }
            Visit::Stored(event) => self.stored(event, keep_originals),
            Visit::Removed(event) => self.removed(event),
            Visit::Cleared { medium } => self.events.push(KeyedEvent::Cleared { medium }),
        }
    }

    /// The blocks of a part; the list itself if that is all of it.
    pub(crate) fn take_blocks(&mut self, part: Part) -> Vec<StoredBlock> {
        take(&mut self.blocks, part)
    }

    pub(crate) fn take_hashes(&mut self, part: Part) -> Vec<EngineHash> {
        take(&mut self.hashes, part)
    }

    pub(crate) fn blocks(&self, part: Part) -> &[StoredBlock] {
        &self.blocks[part.range()]
    }

    pub(crate) fn tokens(&self, part: Part) -> &[TokenId] {
        &self.tokens[part.range()]
    }

    pub(crate) fn original(&self, place: usize) -> Option<&BlockStored> {
        self.originals.get(place)
    }

    fn removed(&mut self, event: &BlockRemoved) {
        let from = self.hashes.len();
        self.hashes.extend_from_slice(&event.block_hashes);
        let to = self.hashes.len();
        if let Some(KeyedEvent::Removed {
            medium,
            group,
            hashes,
            events,
        }) = self.events.last_mut()
            && *medium == event.medium
            && group.is(event.group_idx, event.spec_kind.as_ref())
        {
            hashes.to = to;
            *events += 1;
            return;
        }
        self.events.push(KeyedEvent::Removed {
            medium: event.medium,
            group: Group::new(event.group_idx, event.spec_kind.as_ref()),
            hashes: Part { from, to },
            events: 1,
        });
    }

    fn stored(&mut self, event: &BlockStored, keep_originals: bool) {
        let content = self.content(event);
        if keep_originals {
            self.originals.push(event.clone());
        } else if let Content::Blocks { blocks, .. } = &content
            && self.join(event, *blocks)
        {
            return;
        }
        self.events.push(KeyedEvent::Stored(KeyedStored {
            kind: StoreKind::of(event),
            content,
            parent: event.parent_block_hash,
            events: 1,
        }));
    }

    /// Whether the event goes on where the last one ended; then it is part of it.
    /// A run of blocks means as many stores, each the child of the last.
    fn join(&mut self, event: &BlockStored, added: Part) -> bool {
        let last = added.from.checked_sub(1).and_then(|at| self.blocks.get(at));
        let Some(KeyedEvent::Stored(KeyedStored {
            kind,
            content: Content::Blocks { blocks, .. },
            events,
            ..
        })) = self.events.last_mut()
        else {
            return false;
        };
        let follows = event.parent_block_hash.is_some()
            && event.parent_block_hash == last.map(|block| block.hash)
            && kind.is(event);
        if follows {
            blocks.to = added.to;
            *events += 1;
        }
        follows
    }

    fn content(&mut self, event: &BlockStored) -> Content {
        if event.block_hashes.is_empty() {
            return Content::Nothing;
        }
        if event.token_ids.is_empty() {
            let from = self.hashes.len();
            self.hashes.extend_from_slice(&event.block_hashes);
            let to = self.hashes.len();
            return Content::Hashes(Part { from, to });
        }
        let Some(chunks) = event.chunks() else {
            return Content::Unclear;
        };
        let from = self.blocks.len();
        let name = event.lora_name.as_deref();
        let plain = matches!(event.extra_keys, ExtraKeys::Published(_))
            && event.parent_block_hash.is_none()
            && name.is_none()
            && event.lora_id.is_none();
        let mut first = None;
        for (index, (hash, tokens, extras)) in chunks.enumerate() {
            let extras = without_lora(extras, name);
            let local = LocalHash::of(tokens, extras);
            self.blocks.push(StoredBlock { hash, local });
            if index == 0 && plain && extras.is_empty() {
                let from = self.tokens.len();
                self.tokens.extend_from_slice(tokens);
                let to = self.tokens.len();
                first = Some(Part { from, to });
            }
        }
        let to = self.blocks.len();
        Content::Blocks {
            blocks: Part { from, to },
            first,
            original: self.originals.len(),
        }
    }
}

impl Group {
    fn new(number: Option<u16>, kind: Option<&SpecKind>) -> Self {
        Self {
            number: number.unwrap_or(0),
            kind: kind.cloned(),
        }
    }

    fn is(&self, number: Option<u16>, kind: Option<&SpecKind>) -> bool {
        self.number == number.unwrap_or(0) && self.kind.as_ref() == kind
    }
}

impl StoreKind {
    fn of(event: &BlockStored) -> Self {
        Self {
            medium: event.medium,
            group: Group::new(event.group_idx, event.spec_kind.as_ref()),
            block_size: event.block_size,
            lora_name: event.lora_name.as_deref().map(Box::from),
            lora_id: event.lora_id,
            extras: extras_of(event),
        }
    }

    fn is(&self, event: &BlockStored) -> bool {
        self.medium == event.medium
            && self.group.is(event.group_idx, event.spec_kind.as_ref())
            && self.block_size == event.block_size
            && self.lora_name.as_deref() == event.lora_name.as_deref()
            && self.lora_id == event.lora_id
            && self.extras == extras_of(event)
    }
}

fn extras_of(event: &BlockStored) -> Extras {
    match event.extra_keys {
        ExtraKeys::Published(_) => Extras::Published,
        ExtraKeys::NotPublished => Extras::Hidden,
    }
}

fn take<T: Copy>(list: &mut Vec<T>, part: Part) -> Vec<T> {
    // Not with much room to spare: what is taken may wait long.
    if part.from == 0 && part.to == list.len() && list.capacity() <= 2 * part.to {
        return std::mem::take(list);
    }
    list[part.range()].to_vec()
}
