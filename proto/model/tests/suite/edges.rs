//! Single cases at the edges: what is unknowable, secret, or not there yet.

use proto_model::engine::{EngineExtras, EngineHasher, HashAlgorithm, HashRules, LoraKeyError};
use proto_model::*;

use crate::properties::*;

#[test]
fn hidden_extras_without_a_hasher_end_the_keys() {
    let items = [MediaItem {
        identifier: "i".to_owned(),
        offset: 9,
        length: 2,
    }];
    let context = PromptContext {
        items: &items,
        ..PromptContext::default()
    };
    let tokens: Vec<u32> = (0..20).collect();
    let prompt = Prompt {
        tokens,
        block_size: 4,
        items: vec![],
        salt: None,
        embeds: vec![],
    };
    let space = prompt.space(Profile::Content, Extras::Hidden);
    let form = ItemForm::Identifier;
    let mut keys = Vec::new();
    let coverage = content_keys(&space, form, None, &prompt.tokens, &context, &mut keys);
    let reason = UnknowableReason::HiddenExtras;
    assert_eq!(
        coverage,
        Coverage::Unknowable {
            from_block: 2,
            reason
        }
    );
    assert_eq!(keys, prompt.keys(8, content));
    // Blocks before the item are known, and without extras all are.
    let coverage = content_keys(
        &space,
        form,
        None,
        &prompt.tokens[..11],
        &context,
        &mut keys,
    );
    assert_eq!(coverage, Coverage::Complete);
    let plain = PromptContext::default();
    let coverage = content_keys(&space, form, None, &prompt.tokens, &plain, &mut keys);
    assert_eq!(
        (coverage, keys),
        (Coverage::Complete, prompt.keys(20, content))
    );
}

#[test]
fn an_adapter_without_what_the_engine_hashes_has_no_engine_keys() {
    let lora = Lora {
        name: "a".to_owned(),
        id: None,
        path: None,
    };
    let context = PromptContext {
        lora: Some(&lora),
        ..PromptContext::default()
    };
    let tokens: Vec<u32> = (0..8).collect();
    let prompt = Prompt {
        tokens,
        block_size: 4,
        items: vec![],
        salt: None,
        embeds: vec![],
    };
    let space = prompt.space(Profile::Engine, Extras::Published);
    for (version, missing) in [
        ("0.11.0", Some(LoraKeyError::MissingId)),
        ("0.30.0", None),
        ("0.31.0", Some(LoraKeyError::MissingPath)),
    ] {
        let version = Some(version.parse().unwrap());
        let rules = HashRules::new(HashAlgorithm::Sha256Cbor, Some("0".to_owned()), version);
        let hasher = EngineHasher::new(rules).unwrap();
        let mut keys = Vec::new();
        let coverage = engine_keys(&space, &hasher, &prompt.tokens, &context, &mut keys);
        let expected = missing.map_or(Coverage::Complete, |error| Coverage::Unknowable {
            from_block: 0,
            reason: UnknowableReason::Lora(error),
        });
        assert_eq!(coverage, expected);
        assert_eq!(keys.is_empty(), missing.is_some());
    }
}

#[test]
fn looking_ahead_hashes_the_next_tokens_and_waits_for_them() {
    let rules = HashRules {
        lookahead_tokens: 3,
        ..HashRules::new(HashAlgorithm::Sha256Cbor, Some("42".to_owned()), None)
    };
    let hasher = EngineHasher::new(rules).unwrap();
    let tokens: Vec<u32> = (0..11).collect();
    let items = vec![MediaItem {
        identifier: "i".to_owned(),
        offset: 5,
        length: 1,
    }];
    let prompt = Prompt {
        tokens,
        block_size: 4,
        items,
        salt: None,
        embeds: vec![],
    };
    let space = prompt.space(Profile::Engine, Extras::Published);
    let context = PromptContext {
        items: &prompt.items,
        ..PromptContext::default()
    };
    let keys_of = |tokens: usize| {
        let mut keys = Vec::new();
        let tokens = &prompt.tokens[..tokens];
        assert_eq!(
            engine_keys(&space, &hasher, tokens, &context, &mut keys),
            Coverage::Complete
        );
        keys
    };
    let mut chain = hasher.root();
    let mut hash = |block: usize, offset| {
        let key = ExtraKey::Item {
            identifier: "i".to_owned(),
            offset,
        };
        let (start, end) = (block * 4, block * 4 + 4);
        let extras = EngineExtras {
            lora: None,
            keys: &[key.borrowed()],
            lookahead: &prompt.tokens[end..end + 3],
        };
        space
            .scope()
            .engine_key(chain.push(&prompt.tokens[start..end], &extras))
    };
    // The item begins after block 0, within its lookahead.
    let expected = [hash(0, 5), hash(1, 1)];
    assert_eq!(keys_of(11), expected);
    assert_eq!(keys_of(10), expected[..1]);
    assert_eq!(keys_of(6), []);
}

#[test]
fn the_adapter_is_taken_off_published_extras_and_nothing_else() {
    let text = |text: &str| ExtraKey::Text(text.to_owned());
    let list = [text("my-adapter"), text("salt")];
    assert_eq!(event_extras(&list, Some("my-adapter")), [text("salt")]);
    assert_eq!(event_extras(&list, None), list);
    assert_eq!(event_extras(&list[1..], Some("my-adapter")), [text("salt")]);
    assert_eq!(event_extras(&[], Some("my-adapter")), []);
}

#[test]
fn salts_are_never_printed() {
    let salt = CacheSalt::new("hunter2".to_owned());
    let context = PromptContext {
        salt: Some(&salt),
        ..PromptContext::default()
    };
    let keys = block_extras(&context, ItemForm::Identifier, 4, 0);
    let refs: Vec<_> = keys.iter().map(ExtraKey::borrowed).collect();
    let extras = EngineExtras {
        keys: &refs,
        ..EngineExtras::default()
    };
    for text in [
        format!("{context:?}"),
        format!("{keys:?}"),
        format!("{extras:?}"),
    ] {
        assert!(!text.contains("hunter2"), "{text}");
    }
}
