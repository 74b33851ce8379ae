//! Which extra keys belong to which block of a prompt.

use crate::{ExtraKey, ExtraRef, ItemForm, MediaItem, PromptContext};

/// Walks a prompt's blocks in order and names each block's extra keys.
///
/// The walk keeps its place among the media items, so that all blocks together
/// cost one pass over them.
#[derive(Debug)]
pub(crate) struct ExtrasWalk<'a> {
    context: PromptContext<'a>,
    form: ItemForm,
    block_size: u64,
    block: usize,
    next_item: usize,
}

impl<'a> ExtrasWalk<'a> {
    pub(crate) fn new(context: &PromptContext<'a>, form: ItemForm, block_size: u32) -> Self {
        let block_size = u64::from(block_size);
        Self {
            context: *context,
            form,
            block_size,
            block: 0,
            next_item: 0,
        }
    }

    /// Replaces `keys` by the next block's extra keys, in hashed order: items,
    /// salt, embeddings. `lookahead` more tokens count as part of the block.
    pub(crate) fn next_block(&mut self, lookahead: u64, keys: &mut Vec<ExtraRef<'a>>) {
        keys.clear();
        let start = self.block as u64 * self.block_size;
        let end = start + self.block_size;
        self.push_items(start, end, lookahead, keys);
        if self.block == 0 {
            keys.extend(self.context.effective_salt().map(ExtraRef::Text));
        }
        if let Some(bytes) = self.context.embeds.get(self.block) {
            keys.push(ExtraRef::Bytes(bytes));
        }
        self.block += 1;
    }

    /// vLLM goes through the items with a cursor: it leaves an item behind with
    /// the block that holds its end, and looks no further in a block than an
    /// item that reaches beyond it. Only overlapping items show the difference
    /// to "all that overlap the block".
    fn push_items(&mut self, start: u64, end: u64, lookahead: u64, keys: &mut Vec<ExtraRef<'a>>) {
        let mut cursor = self.next_item;
        while let Some(item) = self.context.items.get(cursor) {
            let (first, last) = range(item);
            if first >= end + lookahead {
                break;
            }
            if start < last {
                keys.push(self.key(item, start));
            }
            if last > end + lookahead {
                break;
            }
            cursor += 1;
            if last <= end {
                self.next_item = self.next_item.max(cursor);
            }
        }
    }

    fn key(&self, item: &'a MediaItem, start: u64) -> ExtraRef<'a> {
        match self.form {
            ItemForm::Identifier => ExtraRef::Text(&item.identifier),
            ItemForm::IdentifierOffset => ExtraRef::Item {
                identifier: &item.identifier,
                offset: i64::from(item.offset) - i64::try_from(start).unwrap_or(i64::MAX),
            },
        }
    }
}

/// The item's first token and the one after its last.
fn range(item: &MediaItem) -> (u64, u64) {
    let first = u64::from(item.offset);
    (first, first + u64::from(item.length))
}

/// The extra keys of one block of a prompt as events carry them: items, salt,
/// prompt embeddings; the adapter left out. `block` counts from 0.
#[must_use]
pub fn block_extras(
    context: &PromptContext<'_>,
    form: ItemForm,
    block_size: u32,
    block: usize,
) -> Vec<ExtraKey> {
    let mut walk = ExtrasWalk::new(context, form, block_size);
    let mut keys = Vec::new();
    for _ in 0..=block {
        walk.next_block(0, &mut keys);
    }
    keys.iter().map(|key| key.to_owned_key()).collect()
}

/// The extra keys that a published list stands for, without the adapter.
///
/// vLLM publishes the adapter's name as a bare text before all others; whether
/// there is one tells only the event's `lora_name`.
#[must_use]
pub fn event_extras<'a>(published: &'a [ExtraKey], lora_name: Option<&str>) -> &'a [ExtraKey] {
    match (published, lora_name) {
        ([ExtraKey::Text(first), rest @ ..], Some(name)) if first == name => rest,
        _ => published,
    }
}
