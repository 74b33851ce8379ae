//! Every failure that a query can meet, with its kind and what it tells.

use std::sync::Arc;
use std::time::Duration;

use crate::common::{World, publisher, recorded_model, space, stored, tokens};
use proto_api::{FailureKind, Input, KeyForm, KeyList, ScoreQuery};
use proto_model::{KeySpace, Medium, Profile};
use scorer_server::{ModelConfig, ModelsConfig, Rpc, ScorerLimits};

fn keys(form: KeyForm, block_size: Option<u32>) -> Input {
    Input::Keys(KeyList {
        values: vec![1, 2],
        form,
        block_size,
        prompt_tokens: None,
    })
}

async fn fails(world: &World, query: ScoreQuery, kind: FailureKind, says: &str) {
    let failure = world.score(query).await.expect_err(says);
    assert_eq!(failure.kind, kind, "{failure}");
    assert!(failure.message.contains(says), "{failure} lacks {says:?}");
}

#[tokio::test]
async fn before_the_first_snapshot_nothing_is_answered() {
    let world = World::unfollowed(ModelsConfig::default(), ScorerLimits::default());
    let query = ScoreQuery::new("m", Input::Tokens(vec![1]));
    fails(&world, query, FailureKind::Unavailable, "not loaded yet").await;
}

