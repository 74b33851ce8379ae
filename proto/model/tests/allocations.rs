//! Keys cost memory once per prompt, not once per block.

use allocation_counter::measure;
use proto_model::engine::{EngineHasher, HashAlgorithm, HashRules};
use proto_model::{
    BlockKey, Extras, ItemForm, KeySpace, LocalHash, Profile, PromptContext, TokenId, content_keys,
    engine_keys,
};

const TOKENS: usize = 4_096;

/// Allocations that a prompt may take: the hasher's buffers as they grow.
const PER_PROMPT: u64 = 8;

fn prompt(tokens: usize) -> Vec<TokenId> {
    let ids = 0..u32::try_from(tokens).unwrap();
    ids.map(|n| n.wrapping_mul(2_654_435_761) % 151_936)
        .collect()
}

fn space(profile: Profile, block_size: u32) -> KeySpace {
    KeySpace {
        profile,
        model: "m".to_owned(),
        lora: None,
        block_size,
        extras: Extras::Published,
    }
}

#[test]
fn content_keys_allocate_nothing_per_block() {
    for block_size in [16, 64, 1_024] {
        let space = space(Profile::Content, block_size);
        let counted = |tokens: usize| {
            let (ids, mut keys) = (prompt(tokens), Vec::<BlockKey>::with_capacity(tokens));
            let info = measure(|| {
                let form = ItemForm::default();
                let _ = content_keys(
                    &space,
                    form,
                    None,
                    &ids,
                    &PromptContext::default(),
                    &mut keys,
                );
            });
            assert_eq!(keys.len(), tokens / block_size as usize);
            info.count_total
        };
        let few = counted(TOKENS);
        assert!(
            few <= 1,
            "{few} for the scope's bytes, blocks of {block_size}"
        );
        assert_eq!(counted(4 * TOKENS), few, "blocks of {block_size}");
    }
    let ids = prompt(64);
    let info = measure(|| {
        std::hint::black_box(LocalHash::of(&ids, &[]));
    });
    assert_eq!(info.count_total, 0);
}

#[test]
fn engine_keys_allocate_nothing_per_block() {
    for algorithm in HashAlgorithm::ALL {
        let rules = HashRules::new(algorithm, Some("42".to_owned()), None);
        let hasher = EngineHasher::new(rules).unwrap();
        for block_size in [16, 64] {
            let space = space(Profile::Engine, block_size);
            let counted = |tokens: usize| {
                let (ids, mut keys) = (prompt(tokens), Vec::with_capacity(tokens));
                let context = PromptContext::default();
                let info = measure(|| {
                    let _ = engine_keys(&space, &hasher, &ids, &context, &mut keys);
                });
                assert_eq!(keys.len(), tokens / block_size as usize);
                info.count_total
            };
            let few = counted(TOKENS);
            assert!(few <= PER_PROMPT, "{algorithm}: {few}");
            assert_eq!(
                counted(4 * TOKENS),
                few,
                "{algorithm}, blocks of {block_size}"
            );
        }
    }
}
