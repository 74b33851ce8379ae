//! The block keys of a prompt: the request's half of "the same tokens give the
//! same key on both paths".

use crate::engine::{EngineChain, EngineExtras, EngineHasher, LoraKeyError};
use crate::extras::ExtrasWalk;
use crate::{
    BlockKey, ContentChain, EngineHash, ExtraRef, Extras, ItemForm, KeySpace, LocalHash,
    PromptContext, TokenId, opaque_local_hash,
};

/// How much of a prompt has keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "keys may end before the prompt does"]
pub enum Coverage {
    /// Every full block has its key.
    Complete,
    /// The keys end before this block, counted from 0: its key depends on what
    /// is not known.
    Unknowable {
        /// The first block without a key.
        from_block: usize,
        /// What is missing.
        reason: UnknowableReason,
    },
}

/// Why a block's key cannot be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnknowableReason {
    /// Events hide the block's extra keys, and nobody said how the engine hashes.
    #[error(
        "the engine's events do not carry salts and media items; \
         configure its hash algorithm, seed and version to find such blocks"
    )]
    HiddenExtras,
    /// The adapter is hashed in a form that is not known.
    #[error(transparent)]
    Lora(#[from] LoraKeyError),
}

/// Replaces `out` by the keys of a prompt's full blocks in profile `content`.
///
/// `form` is how the engine names items. `hidden` is looked at only where
/// events carry no extra keys ([`Extras::Hidden`]): blocks with extra keys are
/// then known by the engine's hash, so a hasher is needed to name them.
pub fn content_keys(
    space: &KeySpace,
    form: ItemForm,
    hidden: Option<&EngineHasher>,
    tokens: &[TokenId],
    context: &PromptContext<'_>,
    out: &mut Vec<BlockKey>,
) -> Coverage {
    let blocks = start(space, tokens, out);
    let mut chain = ContentChain::root();
    let scope = space.scope();
    if context.is_plain() {
        out.extend(blocks.map(|block| scope.key(chain.push(LocalHash::of(block, &[])))));
        return Coverage::Complete;
    }
    if space.extras == Extras::Hidden {
        return hidden_keys(space, hidden, tokens, context, out);
    }
    let mut walk = ExtrasWalk::new(context, form, space.block_size);
    let mut keys = Vec::new();
    for block in blocks {
        walk.next_block(0, &mut keys);
        out.push(scope.key(chain.push(LocalHash::of_refs(block, &keys))));
    }
    Coverage::Complete
}

/// The blocks of a prompt with extra keys, where events hide them. The engine's
/// chain is computed only as far as the last block that needs it.
fn hidden_keys(
    space: &KeySpace,
    hasher: Option<&EngineHasher>,
    tokens: &[TokenId],
    context: &PromptContext<'_>,
    out: &mut Vec<BlockKey>,
) -> Coverage {
    let mut engine = match hasher {
        Some(hasher) => EngineWalk::new(hasher, space, tokens, context).map_err(Into::into),
        None => Err(UnknowableReason::HiddenExtras),
    };
    // Whether a block has keys does not depend on their form.
    let mut walk = ExtrasWalk::new(context, ItemForm::Identifier, space.block_size);
    let (mut chain, mut keys, scope) = (ContentChain::root(), Vec::new(), space.scope());
    for (index, block) in start(space, tokens, out).enumerate() {
        walk.next_block(0, &mut keys);
        let local = match &mut engine {
            _ if keys.is_empty() => LocalHash::of(block, &[]),
            Ok(engine) => match engine.block(index) {
                Some(hash) => opaque_local_hash(hash),
                None => break,
            },
            Err(reason) => {
                return Coverage::Unknowable {
                    from_block: index,
                    reason: *reason,
                };
            }
        };
        out.push(scope.key(chain.push(local)));
    }
    Coverage::Complete
}

/// Replaces `out` by the keys of a prompt's full blocks in profile `engine`.
///
/// Where the engine looks ahead, the last blocks have no hash yet, in the
/// engine neither, and so no key.
pub fn engine_keys(
    space: &KeySpace,
    hasher: &EngineHasher,
    tokens: &[TokenId],
    context: &PromptContext<'_>,
    out: &mut Vec<BlockKey>,
) -> Coverage {
    let _ = start(space, tokens, out);
    let mut walk = match EngineWalk::new(hasher, space, tokens, context) {
        Ok(walk) => walk,
        Err(error) => {
            return Coverage::Unknowable {
                from_block: 0,
                reason: error.into(),
            };
        }
    };
    let scope = space.scope();
    out.extend(std::iter::from_fn(|| walk.next_block()).map(|hash| scope.engine_key(hash)));
    Coverage::Complete
}

/// Empties `out`, makes room in it, and cuts the prompt into full blocks.
fn start<'a>(
    space: &KeySpace,
    tokens: &'a [TokenId],
    out: &mut Vec<BlockKey>,
) -> std::slice::ChunksExact<'a, TokenId> {
    out.clear();
    // A block size of 0 is refused where spaces are made; here it means no blocks.
    let (size, tokens) = match space.block_size {
        0 => (1, &tokens[..0]),
        size => (size as usize, tokens),
    };
    out.reserve(tokens.len() / size);
    tokens.chunks_exact(size)
}

/// Hashes a prompt's blocks in order as the engine does.
struct EngineWalk<'a> {
    chain: EngineChain<'a>,
    lookahead: usize,
    base: EngineExtras<'a>,
    extras: ExtrasWalk<'a>,
    keys: Vec<ExtraRef<'a>>,
    block_size: usize,
    rest: &'a [TokenId],
    done: usize,
}

impl<'a> EngineWalk<'a> {
    fn new(
        hasher: &'a EngineHasher,
        space: &KeySpace,
        tokens: &'a [TokenId],
        context: &PromptContext<'a>,
    ) -> Result<Self, LoraKeyError> {
        let lora = context.lora.map(|lora| hasher.lora_key(lora)).transpose()?;
        Ok(Self {
            chain: hasher.root(),
            lookahead: hasher.lookahead_tokens(),
            base: EngineExtras {
                lora,
                ..EngineExtras::default()
            },
            extras: ExtrasWalk::new(context, hasher.item_form(), space.block_size),
            keys: Vec::new(),
            block_size: space.block_size as usize,
            rest: tokens,
            done: 0,
        })
    }

    fn next_block(&mut self) -> Option<EngineHash> {
        let size = self.block_size;
        if size == 0 || self.rest.len() < size.saturating_add(self.lookahead) {
            return None;
        }
        let (block, rest) = self.rest.split_at(size);
        self.extras
            .next_block(self.lookahead as u64, &mut self.keys);
        let extras = EngineExtras {
            keys: &self.keys,
            lookahead: &rest[..self.lookahead],
            ..self.base
        };
        self.rest = rest;
        self.done += 1;
        Some(self.chain.push(block, &extras))
    }

    /// The hash of block `index`, which must not have been hashed yet.
    fn block(&mut self, index: usize) -> Option<EngineHash> {
        while self.done < index {
            self.next_block()?;
        }
        self.next_block()
    }
}
