//! One prompt in every form in which it can be asked for, and keyed.

use crate::common::{World, publisher, reusable, space, stored, stored_with, tokens};
use proto_api::{Input, KeyForm, KeyList, KeyProfile, ScoreQuery};
use proto_model::engine::{EngineHasher, HashAlgorithm, HashRules};
use proto_model::{
    CacheSalt, Change, ContentChain, EngineHash, ExtraKey, KeySpace, LocalHash, MediaItem, Medium,
    Profile, PromptContext, StoredBlock, engine_keys,
};
use scorer_server::{ModelConfig, ModelsConfig, ScorerLimits};

/// The extra keys of a block, by its index.
type ExtrasOf<'a> = &'a dyn Fn(usize) -> Vec<ExtraKey>;

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-9
}

#[tokio::test]
async fn tokens_and_all_forms_of_keys_agree() {
    let (world, space) = (World::new().await, space("m", None, 4));
    let prompt = tokens(1, 14);
    let a = publisher("10.0.0.1", 0);
    world
        .publish(&a, &space, vec![stored(&space, &prompt[..8], Medium::Gpu)])
        .await;
    let local: Vec<u64> = prompt
        .chunks_exact(4)
        .map(|c| LocalHash::of(c, &[]).0)
        .collect();
    let mut chain = ContentChain::root();
    let rolling: Vec<u64> = local.iter().map(|l| chain.push(LocalHash(*l))).collect();
    let keys: Vec<u64> = rolling
        .iter()
        .map(|chain| space.scope().key(*chain).0)
        .collect();
    let expected = world.score_tokens("m", prompt).await.endpoints;
    for (form, values, size) in [
        (KeyForm::Local, &local, None),
        (KeyForm::Rolling, &rolling, Some(4)),
        (KeyForm::Key, &keys, Some(4)),
    ] {
        let list = KeyList {
            values: values.clone(),
            form,
            block_size: size,
            prompt_tokens: Some(14),
        };
        let answer = world
            .score(ScoreQuery::new("m", Input::Keys(list)))
            .await
            .expect("an answer");
        assert_eq!(answer.endpoints, expected, "{form:?}");
    }
    let list = KeyList {
        values: rolling[..2].to_vec(),
        form: KeyForm::Rolling,
        block_size: None,
        prompt_tokens: None,
    };
    let answer = world
        .score(ScoreQuery::new("m", Input::Keys(list)))
        .await
        .expect("an answer");
    assert_eq!(
        reusable(&answer),
        [("10.0.0.1#0".into(), 8)],
        "length unknown: no last token"
    );
    assert!(close(answer.endpoints[0].score, 1.0));
}

#[tokio::test]
async fn salts_and_items_tell_equal_tokens_apart() {
    let (world, space) = (World::new().await, space("m", None, 4));
    let prompt = tokens(1, 13);
    let salted = |index| {
        if index == 0 {
            vec![ExtraKey::Text("s".to_owned())]
        } else {
            vec![]
        }
    };
    let item = |index: usize| {
        let identifier = "img".to_owned();
        if index == 1 {
            vec![ExtraKey::Item {
                identifier,
                offset: 1,
            }]
        } else {
            vec![]
        }
    };
    let old_item = |index: usize| {
        if index == 1 {
            vec![ExtraKey::Text("img".to_owned())]
        } else {
            vec![]
        }
    };
    let plain = stored(&space, &prompt, Medium::Gpu);
    world
        .publish(&publisher("plain", 0), &space, vec![plain])
        .await;
    let forms: [(&str, ExtrasOf<'_>); 3] = [
        ("salted", &salted),
        ("item", &item),
        ("old-item", &old_item),
    ];
    for (name, extras) in forms {
        let change = stored_with(&space, &prompt, Medium::Gpu, extras);
        world
            .publish(&publisher(name, 0), &space, vec![change])
            .await;
    }
    let mut query = ScoreQuery::new("m", Input::Tokens(prompt.clone()));
    query.salt = Some(CacheSalt::new("s".to_owned()));
    let answer = world.score(query).await.expect("an answer");
    assert_eq!(reusable(&answer), [("salted#0".into(), 12)]);
    let mut query = ScoreQuery::new("m", Input::Tokens(prompt));
    query.items = vec![MediaItem {
        identifier: "img".to_owned(),
        offset: 5,
        length: 2,
    }];
    let answer = world.score(query).await.expect("an answer");
    let full: Vec<_> = reusable(&answer)
        .into_iter()
        .filter(|(_, tokens)| *tokens == 12)
        .collect();
    assert_eq!(full, [("item#0".into(), 12), ("old-item#0".into(), 12)]);
    assert_eq!(
        answer.endpoints.len(),
        3,
        "the plain one shares the block before the item, the salted one none"
    );
}

#[tokio::test]
async fn profile_engine_reproduces_the_engines_hashes() {
    let rules = HashRules::new(HashAlgorithm::Sha256Cbor, Some("42".to_owned()), None);
    let space = KeySpace {
        profile: Profile::Engine,
        ..space("m", None, 4)
    };
    let prompt = tokens(1, 13);
    let hasher = EngineHasher::new(rules.clone()).expect("valid rules");
    let mut keys = Vec::new();
    let _ = engine_keys(
        &space,
        &hasher,
        &prompt,
        &PromptContext::default(),
        &mut keys,
    );
    let blocks = keys.iter().map(|key| StoredBlock {
        hash: EngineHash(key.0 ^ space.scope().0),
        local: LocalHash(0),
    });
    let change = || Change::Stored {
        space: 0,
        medium: Medium::Gpu,
        group: 0,
        parent: None,
        blocks: blocks.clone().collect(),
    };
    let config = ModelConfig {
        name: "m".to_owned(),
        profile: Profile::Engine,
        hash: Some(rules),
        ..ModelConfig::default()
    };
    let world = World::with(
        ModelsConfig {
            models: vec![config],
        },
        ScorerLimits::default(),
    )
    .await;
    world
        .publish(&publisher("a", 0), &space, vec![change()])
        .await;
    let answer = world.score_tokens("m", prompt.clone()).await;
    assert_eq!(reusable(&answer), [("a#0".into(), 12)]);
    assert_eq!(answer.endpoints[0].profile, KeyProfile::Engine);

    let unconfigured = World::new().await;
    unconfigured
        .publish(&publisher("a", 0), &space, vec![change()])
        .await;
    let query = ScoreQuery::new("m", Input::Tokens(prompt));
    let failure = unconfigured.score(query).await.expect_err("no hash rules");
    assert_eq!(failure.kind, proto_api::FailureKind::FailedPrecondition);
    assert!(failure.message.contains("models[].hash"), "{failure}");
}
