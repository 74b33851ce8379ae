//! The scorer and llm-d services over a real connection.

use std::time::Duration;

use crate::common::grpc::serve;
use crate::common::{World, publisher, recorded_model, space, stored, tokens};
use futures::StreamExt;
use proto_api::llmd::GetPodScoresRequest;
use proto_api::llmd::indexer_service_client::IndexerServiceClient;
use proto_api::v1::index_client::IndexClient;
use proto_api::v1::score_request::Input;
use proto_api::v1::scorer_client::ScorerClient;
use proto_api::v1::{ReplicaState, ScoreRequest, ScoreResponse, TokenIds, Trust, WatchRequest};
use proto_api::{Failure, FailureKind};
use proto_model::Medium;
use scorer_server::{ModelConfig, ModelsConfig, ScorerLimits};
use tonic::{Code, Request};

fn request(id: &str, model: &str, ids: Vec<u32>) -> ScoreRequest {
    ScoreRequest {
        request_id: id.to_owned(),
        model: model.to_owned(),
        input: Some(Input::Tokens(TokenIds { ids })),
        ..Default::default()
    }
}

async fn world_with_one() -> World {
    let (world, space) = (World::new().await, space("m", None, 4));
    let changes = vec![stored(&space, &tokens(1, 12), Medium::Gpu)];
    world
        .publish(&publisher("east/10.0.0.1:8000", 2), &space, changes)
        .await;
    world
}

#[tokio::test]
async fn score_answers_with_everything_documented() {
    let world = world_with_one().await;
    let mut client = ScorerClient::new(serve(&world).await);
    let answer = client
        .score(request("7", "m", tokens(1, 13)))
        .await
        .expect("ok")
        .into_inner();
    assert_eq!(
        (answer.request_id.as_str(), answer.model.as_str()),
        ("7", "m")
    );
    assert_eq!((answer.prompt_tokens, answer.block_size), (13, 4));
    assert_eq!(answer.state(), ReplicaState::Live);
    assert_eq!(answer.revision, world.store.revision().0);
    let [endpoint] = &answer.endpoints[..] else {
        panic!("one endpoint")
    };
    assert_eq!(
        (endpoint.cluster.as_str(), endpoint.address.as_str()),
        ("east", "10.0.0.1:8000")
    );
    assert_eq!(
        (
            endpoint.rank,
            endpoint.reusable_tokens,
            endpoint.matched_tokens
        ),
        (2, 12, 12)
    );
    assert_eq!((endpoint.trust(), endpoint.incarnation), (Trust::Exact, 1));
    assert_eq!(endpoint.by_medium.expect("set").gpu, 12);
}

#[tokio::test]
async fn both_forms_of_token_ids_get_the_same_answer() {
    let world = world_with_one().await;
    let mut client = ScorerClient::new(serve(&world).await);
    let list = request("7", "m", tokens(1, 13));
    let dense = ScoreRequest {
        input: Some(Input::dense(&tokens(1, 13))),
        ..list.clone()
    };
    let list = client.score(list).await.expect("ok").into_inner();
    let dense = client.score(dense).await.expect("ok").into_inner();
    assert_eq!(dense.endpoints[0].matched_tokens, 12);
    // The store may have been heard in between.
    let list = ScoreResponse {
        age_ms: dense.age_ms,
        ..list
    };
    assert_eq!(dense, list);
}

#[tokio::test]
async fn failures_are_statuses_with_the_field() {
    let world = world_with_one().await;
    let mut client = ScorerClient::new(serve(&world).await);
    let cases = [
        (
            request("", "nobody", vec![1]),
            FailureKind::NotFound,
            "model",
        ),
        (
            request("", "", vec![1]),
            FailureKind::InvalidArgument,
            "model",
        ),
        (
            request("", "m", vec![]),
            FailureKind::InvalidArgument,
            "tokens",
        ),
    ];
    for (request, kind, field) in cases {
        let status = client.score(request).await.expect_err("fails");
        let failure = Failure::try_from(&status).expect("ours");
        assert_eq!(
            (failure.kind, failure.field.as_deref()),
            (kind, Some(field))
        );
    }
    let huge = request("", "m", vec![u32::MAX; 2 << 20]);
    let status = client.score(huge).await.expect_err("10 MiB");
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
}

/// A score request whose model is no text.
#[derive(Clone, PartialEq, prost::Message)]
struct NoText {
    #[prost(bytes = "vec", tag = "2")]
    model: Vec<u8>,
}

#[tokio::test]
async fn a_message_that_is_no_protobuf_is_the_callers_mistake() {
    let world = World::new().await;
    let mut client = tonic::client::Grpc::new(serve(&world).await);
    let broken = || NoText { model: vec![0xff] };
    client.ready().await.expect("connected");
    let codec = tonic_prost::ProstCodec::<NoText, ScoreResponse>::default();
    let path = "/kvatlas.v1.Scorer/Score".parse().expect("a path");
    let unary = client.unary(Request::new(broken()), path, codec).await;
    let status = unary.expect_err("unreadable");
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    client.ready().await.expect("connected");
    let codec = tonic_prost::ProstCodec::<NoText, ScoreResponse>::default();
    let path = "/kvatlas.v1.Scorer/ScoreStream".parse().expect("a path");
    let requests = Request::new(tokio_stream::iter([broken()]));
    let answers = client.streaming(requests, path, codec).await;
    let mut answers = answers.expect("a stream").into_inner();
    let status = answers.message().await.expect_err("unreadable");
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
}

