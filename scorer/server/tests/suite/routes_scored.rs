//! What recorded routes mean in answers.

use crate::common::routes::{ROUND_1, ROUND_2, Route, chat};
use crate::common::{World, publisher, reusable, space, stored, tokens};
use proto_api::{Estimation, FailureKind, Input, KeyProfile, ScoreAnswer, ScoreQuery};
use proto_model::{BlockKey, Medium, Publisher, TextSpace, Timestamp, Trust};
use scorer_server::{ModelConfig, ModelsConfig, ScorerLimits};

fn with_keys(model: &str, prompt: Vec<u32>) -> ScoreQuery {
    ScoreQuery {
        include_route_keys: true,
        ..ScoreQuery::new(model, Input::Tokens(prompt))
    }
}

/// The prompt's keys, as the answer gives them for the only kind of blocks.
async fn route_keys(world: &World, query: ScoreQuery) -> Vec<BlockKey> {
    let answer = world.score(query).await.expect("an answer");
    let [list] = &answer.route_keys[..] else {
        panic!("one list of keys, not {}", answer.route_keys.len());
    };
    list.keys.clone()
}

/// The endpoint's row.
fn row(answer: &ScoreAnswer, publisher: &Publisher) -> proto_api::EndpointScore {
    let mut rows = answer
        .endpoints
        .iter()
        .filter(|row| row.publisher == *publisher);
    let row = rows.next().expect("it is listed").clone();
    assert_eq!(rows.next(), None, "listed once");
    row
}

#[tokio::test]
async fn what_is_expected_adds_to_what_is_confirmed() {
    let (world, space) = (World::new().await, space("m", None, 4));
    let (prompt, engine) = (tokens(1, 17), publisher("10.0.0.1:8000", 0));
    let half = vec![stored(&space, &prompt[..8], Medium::Cpu)];
    world.publish(&engine, &space, half).await;
    let keys = route_keys(&world, with_keys("m", prompt.clone())).await;
    assert_eq!(keys.len(), 4);
    world.record(&engine, Route::speculative(keys)).await;

    let answer = world.score_tokens("m", prompt.clone()).await;
    let told = row(&answer, &engine);
    assert_eq!((told.matched_blocks, told.reusable_tokens), (4, 16));
    assert_eq!((told.speculative_tokens, told.by_medium), (8, [8, 8, 0, 0]));
    assert_eq!((told.trust, told.incarnation.0), (Trust::Exact, 1));
    let expected = (8.0 + 8.0 * 0.8) / 17.0;
    assert!((told.score - expected).abs() < 1e-9, "{}", told.score);

    // The engine confirms three blocks: only the last is still an expectation.
    let more = vec![stored(&space, &prompt[..12], Medium::Gpu)];
    world.publish(&engine, &space, more).await;
    let told = row(&world.score_tokens("m", prompt).await, &engine);
    assert_eq!((told.reusable_tokens, told.speculative_tokens), (16, 4));
}

#[tokio::test]
async fn the_prompts_last_token_is_never_expected_to_be_reused() {
    let (world, space) = (World::new().await, space("m", None, 4));
    let (prompt, engine) = (tokens(1, 16), publisher("10.0.0.1:8000", 0));
    let other = vec![stored(&space, &tokens(2, 4), Medium::Gpu)];
    world.publish(&engine, &space, other).await;
    let keys = route_keys(&world, with_keys("m", prompt.clone())).await;
    world.record(&engine, Route::speculative(keys)).await;
    let told = row(&world.score_tokens("m", prompt).await, &engine);
    assert_eq!((told.matched_blocks, told.reusable_tokens), (4, 12));
    assert_eq!(told.speculative_tokens, 12);
}

