//! What endpoints hold of a prompt, on an embedded store fed by hand.

use std::sync::Arc;

use crate::common::http::get;
use crate::common::{World, publisher, reusable, space, stored, tokens};
use proto_api::{Candidate, Input, MediumWeights, ReplicaState, ScoreQuery};
use proto_model::{Change, Command, Incarnation, Lora, Medium, Revision, Trust};
use scorer_index::IndexLimits;
use scorer_server::{InstanceNames, ModelConfig, ModelsConfig, ScorerLimits, http_routes};

/// Names asked for, endpoints and tokens expected, names expected to be unknown.
type CandidateCase = (
    &'static [&'static str],
    &'static [(&'static str, u32)],
    &'static [&'static str],
);

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-9
}

#[tokio::test]
async fn tokens_are_counted_on_their_fastest_medium() {
    let (world, space) = (World::new().await, space("m", None, 4));
    let prompt = tokens(1, 17);
    let (a, b) = (publisher("10.0.0.1:8000", 0), publisher("10.0.0.2:8000", 0));
    let all_gpu = stored(&space, &prompt, Medium::Gpu);
    let two_cpu = stored(&space, &prompt[..8], Medium::Cpu);
    world.publish(&a, &space, vec![all_gpu, two_cpu]).await;
    let two_gpu = stored(&space, &prompt[..8], Medium::Gpu);
    let all_disk = stored(&space, &prompt, Medium::Disk);
    world.publish(&b, &space, vec![two_gpu, all_disk]).await;

    let answer = world.score_tokens("m", prompt.clone()).await;
    assert_eq!(
        reusable(&answer),
        [
            ("10.0.0.1:8000#0".into(), 16),
            ("10.0.0.2:8000#0".into(), 16)
        ]
    );
    assert_eq!(answer.endpoints[0].by_medium, [16, 0, 0, 0]);
    assert_eq!(answer.endpoints[1].by_medium, [8, 0, 8, 0]);
    assert!(close(answer.endpoints[0].score, 16.0 / 17.0));
    assert!(close(answer.endpoints[1].score, (8.0 + 8.0 * 0.5) / 17.0));
    assert_eq!(answer.prompt_tokens, Some(17));
    assert_eq!(answer.state, ReplicaState::Live);
    assert_eq!(answer.revision, world.store.revision());

    let mut query = ScoreQuery::new("m", Input::Tokens(prompt));
    query.weights = MediumWeights {
        gpu: Some(0.0),
        ..MediumWeights::default()
    };
    let answer = world.score(query).await.expect("an answer");
    assert_eq!(
        answer.endpoints[0].publisher, b,
        "disk now weighs more than GPU"
    );
}

#[tokio::test]
async fn the_last_token_is_never_reused() {
    let (world, space) = (World::new().await, space("m", None, 4));
    let a = publisher("10.0.0.1", 0);
    let prompt = tokens(1, 16);
    world
        .publish(&a, &space, vec![stored(&space, &prompt, Medium::Gpu)])
        .await;
    for (length, matched, reused) in [
        (1, 0, 0),
        (4, 1, 0),
        (5, 1, 4),
        (8, 2, 4),
        (15, 3, 12),
        (16, 4, 12),
    ] {
        let answer = world.score_tokens("m", prompt[..length].to_vec()).await;
        let seen = answer
            .endpoints
            .first()
            .map_or((0, 0), |e| (e.matched_blocks, e.reusable_tokens));
        assert_eq!(seen, (matched, reused), "{length} tokens");
        let sum: u32 = answer.endpoints.iter().flat_map(|e| e.by_medium).sum();
        assert_eq!(sum, reused, "{length} tokens");
    }
}

#[tokio::test]
async fn removed_blocks_and_removed_endpoints_count_no_more() {
    let (world, space) = (World::new().await, space("m", None, 4));
    let (a, prompt) = (publisher("10.0.0.1", 0), tokens(1, 13));
    let Change::Stored { blocks, .. } = stored(&space, &prompt, Medium::Gpu) else {
        panic!()
    };
    world
        .publish(&a, &space, vec![stored(&space, &prompt, Medium::Gpu)])
        .await;
    let removed = Change::Removed {
        medium: Medium::Gpu,
        group: 0,
        hashes: vec![blocks[1].hash],
    };
    world.publish(&a, &space, vec![removed]).await;
    let answer = world.score_tokens("m", prompt.clone()).await;
    assert_eq!(reusable(&answer), [("10.0.0.1#0".into(), 4)]);

    world
        .append(Command::EndpointRemoved {
            endpoint: a.endpoint.clone(),
            rank: None,
        })
        .await;
    let failure = world
        .score(ScoreQuery::new("m", Input::Tokens(prompt)))
        .await
        .expect_err("gone");
    assert_eq!(failure.kind, proto_api::FailureKind::NotFound);
}

