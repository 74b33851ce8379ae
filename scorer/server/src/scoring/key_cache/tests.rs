use std::sync::Arc;

use proptest::prelude::*;
use proto_model::engine::HashRules;
use proto_model::{Coverage, Extras, Profile, PromptContext, engine_keys};

use super::*;

fn hasher(algorithm: HashAlgorithm, seed: &str) -> EngineHasher {
    EngineHasher::new(HashRules::new(algorithm, Some(seed.to_owned()), None)).unwrap()
}

fn space(model: &str, block_size: u32) -> KeySpace {
    KeySpace {
        profile: Profile::Engine,
        model: model.to_owned(),
        lora: None,
        block_size,
        extras: Extras::Published,
    }
}

fn plain(space: &KeySpace, hasher: &EngineHasher, tokens: &[TokenId]) -> Vec<BlockKey> {
    let mut keys = Vec::new();
    let coverage = engine_keys(space, hasher, tokens, &PromptContext::default(), &mut keys);
    assert_eq!(coverage, Coverage::Complete);
    keys
}

/// A prompt made of a few long pieces, so that many begin alike.
fn prompts() -> impl Strategy<Value = Vec<TokenId>> {
    let piece = (
        0_u32..3,
        prop_oneof![Just(512_usize), Just(1_024), 1_usize..900],
    );
    prop::collection::vec(piece, 0..5).prop_map(|pieces| {
        let tokens = pieces.into_iter().flat_map(|(kind, length)| {
            (0..length).map(move |index| kind * 70_000 + u32::try_from(index % 300).unwrap())
        });
        tokens.collect()
    })
}

type Case = (usize, bool, bool, u32, Vec<TokenId>);

fn cases() -> impl Strategy<Value = Vec<Case>> {
    let block_size = prop::sample::select(vec![1_u32, 16, 24, 64, 512, 700]);
    let algorithm = 0..HashAlgorithm::ALL.len();
    let case = (
        algorithm,
        any::<bool>(),
        any::<bool>(),
        block_size,
        prompts(),
    );
    prop::collection::vec(case, 1..12)
}

fn check(cache: &KeyCache, (algorithm, seed, model, block_size, tokens): &Case) {
    let hasher = hasher(
        HashAlgorithm::ALL[*algorithm],
        if *seed { "1" } else { "2" },
    );
    let space = space(if *model { "a" } else { "b" }, *block_size);
    let mut keys = vec![BlockKey(1)];
    cache.keys(&space, &hasher, tokens, &mut keys);
    assert_eq!(keys, plain(&space, &hasher, tokens));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn remembered_keys_are_the_computed_ones(
        cases in cases(),
        capacity in prop::sample::select(vec![0_usize, 30_000, 200_000, 64 << 20]),
    ) {
        let cache = KeyCache::new(capacity);
        for case in cases.iter().chain(&cases) {
            check(&cache, case);
            let stats = cache.stats();
            prop_assert!(stats.bytes <= stats.capacity_bytes);
        }
    }

    #[test]
    fn threads_may_share_a_tiny_cache(cases in cases()) {
        let cache = Arc::new(KeyCache::new(100_000));
        std::thread::scope(|scope| {
            for first in 0..4 {
                let (cache, cases) = (Arc::clone(&cache), &cases);
                scope.spawn(move || {
                    for round in 0..cases.len() {
                        check(&cache, &cases[(first + round) % cases.len()]);
                    }
                });
            }
        });
    }
}

#[test]
fn the_next_turn_computes_its_new_chunks_only() {
    let (cache, hasher) = (
        KeyCache::new(1 << 20),
        hasher(HashAlgorithm::Sha256Cbor64, "42"),
    );
    let (space, mut keys) = (space("m", 64), Vec::new());
    let tokens: Vec<TokenId> = (0..7_200).collect();
    cache.keys(&space, &hasher, &tokens[..6_000], &mut keys);
    let first = cache.stats();
    assert_eq!((first.hits, first.misses, first.chunks), (0, 11, 11));
    cache.keys(&space, &hasher, &tokens, &mut keys);
    let second = cache.stats();
    assert_eq!((second.hits, second.misses, second.chunks), (11, 14, 14));
    assert_eq!(keys, plain(&space, &hasher, &tokens));
}

#[test]
fn what_is_used_stays() {
    let hasher = hasher(HashAlgorithm::Sha256Cbor64, "42");
    let (space, mut keys) = (space("m", 16), Vec::new());
    // Room for a few chunks in every shard.
    let cache = KeyCache::new(SHARDS * 12_000);
    let kept: Vec<TokenId> = (0..512).collect();
    for other in 1..200 {
        cache.keys(&space, &hasher, &kept, &mut keys);
        let others: Vec<TokenId> = (0..512).map(|id| id + other * 1_000).collect();
        cache.keys(&space, &hasher, &others, &mut keys);
    }
    let stats = cache.stats();
    assert!(stats.evictions > 0, "{stats:?}");
    assert_eq!(stats.hits, 198, "{stats:?}");
}