#[tokio::test]
async fn a_callers_deadline_is_kept() {
    let limits = ScorerLimits {
        tokenizing: 0,
        ..ScorerLimits::default()
    };
    let model = ModelConfig {
        name: "m".to_owned(),
        source: Some(recorded_model()),
        ..ModelConfig::default()
    };
    let world = World::with(
        ModelsConfig {
            models: vec![model],
        },
        limits,
    )
    .await;
    let mut client = ScorerClient::new(serve(&world).await);
    let input = Some(Input::Text("hello".to_owned()));
    let mut request = Request::new(ScoreRequest {
        model: "m".to_owned(),
        input,
        ..Default::default()
    });
    request.set_timeout(Duration::from_millis(30));
    let status = client.score(request).await.expect_err("never tokenised");
    assert!(
        matches!(status.code(), Code::DeadlineExceeded | Code::Cancelled),
        "{status}"
    );
}

#[tokio::test]
async fn a_stream_answers_each_request_and_survives_bad_ones() {
    let world = world_with_one().await;
    let mut client = ScorerClient::new(serve(&world).await);
    let requests = vec![
        request("good", "m", tokens(1, 13)),
        request("unknown", "nobody", vec![1]),
        request("", "m", vec![1]),
        request("empty", "m", vec![]),
        request("good too", "m", tokens(1, 5)),
    ];
    let answers = client
        .score_stream(futures::stream::iter(requests))
        .await
        .expect("open");
    let mut answers: Vec<_> = answers
        .into_inner()
        .map(|a| a.expect("no broken stream"))
        .collect()
        .await;
    answers.sort_by(|a, b| a.request_id.cmp(&b.request_id));
    let seen: Vec<_> = answers
        .iter()
        .map(|a| {
            let code = a.error.as_ref().map_or(0, |error| error.code);
            let reusable = a.endpoints.first().map_or(0, |e| e.reusable_tokens);
            (a.request_id.as_str(), code, reusable)
        })
        .collect();
    let invalid = Code::InvalidArgument as i32;
    let expected = [
        ("", invalid, 0),
        ("empty", invalid, 0),
        ("good", 0, 12),
        ("good too", 0, 4),
        ("unknown", Code::NotFound as i32, 0),
    ];
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn streams_are_bounded() {
    let limits = ScorerLimits {
        streams: 1,
        ..ScorerLimits::default()
    };
    let world = World::with(ModelsConfig::default(), limits).await;
    let channel = serve(&world).await;
    let mut client = IndexClient::new(channel.clone());
    let first = client
        .watch(WatchRequest::default())
        .await
        .expect("one stream");
    let pending = futures::stream::pending::<ScoreRequest>();
    let status = ScorerClient::new(channel)
        .score_stream(pending)
        .await
        .expect_err("the second");
    assert_eq!(status.code(), Code::ResourceExhausted);
    drop(first);
}

#[tokio::test]
async fn llm_d_pods_are_scored_by_weighted_blocks() {
    let model = ModelConfig {
        name: "m".to_owned(),
        source: Some(recorded_model()),
        ..ModelConfig::default()
    };
    let world = World::with(
        ModelsConfig {
            models: vec![model],
        },
        ScorerLimits::default(),
    )
    .await;
    let prompt = "one two three four five six seven eight nine ten eleven twelve";
    let loaded = scorer_prompt::Model::from_directory(
        "m",
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/vllm/model").as_ref(),
        scorer_prompt::ModelOptions::default(),
    );
    let options = scorer_prompt::TokenizeOptions {
        add_special_tokens: true,
        truncate: None,
        truncate_right: false,
    };
    let ids = loaded
        .expect("recorded model")
        .tokenize(prompt, options, None)
        .expect("tokens");
    let (space, blocks) = (
        space("m", None, 4),
        u32::try_from(ids.len() / 4).expect("few"),
    );
    assert!(blocks > 2);
    let on = |medium| stored(&space, &ids, medium);
    for rank in [0, 1] {
        world
            .publish(&publisher("10.0.0.1", rank), &space, vec![on(Medium::Gpu)])
            .await;
    }
    world
        .publish(&publisher("10.0.0.2", 0), &space, vec![on(Medium::Cpu)])
        .await;
    world
        .publish(
            &publisher("10.0.0.3", 0),
            &space,
            vec![stored(&space, &[9; 8], Medium::Gpu)],
        )
        .await;
    let mut client = IndexerServiceClient::new(serve(&world).await);
    let mut ask = async |pods: &[&str]| {
        let request = GetPodScoresRequest {
            prompt: prompt.to_owned(),
            model_name: "m".to_owned(),
            pod_identifiers: pods.iter().map(|pod| (*pod).to_owned()).collect(),
        };
        let scores = client
            .get_pod_scores(request)
            .await
            .expect("ok")
            .into_inner()
            .scores;
        scores
            .into_iter()
            .map(|score| (score.pod, score.score))
            .collect::<Vec<_>>()
    };
    let (gpu, cpu) = (f64::from(blocks), 0.8 * f64::from(blocks));
    assert_eq!(
        ask(&[]).await,
        [("10.0.0.1".to_owned(), gpu), ("10.0.0.2".to_owned(), cpu)]
    );
    assert_eq!(
        ask(&["10.0.0.2:8000", "10.0.0.3"]).await,
        [("10.0.0.2:8000".to_owned(), cpu)]
    );
}