#[tokio::test]
async fn candidates_restrict_and_are_all_answered_for() {
    let (world, space) = (World::new().await, space("m", None, 4));
    let prompt = tokens(1, 13);
    for (address, rank) in [
        ("east/10.0.0.1:80", 0),
        ("east/10.0.0.1:80", 1),
        ("west/10.0.0.1", 0),
    ] {
        world
            .publish(
                &publisher(address, rank),
                &space,
                vec![stored(&space, &prompt, Medium::Gpu)],
            )
            .await;
    }
    let idle = publisher("east/10.0.0.2:80", 0);
    world
        .publish(
            &idle,
            &space,
            vec![stored(&space, &tokens(9, 4), Medium::Gpu)],
        )
        .await;
    let cases: [CandidateCase; 5] = [
        (
            &["10.0.0.1:80"],
            &[
                ("10.0.0.1:80#0", 12),
                ("10.0.0.1:80#1", 12),
                ("10.0.0.1#0", 12),
            ],
            &[],
        ),
        (&["east/10.0.0.1:80#1"], &[("10.0.0.1:80#1", 12)], &[]),
        (&["west/10.0.0.1:99"], &[("10.0.0.1#0", 12)], &[]),
        (
            &["10.0.0.2:80", "10.0.0.3"],
            &[("10.0.0.2:80#0", 0)],
            &["10.0.0.3"],
        ),
        (&["10.0.0.1:81"], &[("10.0.0.1#0", 12)], &[]),
    ];
    for (names, expected, unknown) in cases {
        let mut query = ScoreQuery::new("m", Input::Tokens(prompt.clone()));
        query.candidates = names
            .iter()
            .map(|n| n.parse::<Candidate>().expect("valid"))
            .collect();
        let answer = world.score(query).await.expect("an answer");
        let expected: Vec<_> = expected
            .iter()
            .map(|(n, t)| ((*n).to_owned(), *t))
            .collect();
        assert_eq!(reusable(&answer), expected, "{names:?}");
        assert_eq!(answer.unknown_candidates, unknown, "{names:?}");
    }
    let mut query = ScoreQuery::new("m", Input::Tokens(prompt));
    query.include_unmatched = true;
    query.limit = Some(2);
    assert_eq!(
        world
            .score(query.clone())
            .await
            .expect("an answer")
            .endpoints
            .len(),
        2
    );
    query.limit = None;
    assert_eq!(
        world.score(query).await.expect("an answer").endpoints.len(),
        4
    );
}

#[tokio::test]
async fn adapters_are_apart_from_their_base_and_found_by_name() {
    let (base, tuned) = (space("m", None, 4), space("m", Some("tuned"), 4));
    let by_id = space("m", Some("#7"), 4);
    let config = ModelConfig {
        name: "m".to_owned(),
        aliases: vec!["alias".to_owned()],
        adapters: vec![Lora {
            name: "seven".to_owned(),
            id: Some(7),
            path: None,
        }],
        ..ModelConfig::default()
    };
    let world = World::with(
        ModelsConfig {
            models: vec![config],
        },
        ScorerLimits::default(),
    )
    .await;
    let prompt = tokens(1, 13);
    for (address, space) in [("base", &base), ("tuned", &tuned), ("seven", &by_id)] {
        let changes = vec![stored(space, &prompt, Medium::Gpu)];
        world.publish(&publisher(address, 0), space, changes).await;
    }
    let cases = [
        ("m", None, "base#0"),
        ("alias", None, "base#0"),
        ("tuned", None, "tuned#0"),
        ("m", Some("tuned"), "tuned#0"),
        ("alias", Some("seven"), "seven#0"),
        ("seven", None, "seven#0"),
    ];
    for (model, lora, holder) in cases {
        let mut query = ScoreQuery::new(model, Input::Tokens(prompt.clone()));
        query.lora = lora.map(str::to_owned);
        let answer = world.score(query).await.expect("an answer");
        assert_eq!(
            reusable(&answer),
            [(holder.to_owned(), 12)],
            "{model} {lora:?}"
        );
        assert_eq!(answer.model, "m");
    }
    let mut query = ScoreQuery::new("m", Input::Tokens(prompt));
    query.lora = Some("other".to_owned());
    let answer = world.score(query).await.expect("an answer");
    assert!(answer.endpoints.is_empty());
    assert!(
        answer.warnings[0].contains("adapter other"),
        "{:?}",
        answer.warnings
    );
}

