use indexer_events::{BlockRemoved, BlockStored, EngineEvent, ExtraKeys, SpecKind, Visit};
use prometheus_client::registry::Registry;
use proto_model::engine::{EngineExtras, EngineHasher, HashAlgorithm, HashRules};
use proto_model::{
    Endpoint, EngineHash, ExtraKey, Extras, LocalHash, Profile, Rank, opaque_local_hash,
};

use super::*;
use crate::config::ModelConfig;
use crate::findings::FindingKind;
use crate::models::Models;

fn shared() -> Shared {
    Shared {
        findings: Findings::new(10),
        metrics: Metrics::register(&mut Registry::default()),
        first_blocks: Arc::default(),
        probe: Arc::default(),
    }
}

fn translator(address: &str, config: ModelConfig) -> Translator {
    let endpoint = Endpoint::new("c", address).unwrap();
    let publisher = Arc::new(Publisher {
        endpoint,
        rank: Rank(0),
    });
    let model = Models::new(std::slice::from_ref(&config)).resolve(&config.name);
    Translator::new(publisher, model, 100)
}

fn stored(hashes: &[u64], tokens: u32) -> BlockStored {
    BlockStored {
        block_hashes: hashes.iter().copied().map(EngineHash).collect(),
        parent_block_hash: None,
        token_ids: (0..tokens).collect(),
        block_size: 4,
        lora_id: None,
        lora_name: None,
        medium: Medium::Gpu,
        extra_keys: ExtraKeys::Published(vec![]),
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

fn run(translator: &mut Translator, shared: &mut Shared, events: Vec<EngineEvent>) -> Entry {
    let mut keyed = Keyed::default();
    let keep = translator.check.is_some();
    for event in &events {
        let visit = match event {
            EngineEvent::BlockStored(event) => Visit::Stored(event),
            EngineEvent::BlockRemoved(event) => Visit::Removed(event),
            EngineEvent::AllBlocksCleared { medium } => Visit::Cleared { medium: *medium },
        };
        keyed.visit(visit, keep);
    }
    let stamp = Stamp {
        sequence: 3,
        timestamp: Timestamp(5),
        stream: None,
    };
    translator.translate(stamp, keyed, shared)
}

fn one(translator: &mut Translator, shared: &mut Shared, event: BlockStored) -> Entry {
    run(
        translator,
        shared,
        vec![EngineEvent::BlockStored(Box::new(event))],
    )
}

fn locals(entry: &Entry) -> Vec<LocalHash> {
    match &entry.message.changes[..] {
        [Change::Stored { blocks, .. }] => blocks.iter().map(|block| block.local).collect(),
        other => panic!("expected one store, got {other:?}"),
    }
}

#[test]
fn blocks_get_the_hash_of_their_own_tokens_and_extras() {
    let (mut translator, mut shared) = (translator("e", ModelConfig::new("m")), shared());
    let mut event = stored(&[1, 2], 8);
    let salt = || ExtraKey::Text("salt".into());
    event.lora_name = Some("adapter".into());
    let lora = || ExtraKey::Text("adapter".into());
    event.extra_keys = ExtraKeys::Published(vec![vec![lora(), salt()], vec![lora()]]);
    let entry = one(&mut translator, &mut shared, event);
    let expected = [
        LocalHash::of(&[0, 1, 2, 3], &[salt()]),
        LocalHash::of(&[4, 5, 6, 7], &[]),
    ];
    assert_eq!(
        locals(&entry),
        expected,
        "the adapter is part of the space, not of the block"
    );
    assert_eq!(entry.spaces[0].lora.as_deref(), Some("adapter"));
    assert_eq!(
        (entry.spaces[0].block_size, entry.spaces[0].extras),
        (4, Extras::Published)
    );
    assert_eq!(entry.message.sequence, 3);
}

#[test]
fn an_adapter_without_a_name_is_called_by_its_number() {
    let (mut translator, mut shared) = (translator("e", ModelConfig::new("m")), shared());
    let event = BlockStored {
        lora_id: Some(7),
        ..stored(&[1], 4)
    };
    let entry = one(&mut translator, &mut shared, event);
    assert_eq!(entry.spaces[0].lora.as_deref(), Some("#7"));
}

#[test]
fn an_alias_is_the_base_model() {
    let mut config = ModelConfig::new("base");
    config.aliases = vec!["alias".into()];
    config.profile = Profile::Engine;
    let model = Models::new(&[config]).resolve("alias");
    let endpoint = Endpoint::new("c", "e").unwrap();
    let publisher = Arc::new(Publisher {
        endpoint,
        rank: Rank(0),
    });
    let mut translator = Translator::new(publisher, model, 10);
    let entry = one(&mut translator, &mut shared(), stored(&[1], 4));
    assert_eq!(
        (entry.spaces[0].model.as_str(), entry.spaces[0].profile),
        ("base", Profile::Engine)
    );
    assert_eq!(&*entry.model, "base");
}

#[test]
fn placeholders_are_stored_by_hash_once_a_block_size_is_known() {
    let (mut translator, mut shared) = (translator("e", ModelConfig::new("m")), shared());
    let placeholder = || BlockStored {
        block_size: 0,
        medium: Medium::Cpu,
        ..stored(&[1], 0)
    };
    let entry = one(&mut translator, &mut shared, placeholder());
    assert_eq!(entry.message.changes, []);
    one(&mut translator, &mut shared, stored(&[1], 4));
    let entry = one(&mut translator, &mut shared, placeholder());
    let hashes = vec![EngineHash(1)];
    let expected = Change::StoredByHash {
        medium: Medium::Cpu,
        group: 0,
        space: 0,
        hashes,
    };
    assert_eq!(entry.message.changes, [expected]);
    assert_eq!(entry.spaces[0].block_size, 4);
}

#[test]
fn only_prefix_complete_groups_go_on() {
    let (mut translator, mut shared) = (translator("e", ModelConfig::new("m")), shared());
    let windowed = BlockStored {
        group_idx: Some(1),
        spec_kind: Some(SpecKind::SlidingWindow),
        ..stored(&[1], 4)
    };
    assert_eq!(
        one(&mut translator, &mut shared, windowed).message.changes,
        []
    );
    let unclear = BlockStored {
        group_idx: Some(2),
        ..stored(&[1], 8)
    };
    let entry = one(&mut translator, &mut shared, unclear);
    assert_eq!(entry.message.changes, [Change::GroupExcluded { group: 2 }]);
    let removed = EngineEvent::BlockRemoved(BlockRemoved {
        block_hashes: vec![EngineHash(1)],
        medium: Medium::Gpu,
        group_idx: Some(1),
        spec_kind: None,
        locality: None,
        ownership: None,
        object_key: None,
    });
    assert_eq!(
        run(&mut translator, &mut shared, vec![removed])
            .message
            .changes,
        []
    );
    let empty = BlockStored {
        block_hashes: vec![],
        ..stored(&[], 4)
    };
    assert_eq!(one(&mut translator, &mut shared, empty).message.changes, []);
}

#[test]
fn a_full_clear_means_what_the_engine_means_by_it() {
    let clear = || vec![EngineEvent::AllBlocksCleared { medium: None }];
    let mut vllm = translator("e", ModelConfig::new("m"));
    let entry = run(&mut vllm, &mut shared(), clear());
    assert_eq!(
        entry.message.changes,
        [Change::Cleared {
            medium: Some(Medium::Gpu)
        }]
    );
    let mut config = ModelConfig::new("m");
    config.engine = EngineKind::Sglang;
    let entry = run(&mut translator("e", config), &mut shared(), clear());
    assert_eq!(entry.message.changes, [Change::Cleared { medium: None }]);
}

#[test]
fn hidden_extra_keys_make_a_block_opaque_without_a_finding() {
    let rules = HashRules::new(HashAlgorithm::Sha256Cbor64, Some("42".into()), None);
    let hasher = EngineHasher::new(rules.clone()).unwrap();
    let mut config = ModelConfig::new("m");
    config.hash = Some(rules);
    let (mut translator, mut shared) = (translator("e", config), shared());
    let plain = hasher.root().push(&[0, 1, 2, 3], &EngineExtras::default());
    let hidden = || ExtraKeys::NotPublished;
    let event = BlockStored {
        extra_keys: hidden(),
        ..stored(&[plain.0], 4)
    };
    let entry = one(&mut translator, &mut shared, event);
    assert_eq!(locals(&entry), [LocalHash::of(&[0, 1, 2, 3], &[])]);
    assert_eq!(entry.spaces[0].extras, Extras::Hidden);
    let event = BlockStored {
        extra_keys: hidden(),
        ..stored(&[99], 4)
    };
    let entry = one(&mut translator, &mut shared, event);
    assert_eq!(locals(&entry), [opaque_local_hash(EngineHash(99))]);
    assert_eq!(shared.findings.list(), []);
}

#[test]
fn hidden_extra_keys_do_not_excuse_a_wrong_seed_for_ever() {
    let mut config = ModelConfig::new("m");
    config.hash = Some(HashRules::new(
        HashAlgorithm::Sha256Cbor64,
        Some("42".into()),
        None,
    ));
    let (mut translator, mut shared) = (translator("e", config), shared());
    for hash in 0..30 {
        let event = BlockStored {
            extra_keys: ExtraKeys::NotPublished,
            ..stored(&[hash], 4)
        };
        one(&mut translator, &mut shared, event);
    }
    assert_eq!(shared.findings.list()[0].kind, FindingKind::HashMismatch);
}

#[test]
fn another_block_size_than_configured_is_a_finding() {
    let mut config = ModelConfig::new("m");
    config.block_size = Some(16);
    let mut shared = shared();
    one(&mut translator("e", config), &mut shared, stored(&[1], 4));
    let found = shared.findings.list();
    assert_eq!(found[0].kind, FindingKind::BlockSize);
    assert!(found[0].seen.contains('4') && found[0].expected.contains("16"));
}

#[test]
fn one_first_block_under_two_names_is_a_finding_without_configuration() {
    let hash = |seed: &str| {
        let rules = HashRules::new(HashAlgorithm::Sha256Cbor, Some(seed.into()), None);
        let hasher = EngineHasher::new(rules).unwrap();
        hasher
            .root()
            .push(&[0, 1, 2, 3], &EngineExtras::default())
            .0
    };
    let mut shared = shared();
    let (mut a, mut b) = (
        translator("a", ModelConfig::new("m")),
        translator("b", ModelConfig::new("m")),
    );
    one(&mut a, &mut shared, stored(&[hash("0")], 4));
    assert_eq!(shared.findings.list(), []);
    one(&mut b, &mut shared, stored(&[hash("42")], 4));
    let found = shared.findings.list();
    assert_eq!(
        (found[0].kind, found[0].subject.as_str()),
        (FindingKind::HashesDiffer, "c/b#0")
    );
    assert!(found[0].advice.contains("PYTHONHASHSEED=42"), "{found:?}");
    assert!(found[0].advice.contains("PYTHONHASHSEED=0"), "{found:?}");
}