#[tokio::test]
async fn unknown_models_are_told_with_the_known_ones() {
    let world = World::new().await;
    let query = ScoreQuery::new("x", Input::Tokens(vec![1]));
    fails(
        &world,
        query.clone(),
        FailureKind::NotFound,
        "known are: none yet",
    )
    .await;
    for model in ["m1", "m2"] {
        let space = space(model, None, 4);
        let changes = vec![stored(&space, &tokens(1, 4), Medium::Gpu)];
        world.publish(&publisher(model, 0), &space, changes).await;
    }
    fails(&world, query, FailureKind::NotFound, "known are: m1, m2").await;
    let chat = Input::Chat(r#"{"messages":[{"role":"user","content":"hi"}]}"#.into());
    fails(
        &world,
        ScoreQuery::new("", chat),
        FailureKind::InvalidArgument,
        "names a model",
    )
    .await;
}

#[tokio::test]
async fn keys_must_fit_the_models_blocks() {
    use FailureKind::{FailedPrecondition, InvalidArgument};
    let world = World::new().await;
    let mixed = [space("m", None, 4), space("m", None, 16)];
    for space in &mixed {
        let changes = vec![stored(space, &tokens(1, 16), Medium::Gpu)];
        world
            .publish(&publisher("a", space.block_size), space, changes)
            .await;
    }
    let engine = KeySpace {
        profile: Profile::Engine,
        ..space("e", None, 4)
    };
    let changes = vec![stored(&engine, &tokens(1, 4), Medium::Gpu)];
    world.publish(&publisher("e", 0), &engine, changes).await;
    let query = |model: &str, input| ScoreQuery::new(model, input);
    let rolling = |size| keys(KeyForm::Rolling, size);
    fails(
        &world,
        query("m", rolling(None)),
        InvalidArgument,
        "[4, 16]",
    )
    .await;
    fails(
        &world,
        query("m", rolling(Some(8))),
        InvalidArgument,
        "known are [4, 16]",
    )
    .await;
    fails(
        &world,
        query("m", keys(KeyForm::Key, Some(8))),
        InvalidArgument,
        "blocks of 8",
    )
    .await;
    fails(
        &world,
        query("e", rolling(Some(4))),
        FailedPrecondition,
        "profile engine",
    )
    .await;
    assert!(world.score(query("m", rolling(Some(16)))).await.is_ok());
    assert!(
        world
            .score(query("e", keys(KeyForm::Key, Some(4))))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn text_without_a_tokenizer_says_what_to_configure() {
    let world = World::new().await;
    let space = space("m", None, 4);
    let changes = vec![stored(&space, &tokens(1, 4), Medium::Gpu)];
    world.publish(&publisher("a", 0), &space, changes).await;
    let query = ScoreQuery::new("m", Input::Text("hello".to_owned()));
    fails(
        &world,
        query,
        FailureKind::FailedPrecondition,
        "models[].source",
    )
    .await;
    let tokens = Input::Completion(r#"{"model":"m","prompt":[1,2,3]}"#.into());
    assert!(
        world.score(ScoreQuery::new("", tokens)).await.is_ok(),
        "tokens need no tokenizer"
    );
}

fn with_tokenizer() -> ModelsConfig {
    let model = ModelConfig {
        name: "m".to_owned(),
        source: Some(recorded_model()),
        ..ModelConfig::default()
    };
    ModelsConfig {
        models: vec![model],
    }
}

#[tokio::test]
async fn bodies_that_the_engine_would_refuse_are_refused() {
    let world = World::with(with_tokenizer(), ScorerLimits::default()).await;
    let cases = [
        (
            Input::Chat("{".into()),
            FailureKind::InvalidArgument,
            "chat body refused: ",
        ),
        (
            Input::Chat("{}".into()),
            FailureKind::InvalidArgument,
            "messages",
        ),
        (
            Input::Completion(r#"{"prompt":["a","b"]}"#.into()),
            FailureKind::InvalidArgument,
            "completion has 2 prompts",
        ),
    ];
    for (input, kind, says) in cases {
        fails(&world, ScoreQuery::new("m", input), kind, says).await;
    }
}

#[tokio::test]
async fn text_and_bodies_are_tokenised_as_the_engine_does() {
    let world = World::with(with_tokenizer(), ScorerLimits::default()).await;
    let chat = r#"{"model":"m","messages":[{"role":"user","content":"hello there"}]}"#;
    for input in [
        Input::Text("hello there".to_owned()),
        Input::Completion(r#"{"prompt":"hello there"}"#.into()),
        Input::Chat(chat.into()),
    ] {
        let answer = world
            .score(ScoreQuery::new("m", input))
            .await
            .expect("tokens");
        assert!(answer.prompt_tokens.is_some_and(|tokens| tokens > 1));
        assert!(answer.warnings[0].contains("no endpoint has stored blocks"));
    }
    let named = ScoreQuery::new("", Input::Chat(chat.into()));
    assert_eq!(
        world.score(named).await.expect("the body names it").model,
        "m"
    );
}

#[tokio::test]
async fn beyond_the_limit_queries_are_refused_at_once() {
    let limits = ScorerLimits {
        in_flight: 1,
        tokenizing: 0,
        ..ScorerLimits::default()
    };
    let world = World::with(with_tokenizer(), limits).await;
    // No turn to tokenise will ever come, so that the first query keeps its place.
    let scorer = Arc::clone(&world.scorer);
    let text = || Ok(ScoreQuery::new("m", Input::Text("hello".to_owned())));
    let mut first = Box::pin(scorer.score(Rpc::Score, text(), None));
    assert!(futures::poll!(first.as_mut()).is_pending());
    let tokens = || ScoreQuery::new("m", Input::Tokens(vec![1]));
    fails(
        &world,
        tokens(),
        FailureKind::Busy,
        "1 queries are in flight",
    )
    .await;
    drop(first);
    assert!(
        world.score(tokens()).await.is_ok(),
        "the place is free again"
    );
}

#[tokio::test(start_paused = true)]
async fn late_answers_are_deadlines_exceeded() {
    let limits = ScorerLimits {
        tokenizing: 0,
        ..ScorerLimits::default()
    };
    let world = World::with(with_tokenizer(), limits).await;
    let query = || Ok(ScoreQuery::new("m", Input::Text("hello".to_owned())));
    let cases = [
        (Some(Duration::from_millis(20)), "the caller's deadline"),
        (Some(Duration::from_secs(60)), "within 10000 ms"),
        (None, "the scorer's own limit"),
    ];
    for (timeout, says) in cases {
        let failure = world
            .scorer
            .score(Rpc::Score, query(), timeout)
            .await
            .expect_err("late");
        assert_eq!(failure.kind, FailureKind::DeadlineExceeded);
        assert!(failure.message.contains(says), "{failure} lacks {says:?}");
    }
}