#[tokio::test]
async fn an_endpoint_known_only_by_routes_is_a_guess_and_no_unknown_candidate() {
    let (world, space) = (World::new().await, space("m", None, 4));
    let known = publisher("10.0.0.1:8000", 0);
    let first = vec![stored(&space, &tokens(9, 4), Medium::Gpu)];
    world.publish(&known, &space, first).await;
    let (prompt, new) = (tokens(1, 13), publisher("10.0.0.2:8000", 0));
    let keys = route_keys(&world, with_keys("m", prompt.clone())).await;
    world.record(&new, Route::speculative(keys)).await;

    let mut query = ScoreQuery::new("m", Input::Tokens(prompt));
    let names = ["10.0.0.1", "10.0.0.2:8000", "10.0.0.3"];
    query.candidates = names
        .iter()
        .map(|name| name.parse().expect("a name"))
        .collect();
    let answer = world.score(query).await.expect("an answer");
    assert_eq!(
        reusable(&answer),
        [
            ("10.0.0.2:8000#0".to_owned(), 12),
            ("10.0.0.1:8000#0".to_owned(), 0)
        ]
    );
    let told = row(&answer, &new);
    assert_eq!((told.trust, told.incarnation.0), (Trust::Estimated, 0));
    assert_eq!((told.speculative_tokens, told.block_size), (12, 4));
    assert_eq!(answer.unknown_candidates, ["10.0.0.3"]);
}

#[tokio::test]
async fn estimates_never_count_where_tokens_are_asked_about() {
    let (world, space) = (World::new().await, space("m", None, 4));
    let (prompt, engine) = (tokens(1, 13), publisher("10.0.0.1:8000", 0));
    let first = vec![stored(&space, &prompt[..4], Medium::Gpu)];
    world.publish(&engine, &space, first).await;
    let keys = route_keys(&world, with_keys("m", prompt.clone())).await;
    world.record(&engine, Route::estimated(keys.clone())).await;
    let other = publisher("10.0.0.2:8000", 0);
    world.record(&other, Route::estimated(keys)).await;
    let answer = world.score_tokens("m", prompt).await;
    assert_eq!(reusable(&answer), [("10.0.0.1:8000#0".to_owned(), 4)]);
    assert_eq!(answer.endpoints[0].speculative_tokens, 0);
}

#[tokio::test]
async fn what_expires_counts_no_more() {
    let (world, space) = (World::new().await, space("m", None, 4));
    let (prompt, engine) = (tokens(1, 13), publisher("10.0.0.1:8000", 0));
    let first = vec![stored(&space, &prompt[..4], Medium::Gpu)];
    world.publish(&engine, &space, first).await;
    let keys = route_keys(&world, with_keys("m", prompt.clone())).await;
    world.record(&engine, Route::speculative(keys)).await;
    assert_eq!(
        world.score_tokens("m", prompt.clone()).await.endpoints[0].reusable_tokens,
        12
    );
    let until = Timestamp(Route::EXPIRES_US);
    world.append(proto_model::Command::Expire { until }).await;
    let answer = world.score_tokens("m", prompt).await;
    assert_eq!(reusable(&answer), [("10.0.0.1:8000#0".to_owned(), 4)]);
}

#[tokio::test]
async fn a_cold_fleet_has_keys_where_the_block_size_is_configured() {
    let model = ModelConfig {
        name: "m".to_owned(),
        aliases: vec!["alias".to_owned()],
        block_size: Some(4),
        ..Default::default()
    };
    let bare = ModelConfig {
        name: "bare".to_owned(),
        ..Default::default()
    };
    let models = vec![model, bare];
    let world = World::with(ModelsConfig { models }, ScorerLimits::default()).await;
    let (prompt, engine) = (tokens(1, 13), publisher("10.0.0.1:8000", 0));
    let keys = route_keys(&world, with_keys("alias", prompt.clone())).await;
    assert_eq!(keys.len(), 3);
    world
        .record(&engine, Route::speculative(keys.clone()))
        .await;
    let told = row(&world.score_tokens("m", prompt.clone()).await, &engine);
    assert_eq!((told.reusable_tokens, told.speculative_tokens), (12, 12));

    // What the engine says later has the same keys.
    let space = space("m", None, 4);
    let events = vec![stored(&space, &prompt, Medium::Gpu)];
    world.publish(&engine, &space, events).await;
    assert_eq!(
        route_keys(&world, with_keys("m", prompt.clone())).await,
        keys
    );
    let told = row(&world.score_tokens("m", prompt.clone()).await, &engine);
    assert_eq!((told.reusable_tokens, told.speculative_tokens), (12, 0));

    let answer = world
        .score(with_keys("bare", prompt.clone()))
        .await
        .expect("an answer");
    assert_eq!(answer.route_keys, []);
    let unknown = world
        .score(with_keys("nobody", prompt))
        .await
        .expect_err("unknown");
    assert_eq!(unknown.kind, FailureKind::NotFound);
}

