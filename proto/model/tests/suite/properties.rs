//! What must hold for every prompt.

use proptest::prelude::*;
use proto_model::engine::{EngineDigest, EngineExtras, EngineHasher, HashAlgorithm, HashRules};
use proto_model::{
    BlockKey, CacheSalt, ContentChain, Coverage, ExtraKey, Extras, ItemForm, KeySpace, LocalHash,
    MediaItem, Profile, PromptContext, block_extras, content_keys, engine_keys, opaque_local_hash,
};

/// A prompt with all that its keys depend on.
#[derive(Debug, Clone)]
pub(crate) struct Prompt {
    pub(crate) tokens: Vec<u32>,
    pub(crate) block_size: u32,
    pub(crate) items: Vec<MediaItem>,
    pub(crate) salt: Option<String>,
    pub(crate) embeds: Vec<Vec<u8>>,
}

impl Prompt {
    pub(crate) fn keys(
        &self,
        tokens: usize,
        keys: impl Fn(&Self, &[u32], &PromptContext<'_>) -> Keys,
    ) -> Keys {
        let salt = self.salt.clone().map(CacheSalt::new);
        let context = PromptContext {
            lora: None,
            items: &self.items,
            salt: salt.as_ref(),
            embeds: &self.embeds,
        };
        keys(self, &self.tokens[..tokens], &context)
    }

    pub(crate) fn space(&self, profile: Profile, extras: Extras) -> KeySpace {
        KeySpace {
            profile,
            model: "m".to_owned(),
            lora: None,
            block_size: self.block_size,
            extras,
        }
    }
}

pub(crate) type Keys = Vec<BlockKey>;

pub(crate) fn hasher(algorithm: HashAlgorithm) -> EngineHasher {
    EngineHasher::new(HashRules::new(algorithm, Some("42".to_owned()), None)).unwrap()
}

pub(crate) fn content(prompt: &Prompt, tokens: &[u32], context: &PromptContext<'_>) -> Keys {
    let mut keys = vec![BlockKey(7)];
    let space = prompt.space(Profile::Content, Extras::Published);
    let form = ItemForm::IdentifierOffset;
    let coverage = content_keys(&space, form, None, tokens, context, &mut keys);
    assert_eq!(coverage, Coverage::Complete);
    keys
}

pub(crate) fn hidden(prompt: &Prompt, tokens: &[u32], context: &PromptContext<'_>) -> Keys {
    let mut keys = Vec::new();
    let space = prompt.space(Profile::Content, Extras::Hidden);
    let hasher = hasher(HashAlgorithm::Sha256Cbor64);
    let form = hasher.item_form();
    let coverage = content_keys(&space, form, Some(&hasher), tokens, context, &mut keys);
    assert_eq!(coverage, Coverage::Complete);
    keys
}

pub(crate) fn engine(prompt: &Prompt, tokens: &[u32], context: &PromptContext<'_>) -> Keys {
    let mut keys = vec![BlockKey(7)];
    let space = prompt.space(Profile::Engine, Extras::Published);
    let hasher = hasher(HashAlgorithm::XxhashCbor);
    assert_eq!(
        engine_keys(&space, &hasher, tokens, context, &mut keys),
        Coverage::Complete
    );
    keys
}

/// Sorted items that do not overlap, as (gap before, length).
fn items() -> impl Strategy<Value = Vec<MediaItem>> {
    prop::collection::vec((0_u32..12, 1_u32..20, "[ab]"), 0..6).prop_map(|list| {
        let mut offset = 0;
        let item = |(gap, length, identifier)| {
            offset += gap;
            let item = MediaItem {
                identifier,
                offset,
                length,
            };
            offset += length;
            item
        };
        list.into_iter().map(item).collect()
    })
}

fn prompts() -> impl Strategy<Value = Prompt> {
    (
        prop::collection::vec(any::<u32>(), 0..90),
        1_u32..20,
        items(),
        prop::option::of("[a-zé]{0,3}"),
        prop::collection::vec(prop::collection::vec(any::<u8>(), 0..4), 0..3),
    )
        .prop_map(|(tokens, block_size, items, salt, embeds)| Prompt {
            tokens,
            block_size,
            items,
            salt,
            embeds,
        })
}

/// The naive rule: every item that overlaps the block, then salt, then embeds.
fn expected_extras(prompt: &Prompt, block: usize) -> Vec<ExtraKey> {
    let size = i64::from(prompt.block_size);
    let start = block as i64 * size;
    let mut keys = Vec::new();
    for item in &prompt.items {
        let (first, last) = (i64::from(item.offset), i64::from(item.offset + item.length));
        if first < start + size && last > start {
            let identifier = item.identifier.clone();
            keys.push(ExtraKey::Item {
                identifier,
                offset: first - start,
            });
        }
    }
    if block == 0 {
        let salt = prompt.salt.iter().filter(|salt| !salt.is_empty());
        keys.extend(salt.map(|salt| ExtraKey::Text(salt.clone())));
    }
    keys.extend(
        prompt
            .embeds
            .get(block)
            .map(|bytes| ExtraKey::Bytes(bytes.clone())),
    );
    keys
}

proptest! {
    #[test]
    fn the_keys_of_a_prefix_are_a_prefix_of_the_keys(prompt in prompts(), cut in 0_usize..90) {
        let cut = cut.min(prompt.tokens.len());
        for keys in [content, hidden, engine] {
            let (all, some) = (prompt.keys(prompt.tokens.len(), keys), prompt.keys(cut, keys));
            prop_assert_eq!(all.len(), prompt.tokens.len() / prompt.block_size as usize);
            prop_assert_eq!(some.len(), cut / prompt.block_size as usize);
            prop_assert!(all.starts_with(&some));
        }
    }

    #[test]
    fn both_paths_give_the_same_content_keys(prompt in prompts()) {
        let scope = prompt.space(Profile::Content, Extras::Hidden).scope();
        let mut chain = ContentChain::root();
        let blocks = prompt.tokens.chunks_exact(prompt.block_size as usize).enumerate();
        let events: Keys = blocks
            .map(|(i, tokens)| LocalHash::of(tokens, &expected_extras(&prompt, i)))
            .map(|local| scope.key(chain.push(local)))
            .collect();
        prop_assert_eq!(prompt.keys(prompt.tokens.len(), content), events);
    }

    #[test]
    fn extras_are_those_of_the_naive_rule(prompt in prompts(), block in 0_usize..12) {
        let salt = prompt.salt.clone().map(CacheSalt::new);
        let context = PromptContext {
            items: &prompt.items,
            salt: salt.as_ref(),
            embeds: &prompt.embeds,
            lora: None,
        };
        let found = |form| block_extras(&context, form, prompt.block_size, block);
        let expected = expected_extras(&prompt, block);
        prop_assert_eq!(&found(ItemForm::IdentifierOffset), &expected);
        let bare = expected.into_iter().map(|key| match key {
            ExtraKey::Item { identifier, .. } => ExtraKey::Text(identifier),
            other => other,
        });
        prop_assert_eq!(found(ItemForm::Identifier), bare.collect::<Vec<_>>());
    }

    #[test]
    fn hidden_blocks_are_opaque_where_they_have_extras_and_only_there(prompt in prompts()) {
        let hasher = hasher(HashAlgorithm::Sha256Cbor64);
        let scope = prompt.space(Profile::Content, Extras::Hidden).scope();
        let (mut chain, mut engine, mut events) = (ContentChain::root(), hasher.root(), Vec::new());
        let blocks = prompt.tokens.chunks_exact(prompt.block_size as usize);
        for (index, tokens) in blocks.enumerate() {
            let own = expected_extras(&prompt, index);
            let keys: Vec<_> = own.iter().map(ExtraKey::borrowed).collect();
            let hash = engine.push(tokens, &EngineExtras { keys: &keys, ..Default::default() });
            let plain = own.is_empty();
            let local = if plain { LocalHash::of(tokens, &[]) } else { opaque_local_hash(hash) };
            events.push(scope.key(chain.push(local)));
        }
        prop_assert_eq!(prompt.keys(prompt.tokens.len(), hidden), events);
    }

    #[test]
    fn chains_go_on_from_where_they_were_left(blocks in prop::collection::vec(any::<[u32; 4]>(), 2..6)) {
        for algorithm in HashAlgorithm::ALL {
            let hasher = hasher(algorithm);
            let (mut whole, plain) = (hasher.root(), EngineExtras::default());
            let mut digest = whole.digest();
            for block in &blocks {
                let peeked = whole.peek(block, &plain);
                let hash = whole.push(block, &plain);
                prop_assert_eq!(peeked, hash);
                prop_assert_eq!(hasher.after_digest(digest).unwrap().push(block, &plain), hash);
                let published = hasher.after_published(digest.hash());
                let chains_events = published.map(|mut chain| chain.push(block, &plain) == hash);
                let expected = digest.as_bytes().len() == 8;
                prop_assert_eq!(chains_events, expected.then_some(true), "{}", algorithm);
                digest = whole.digest();
            }
            let wrong = EngineDigest::new(&digest.as_bytes()[1..]).unwrap();
            prop_assert!(hasher.after_digest(wrong).is_none());
        }
    }
}