#[tokio::test]
async fn an_adapter_of_two_models_must_be_told_apart() {
    let world = World::new().await;
    let prompt = tokens(1, 9);
    for model in ["m1", "m2"] {
        let space = space(model, Some("tuned"), 4);
        world
            .publish(
                &publisher(model, 0),
                &space,
                vec![stored(&space, &prompt, Medium::Gpu)],
            )
            .await;
    }
    let query = ScoreQuery::new("tuned", Input::Tokens(prompt.clone()));
    let failure = world.score(query).await.expect_err("ambiguous");
    assert_eq!(failure.field.as_deref(), Some("lora"));
    let mut query = ScoreQuery::new("m2", Input::Tokens(prompt));
    query.lora = Some("tuned".to_owned());
    let answer = world.score(query).await.expect("an answer");
    assert_eq!(reusable(&answer), [("m2#0".into(), 8)]);
}

#[tokio::test]
async fn every_endpoint_is_scored_in_its_own_block_size() {
    let (world, small, large) = (
        World::new().await,
        space("m", None, 4),
        space("m", None, 16),
    );
    let prompt = tokens(1, 31);
    let changes = vec![stored(&small, &prompt, Medium::Gpu)];
    world.publish(&publisher("small", 0), &small, changes).await;
    let changes = vec![stored(&large, &prompt, Medium::Gpu)];
    world.publish(&publisher("large", 0), &large, changes).await;
    let answer = world.score_tokens("m", prompt).await;
    assert_eq!(
        reusable(&answer),
        [("small#0".into(), 28), ("large#0".into(), 16)]
    );
    let sizes: Vec<_> = answer.endpoints.iter().map(|e| e.block_size).collect();
    assert_eq!(sizes, [4, 16]);
}

#[tokio::test]
async fn trust_is_told() {
    let (world, space) = (World::new().await, space("m", None, 4));
    let prompt = tokens(1, 9);
    let stored = || vec![stored(&space, &prompt, Medium::Gpu)];
    let (exact, partial, suspect) = (
        publisher("exact", 0),
        publisher("partial", 0),
        publisher("suspect", 0),
    );
    let gap = |publisher: &proto_model::Publisher, incarnation, next| Command::Gap {
        publisher: publisher.clone(),
        incarnation,
        next,
    };
    world.publish_at(&exact, &space, 0, stored()).await;
    world.append(gap(&partial, None, 5)).await;
    world.publish_at(&partial, &space, 5, stored()).await;
    world.publish_at(&suspect, &space, 0, stored()).await;
    world.append(gap(&suspect, Some(Incarnation(1)), 5)).await;
    let answer = world.score_tokens("m", prompt.clone()).await;
    let trust: Vec<_> = answer.endpoints.iter().map(|e| e.trust).collect();
    assert_eq!(trust, [Trust::Exact, Trust::Partial, Trust::Suspect]);
}

#[tokio::test]
async fn a_restarted_engine_is_never_scored_by_its_old_life() {
    let (world, space) = (World::new().await, space("m", None, 4));
    let (a, old, new) = (publisher("a", 0), tokens(1, 9), tokens(2, 9));
    world
        .publish_at(&a, &space, 0, vec![stored(&space, &old, Medium::Gpu)])
        .await;
    let outcome = world
        .publish_at(&a, &space, 0, vec![stored(&space, &new, Medium::Gpu)])
        .await;
    assert!(outcome.restarted);
    assert!(world.score_tokens("m", old).await.endpoints.is_empty());
    let answer = world.score_tokens("m", new).await;
    assert_eq!(reusable(&answer), [("a#0".into(), 8)]);
    assert_eq!(answer.endpoints[0].incarnation.0, 2);
}

#[tokio::test]
async fn with_a_full_index_nobody_is_exact() {
    let none = IndexLimits { max_bytes: 0 };
    let world = World::sized(ModelsConfig::default(), ScorerLimits::default(), none);
    world.follow();
    let replica = world.scorer.scoring().replicas().first();
    replica.reached(Revision(0)).await;
    let (space, prompt) = (space("m", None, 4), tokens(1, 8));
    let changes = vec![stored(&space, &prompt, Medium::Gpu)];
    world.publish(&publisher("a", 0), &space, changes).await;
    let query = ScoreQuery {
        include_unmatched: true,
        ..ScoreQuery::new("m", Input::Tokens(prompt))
    };
    let answer = world.score(query).await.expect("an answer");
    assert_eq!(answer.endpoints[0].trust, Trust::Suspect);
    assert!(answer.warnings[0].contains("memory limit"));
    let routes = http_routes(Arc::clone(&world.scorer), InstanceNames::default());
    let (_, page) = get(&routes, "/v1/endpoints").await;
    assert_eq!(page["endpoints"][0]["trust"], "suspect", "{page}");
}
