//! The gRPC services over a real connection.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{World, publisher, recorded_model, space, stored, tokens};
use futures::StreamExt;
use proto_api::llmd::GetPodScoresRequest;
use proto_api::llmd::indexer_service_client::IndexerServiceClient;
use proto_api::v1::index_client::IndexClient;
use proto_api::v1::score_request::Input;
use proto_api::v1::scorer_client::ScorerClient;
use proto_api::v1::watch_response::Item;
use proto_api::v1::{
    ListEndpointsRequest, ReplicaState, ScoreRequest, StatsRequest, TokenIds, Trust, WatchRequest,
};
use proto_api::{Failure, FailureKind};
use proto_model::{Medium, Revision};
use scorer_server::{GrpcSettings, ModelConfig, ModelsConfig, ScorerLimits, serve_grpc};
use tokio::net::TcpListener;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

async fn serve(world: &World) -> Channel {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let (scorer, store) = (Arc::clone(&world.scorer), Arc::clone(&world.store));
    let settings = GrpcSettings::default();
    tokio::spawn(serve_grpc(
        listener,
        scorer,
        store,
        settings,
        world.stop.clone(),
    ));
    let uri = format!("http://{address}");
    Endpoint::from_shared(uri)
        .expect("valid")
        .connect()
        .await
        .expect("the server listens")
}

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
        .watch(WatchRequest { after: None })
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
        .tokenize(prompt, options)
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

#[tokio::test]
async fn the_index_lists_counts_and_streams_itself() {
    let (world, space) = (World::new().await, space("m", None, 4));
    for n in 0..5 {
        let changes = vec![stored(&space, &tokens(n, 8), Medium::Cpu)];
        world
            .publish(&publisher(&format!("10.0.0.{n}"), 0), &space, changes)
            .await;
    }
    let mut client = IndexClient::new(serve(&world).await);
    let mut listed = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListEndpointsRequest {
            page_size: 2,
            page_token,
            ..Default::default()
        };
        let page = client
            .list_endpoints(request)
            .await
            .expect("ok")
            .into_inner();
        assert!(page.endpoints.len() <= 2);
        listed.extend(
            page.endpoints
                .into_iter()
                .map(|e| (e.address, e.blocks.expect("set").cpu)),
        );
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    let expected: Vec<_> = (0..5).map(|n| (format!("10.0.0.{n}"), 2)).collect();
    assert_eq!(listed, expected);
    let bad = ListEndpointsRequest {
        page_token: "x".to_owned(),
        ..Default::default()
    };
    assert_eq!(
        client
            .list_endpoints(bad)
            .await
            .expect_err("no token")
            .code(),
        Code::InvalidArgument
    );

    let stats = client
        .stats(StatsRequest {})
        .await
        .expect("ok")
        .into_inner();
    assert_eq!(
        (stats.publishers, stats.memberships, stats.blocks),
        (5, 10, 10)
    );
    assert_eq!(stats.models[0].spaces[0].block_size, 4);
    assert_eq!(stats.models[0].spaces[0].scope, space.scope().0);

    let mut watch = client
        .watch(WatchRequest { after: None })
        .await
        .expect("open")
        .into_inner();
    let mut stored_keys = 0;
    let revision = loop {
        match watch
            .next()
            .await
            .expect("goes on")
            .expect("ok")
            .item
            .expect("known")
        {
            Item::Snapshot(piece) => stored_keys += keys_of(&piece.deltas),
            Item::SnapshotEnd(end) => break Revision(end.revision),
            _ => {}
        }
    };
    assert_eq!((stored_keys, revision), (10, world.store.revision()));
    world
        .publish(
            &publisher("10.0.0.9", 0),
            &space,
            vec![stored(&space, &tokens(9, 12), Medium::Gpu)],
        )
        .await;
    let changes = loop {
        if let Item::Changes(changes) = watch
            .next()
            .await
            .expect("goes on")
            .expect("ok")
            .item
            .expect("known")
        {
            break changes;
        }
    };
    assert_eq!(
        (keys_of(&changes.deltas), changes.revision),
        (3, world.store.revision().0)
    );
}

fn keys_of(deltas: &[proto_api::v1::Delta]) -> usize {
    let keys = |delta: &proto_api::v1::Delta| match proto_model::Delta::try_from(delta.clone()) {
        Ok(proto_model::Delta::Stored { keys, .. }) => keys.len(),
        Ok(_) => 0,
        Err(error) => panic!("{error}"),
    };
    deltas.iter().map(keys).sum()
}

#[tokio::test]
async fn health_follows_the_replica_and_the_shutdown() {
    let world = World::unfollowed(ModelsConfig::default(), ScorerLimits::default());
    let mut client = HealthClient::new(serve(&world).await);
    let watched = HealthCheckRequest {
        service: "kvatlas.v1.Scorer".to_owned(),
    };
    let mut states = client.watch(watched).await.expect("known").into_inner();
    let mut next = async || states.next().await.expect("goes on").expect("ok").status();
    while next().await != ServingStatus::NotServing {}
    world.follow();
    while next().await != ServingStatus::Serving {}
    let whole = HealthCheckRequest {
        service: String::new(),
    };
    assert_eq!(
        client
            .check(whole)
            .await
            .expect("known")
            .into_inner()
            .status(),
        ServingStatus::Serving
    );
    world.stop.cancel();
    while next().await != ServingStatus::NotServing {}
}

#[tokio::test]
async fn reflection_lists_every_service_and_its_files() {
    let world = World::new().await;
    let channel = serve(&world).await;
    let ask = |message| ServerReflectionRequest {
        host: String::new(),
        message_request: Some(message),
    };
    let requests = [
        ask(MessageRequest::ListServices(String::new())),
        ask(MessageRequest::FileContainingSymbol(
            "kvatlas.v1.Scorer".to_owned(),
        )),
        ask(MessageRequest::FileContainingSymbol(
            "indexer.v1.IndexerService".to_owned(),
        )),
    ];
    let mut client = ServerReflectionClient::new(channel.clone());
    let answers = client
        .server_reflection_info(futures::stream::iter(requests))
        .await
        .expect("open");
    let answers: Vec<_> = answers
        .into_inner()
        .map(|a| a.expect("ok").message_response)
        .collect()
        .await;
    let Some(MessageResponse::ListServicesResponse(list)) = &answers[0] else {
        panic!("a list")
    };
    let names: Vec<_> = list
        .service
        .iter()
        .map(|service| service.name.as_str())
        .collect();
    for name in [
        "grpc.health.v1.Health",
        "indexer.v1.IndexerService",
        "kvatlas.v1.Index",
        "kvatlas.v1.Scorer",
    ] {
        assert!(names.contains(&name), "{names:?}");
    }
    for answer in &answers[1..] {
        assert!(
            matches!(answer, Some(MessageResponse::FileDescriptorResponse(_))),
            "{answer:?}"
        );
    }
    use tonic_reflection::pb::v1alpha as old;
    let request = old::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(
            old::server_reflection_request::MessageRequest::ListServices(String::new()),
        ),
    };
    let mut client = old::server_reflection_client::ServerReflectionClient::new(channel);
    let answers = client
        .server_reflection_info(futures::stream::iter([request]))
        .await;
    assert!(
        answers
            .expect("v1alpha is served")
            .into_inner()
            .next()
            .await
            .expect("one")
            .is_ok()
    );
}
