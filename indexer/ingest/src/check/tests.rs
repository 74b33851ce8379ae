use indexer_events::ExtraKeys;
use proto_model::Medium;
use proto_model::engine::{HashAlgorithm, HashRules};

use super::*;

fn hasher(algorithm: HashAlgorithm, seed: &str) -> Arc<EngineHasher> {
    Arc::new(EngineHasher::new(HashRules::new(algorithm, Some(seed.to_owned()), None)).unwrap())
}

/// An event as an engine with these settings would publish it.
fn event(
    hasher: &EngineHasher,
    chain: &mut EngineChain<'_>,
    parent: Option<EngineHash>,
    token_ids: Vec<u32>,
    salt: Option<&str>,
) -> BlockStored {
    let _ = hasher;
    let mut block_hashes = Vec::new();
    let mut extra_keys = Vec::new();
    for (index, tokens) in token_ids.chunks(4).enumerate() {
        let keys: Vec<ExtraKey> = salt
            .filter(|_| index == 0 && parent.is_none())
            .map(|salt| ExtraKey::Text(salt.to_owned()))
            .into_iter()
            .collect();
        let refs: Vec<_> = keys.iter().map(ExtraKey::borrowed).collect();
        let extras = EngineExtras {
            lora: None,
            keys: &refs,
            lookahead: &[],
        };
        block_hashes.push(chain.push(tokens, &extras));
        extra_keys.push(keys);
    }
    BlockStored {
        block_hashes,
        parent_block_hash: parent,
        token_ids,
        block_size: 4,
        lora_id: None,
        lora_name: None,
        medium: Medium::Gpu,
        extra_keys: ExtraKeys::Published(extra_keys),
        group_idx: None,
        spec_kind: None,
        sliding_window: None,
        locality: None,
        ownership: None,
        session_id: None,
        lookahead_token_ids: vec![],
        object_key: None,
    }
}

#[test]
fn chains_go_on_across_events_for_every_algorithm() {
    for algorithm in [
        HashAlgorithm::Sha256Cbor,
        HashAlgorithm::Sha256Cbor64,
        HashAlgorithm::XxhashCbor,
        HashAlgorithm::Builtin,
    ] {
        let hasher = hasher(algorithm, "42");
        let mut chain = hasher.root();
        let first = event(&hasher, &mut chain, None, (0..8).collect(), Some("salt"));
        let parent = first.block_hashes.last().copied();
        let second = event(&hasher, &mut chain, parent, (8..16).collect(), None);
        let mut check = HashCheck::new(Arc::clone(&hasher), 100);
        assert_eq!(
            check.check(&first, None),
            [Verdict::Match; 2],
            "{algorithm}"
        );
        assert_eq!(
            check.check(&second, None),
            [Verdict::Match; 2],
            "{algorithm}"
        );
    }
}

#[test]
fn an_unknown_parent_is_no_mismatch() {
    let hasher = hasher(HashAlgorithm::Sha256Cbor, "42");
    let mut chain = hasher.root();
    let event = event(
        &hasher,
        &mut chain,
        Some(EngineHash(9)),
        (0..4).collect(),
        None,
    );
    let mut check = HashCheck::new(Arc::clone(&hasher), 100);
    assert_eq!(check.check(&event, None), [Verdict::Unknown]);
}

#[test]
fn a_wrong_seed_is_found_and_named() {
    let engine = hasher(HashAlgorithm::Sha256Cbor, "0");
    let configured = HashRules::new(HashAlgorithm::Sha256Cbor, Some("7".to_owned()), None);
    let ours = Arc::new(EngineHasher::new(configured.clone()).unwrap());
    let mut chain = engine.root();
    let event = event(&engine, &mut chain, None, (0..8).collect(), None);
    let mut check = HashCheck::new(ours, 100);
    let verdicts = check.check(&event, None);
    assert!(matches!(
        verdicts[..],
        [Verdict::Mismatch(_), Verdict::Unknown]
    ));
    let probe = Probe::new(vec![configured]);
    let words = probe
        .explain(&event.token_ids[..4], event.block_hashes[0])
        .unwrap();
    assert_eq!(
        words,
        "--prefix-caching-hash-algo sha256_cbor with PYTHONHASHSEED=0"
    );
    assert_eq!(probe.explain(&event.token_ids[..4], EngineHash(1)), None);
}