/// Whoever records where a prompt goes needs to know which list is the endpoint's.
#[tokio::test]
async fn an_endpoint_that_has_stored_nothing_is_taken_to_cut_as_the_others_do() {
    let (world, space) = (World::new().await, space("m", None, 4));
    world
        .publish(&publisher("10.0.0.1", 0), &space, Vec::new())
        .await;
    let asked = || ScoreQuery {
        include_unmatched: true,
        ..with_keys("m", tokens(1, 17))
    };
    let answer = world.score(asked()).await.expect("an answer");
    assert_eq!(
        (answer.endpoints[0].block_size, answer.route_keys.len()),
        (0, 0)
    );
    let changes = vec![stored(&space, &tokens(2, 8), Medium::Gpu)];
    world
        .publish(&publisher("10.0.0.2", 0), &space, changes)
        .await;
    let answer = world.score(asked()).await.expect("an answer");
    let sizes: Vec<_> = answer.endpoints.iter().map(|row| row.block_size).collect();
    assert_eq!((sizes, answer.route_keys[0].block_size), (vec![4, 4], 4));
}

#[tokio::test]
async fn keys_come_once_for_each_way_of_cutting_and_only_if_asked_for() {
    let world = World::new().await;
    for (number, size) in [(1, 4), (2, 8), (3, 4)] {
        let space = space("m", None, size);
        let changes = vec![stored(&space, &tokens(1, 8), Medium::Gpu)];
        let engine = publisher(&format!("10.0.0.{number}"), 0);
        world.publish(&engine, &space, changes).await;
    }
    let answer = world
        .score(with_keys("m", tokens(1, 17)))
        .await
        .expect("an answer");
    let lists: Vec<_> = answer
        .route_keys
        .iter()
        .map(|list| (list.profile, list.block_size, list.keys.len()))
        .collect();
    assert_eq!(
        lists,
        [(KeyProfile::Content, 4, 4), (KeyProfile::Content, 8, 2)]
    );
    assert_eq!(world.score_tokens("m", tokens(1, 17)).await.route_keys, []);
    // An expectation recorded under one of them is found.
    let engine = publisher("10.0.0.2", 0);
    let keys = answer.route_keys[1].keys.clone();
    world.record(&engine, Route::speculative(keys)).await;
    let told = row(&world.score_tokens("m", tokens(1, 17)).await, &engine);
    assert_eq!((told.reusable_tokens, told.speculative_tokens), (16, 8));
    assert_eq!((told.block_size, told.by_medium), (8, [16, 0, 0, 0]));
}

fn estimating(body: &str) -> ScoreQuery {
    ScoreQuery {
        estimation: Some(Estimation::default()),
        include_route_keys: true,
        ..ScoreQuery::new("", Input::Chat(body.to_owned().into()))
    }
}

/// The documented check: the second request's messages begin with the first's.
#[tokio::test]
async fn the_second_round_matches_the_endpoint_of_the_first_above_the_threshold() {
    let world = World::new().await;
    let first = world
        .score(estimating(&chat(ROUND_1)))
        .await
        .expect("an answer");
    assert_eq!((first.endpoints.len(), first.prompt_tokens), (0, None));
    assert_eq!(first.model, "Qwen3-32B");
    let [list] = &first.route_keys[..] else {
        panic!("one list of keys");
    };
    assert_eq!((list.profile, list.block_size), (KeyProfile::Text, 64));
    assert_eq!(list.keys.len(), first.prompt_blocks as usize);
    let (one, other) = (publisher("10.0.0.1:8000", 0), publisher("10.0.0.2:8000", 0));
    world
        .record(&one, Route::estimated(list.keys.clone()))
        .await;
    world
        .record(&other, Route::estimated(vec![BlockKey(1)]))
        .await;

    let mut query = estimating(&chat(ROUND_2));
    let names = ["10.0.0.1:8000", "10.0.0.2:8000", "10.0.0.3:8000"];
    query.candidates = names
        .iter()
        .map(|name| name.parse().expect("a name"))
        .collect();
    let second = world.score(query).await.expect("an answer");
    let told = row(&second, &one);
    assert_eq!(told.matched_blocks, first.prompt_blocks);
    let ratio = f64::from(first.prompt_blocks) / f64::from(second.prompt_blocks);
    assert!((told.score - ratio).abs() < 1e-9);
    assert!(ratio > 0.5, "the documented threshold; {ratio}");
    assert_eq!((told.reusable_tokens, told.matched_tokens()), (0, 0));
    assert_eq!(
        (told.trust, told.profile),
        (Trust::Estimated, KeyProfile::Text)
    );
    assert_eq!(row(&second, &other).score, 0.0);
    assert_eq!(second.endpoints[0].publisher, one, "best first");
    assert_eq!(second.unknown_candidates, ["10.0.0.3:8000"]);
}

#[tokio::test]
async fn estimation_separates_models_adapters_and_tenants_and_follows_aliases() {
    let model = ModelConfig {
        name: "m".to_owned(),
        aliases: vec!["alias".to_owned()],
        ..Default::default()
    };
    let models = vec![model];
    let world = World::with(ModelsConfig { models }, ScorerLimits::default()).await;
    let text = "a prompt of some length ".repeat(20);
    let ask = |model: &str, lora: Option<&str>, salt: Option<&str>| ScoreQuery {
        estimation: Some(Estimation::default()),
        include_route_keys: true,
        lora: lora.map(str::to_owned),
        salt: salt.map(|salt| proto_model::CacheSalt::new(salt.to_owned())),
        ..ScoreQuery::new(model, Input::Text(text.clone()))
    };
    let keys = route_keys(&world, ask("alias", None, None)).await;
    let space = TextSpace {
        model: "m",
        lora: None,
        salt: None,
        block_bytes: 64,
    };
    let mut expected = Vec::new();
    space.keys(text.as_bytes(), 4096, &mut expected);
    assert_eq!(keys, expected);
    let engine = publisher("10.0.0.1:8000", 0);
    world.record(&engine, Route::estimated(keys)).await;
    for (model, lora, salt, found) in [
        ("m", None, None, 1),
        ("alias", None, None, 1),
        ("other", None, None, 0),
        ("m", Some("a"), None, 0),
        ("m", None, Some("s"), 0),
    ] {
        let answer = world
            .score(ask(model, lora, salt))
            .await
            .expect("an answer");
        assert_eq!(answer.endpoints.len(), found, "{model} {lora:?} {salt:?}");
    }
}

#[tokio::test]
async fn a_prompt_shorter_than_a_block_matches_nobody_and_is_no_error() {
    let world = World::new().await;
    let engine = publisher("10.0.0.1:8000", 0);
    world
        .record(&engine, Route::estimated(vec![BlockKey(1)]))
        .await;
    let mut query =
        estimating(r#"{"model": "m", "messages": [{"role": "user", "content": "Hi"}]}"#);
    query.candidates = vec!["10.0.0.1:8000".parse().expect("a name")];
    let answer = world.score(query).await.expect("an answer");
    assert_eq!((answer.prompt_blocks, answer.endpoints.len()), (0, 0));
    assert_eq!(
        (answer.route_keys, answer.unknown_candidates),
        (vec![], vec![])
    );
}

#[tokio::test]
async fn estimation_refuses_what_is_no_prompt() {
    let world = World::new().await;
    let deep = format!("{{\"messages\":{}", "[".repeat(100_000));
    for (body, field) in [
        ("", "chat"),
        ("{", "chat"),
        ("[]", "chat"),
        ("{\"model\":\"m\"}", "chat"),
        ("{\"model\":\"m\",\"messages\":[1]}", "chat"),
        ("{\"messages\":[]}", "model"),
        (&deep[..], "chat"),
    ] {
        let failure = world.score(estimating(body)).await.expect_err("refused");
        assert_eq!(failure.kind, FailureKind::InvalidArgument, "{failure}");
        assert_eq!(failure.field.as_deref(), Some(field), "{failure}");
    }
    let several = ScoreQuery {
        estimation: Some(Estimation::default()),
        ..ScoreQuery::new("m", Input::Completion(r#"{"prompt":["a","b"]}"#.into()))
    };
    let failure = world.score(several).await.expect_err("two prompts");
    assert_eq!(failure.field.as_deref(), Some("completion"));
    let long = format!("{{\"model\":\"{}\",\"messages\":[]}}", "m".repeat(600));
    let failure = world
        .score(estimating(&long))
        .await
        .expect_err("a long name");
    assert_eq!(failure.field.as_deref(), Some("model"));
}
