//! Routes recorded over a real connection, and what every scorer makes of them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::common::grpc::{serve, serve_with};
use crate::common::routes::{ROUND_1, ROUND_2, chat};
use crate::common::{World, publisher, reusable, space, stored, tokens};
use indexer_store::IndexWatch;
use proto_api::v1::routes_client::RoutesClient;
use proto_api::v1::score_request::Input;
use proto_api::v1::scorer_client::ScorerClient;
use proto_api::v1::{
    Estimation, RecordRouteRequest, RemoveEndpointRequest, RouteKind, ScoreRequest, ScoreResponse,
    TokenIds, Trust,
};
use proto_api::{Failure, FailureKind, ScoreQuery};
use proto_model::{Medium, Revision};
use scorer_index::IndexLimits;
use scorer_server::{FollowSettings, ModelsConfig, Replica, Routes, ScorerLimits};
use tonic::Code;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

/// No test waits longer for what must come.
const PATIENCE: Duration = Duration::from_secs(60);

/// One engine that holds one block of the prompt, and the prompt.
async fn world_with_one() -> (World, Vec<u32>) {
    let (world, space) = (World::new().await, space("m", None, 4));
    let prompt = tokens(1, 17);
    let changes = vec![stored(&space, &prompt[..4], Medium::Gpu)];
    world
        .publish(&publisher("10.0.0.1:8000", 0), &space, changes)
        .await;
    (world, prompt)
}

fn asking(prompt: &[u32]) -> ScoreRequest {
    let ids = prompt.to_vec();
    ScoreRequest {
        model: "m".to_owned(),
        input: Some(Input::Tokens(TokenIds { ids })),
        include_route_keys: true,
        ..Default::default()
    }
}

fn route(address: &str, keys: Vec<u64>) -> RecordRouteRequest {
    RecordRouteRequest {
        address: address.to_owned(),
        kind: RouteKind::Speculative.into(),
        keys,
        lifetime_ms: 60_000,
        ..Default::default()
    }
}

async fn score(channel: &Channel, request: ScoreRequest) -> ScoreResponse {
    let mut client = ScorerClient::new(channel.clone());
    client.score(request).await.expect("an answer").into_inner()
}

async fn keys(channel: &Channel, prompt: &[u32]) -> Vec<u64> {
    let mut lists = score(channel, asking(prompt)).await.route_keys;
    assert_eq!(lists.len(), 1);
    lists.remove(0).keys
}

/// `address`, reusable and speculative tokens of every listed endpoint.
fn told(answer: &ScoreResponse) -> Vec<(String, u32, u32)> {
    let endpoints = answer.endpoints.iter();
    endpoints
        .map(|of| {
            (
                of.address.clone(),
                of.reusable_tokens,
                of.speculative_tokens,
            )
        })
        .collect()
}

#[tokio::test]
async fn what_one_scorer_records_another_one_knows() {
    let (world, prompt) = world_with_one().await;
    let channel = serve(&world).await;
    let keys = keys(&channel, &prompt).await;
    let mut routes = RoutesClient::new(channel.clone());
    let recorded = routes.record(route("10.0.0.1:8000", keys.clone())).await;
    let revision = Revision(recorded.expect("recorded").into_inner().revision);

    // This scorer's own replica, and one that began to follow only now.
    world
        .scorer
        .scoring()
        .replicas()
        .first()
        .reached(revision)
        .await;
    let answer = score(&channel, asking(&prompt)).await;
    assert_eq!(told(&answer), [("10.0.0.1:8000".to_owned(), 16, 12)]);
    let other = Replica::new(IndexLimits::default(), FollowSettings::default());
    let watch: Arc<dyn IndexWatch> = Arc::clone(&world.store) as _;
    tokio::spawn(Arc::clone(&other).follow(watch, world.stop.clone()));
    other.reached(revision).await;
    let held = other.content().index().stats().memberships;

    // The same again changes nothing but its age.
    let again = routes.record(route("10.0.0.1:8000", keys)).await;
    let revision = Revision(again.expect("recorded").into_inner().revision);
    other.reached(revision).await;
    assert_eq!(other.content().index().stats().memberships, held);
    assert_eq!(held, 1 + 4);
}

#[tokio::test]
async fn a_speculative_route_is_over_when_its_time_is() {
    let (world, prompt) = world_with_one().await;
    let channel = serve(&world).await;
    let keys = keys(&channel, &prompt).await;
    let mut short = route("10.0.0.1:8000", keys);
    short.lifetime_ms = 1;
    let mut routes = RoutesClient::new(channel.clone());
    let revision = routes
        .record(short)
        .await
        .expect("recorded")
        .into_inner()
        .revision;
    let replica = world.scorer.scoring().replicas().first();
    replica.reached(Revision(revision)).await;
    let start = Instant::now();
    loop {
        let answer = score(&channel, asking(&prompt)).await;
        if told(&answer) == [("10.0.0.1:8000".to_owned(), 4, 0)] {
            break;
        }
        assert!(start.elapsed() < PATIENCE, "{:?}", told(&answer));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_appended_when_nothing_can_expire() {
    let (world, _) = world_with_one().await;
    let writers = vec![Arc::clone(&world.store) as _];
    let (routes, writing) = Routes::new(&world.scorer, "default".to_owned(), writers);
    tokio::spawn(writing.run(world.stop.clone()));
    let estimated = RecordRouteRequest {
        kind: RouteKind::Estimated.into(),
        lifetime_ms: 0,
        ..route("10.0.0.9:8000", vec![1, 2])
    };
    let recorded = routes.record(estimated.try_into(), None).await;
    assert_eq!(recorded, Ok(world.store.revision()));
    let removed = RemoveEndpointRequest {
        address: "10.0.0.9:8000".to_owned(),
        ..Default::default()
    };
    let removed = routes.remove(removed.try_into(), None).await;
    assert_eq!(removed, Ok(world.store.revision()));
    let replica = world.scorer.scoring().replicas().first();
    replica.reached(world.store.revision()).await;
    let before = world.store.revision();
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(world.store.revision(), before);
}

#[tokio::test(start_paused = true)]
async fn estimates_expire_too() {
    let limits = ScorerLimits {
        estimated_lifetime: Duration::from_millis(1),
        ..ScorerLimits::default()
    };
    let world = World::with(ModelsConfig::default(), limits).await;
    let writers = vec![Arc::clone(&world.store) as _];
    let (routes, writing) = Routes::new(&world.scorer, "default".to_owned(), writers);
    tokio::spawn(writing.run(world.stop.clone()));
    let estimated = RecordRouteRequest {
        kind: RouteKind::Estimated.into(),
        lifetime_ms: 0,
        ..route("10.0.0.9:8000", vec![1, 2])
    };
    let recorded = routes.record(estimated.try_into(), None).await;
    let replica = world.scorer.scoring().replicas().first();
    replica.reached(recorded.expect("recorded")).await;
    let memberships = || replica.content().index().stats().memberships;
    assert_eq!(memberships(), 2);
    let start = Instant::now();
    while memberships() > 0 {
        assert!(start.elapsed() < PATIENCE, "never expires");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

#[tokio::test]
async fn no_single_record_takes_an_endpoints_estimates_away() {
    let (world, _) = world_with_one().await;
    let channel = serve(&world).await;
    let mut routes = RoutesClient::new(channel);
    let mut last = 0;
    for (keys, capacity) in [((1..=1024).collect(), 0), (vec![1], 1)] {
        let estimated = RecordRouteRequest {
            kind: RouteKind::Estimated.into(),
            lifetime_ms: 0,
            capacity,
            ..route("10.0.0.9:8000", keys)
        };
        let recorded = routes.record(estimated).await.expect("recorded");
        last = recorded.into_inner().revision;
    }
    let replica = world.scorer.scoring().replicas().first();
    replica.reached(Revision(last)).await;
    let held = replica.content().index().stats().memberships;
    assert_eq!(held, 1 + 1024);
}

#[tokio::test]
async fn an_endpoint_that_is_removed_holds_nothing_any_more() {
    let (world, prompt) = world_with_one().await;
    let channel = serve(&world).await;
    let keys = keys(&channel, &prompt).await;
    let mut routes = RoutesClient::new(channel.clone());
    for address in ["10.0.0.1:8000", "10.0.0.2:8000"] {
        let recorded = routes.record(route(address, keys.clone())).await;
        recorded.expect("recorded");
    }
    let mut last = Revision(0);
    for address in ["10.0.0.1:8000", "10.0.0.2:8000"] {
        let request = RemoveEndpointRequest {
            address: address.to_owned(),
            ..Default::default()
        };
        let removed = routes.remove_endpoint(request).await.expect("removed");
        last = Revision(removed.into_inner().revision);
    }
    let replica = world.scorer.scoring().replicas().first();
    replica.reached(last).await;
    assert!(replica.content().directory().is_empty());
    assert_eq!(replica.content().index().stats().memberships, 0);
}

#[tokio::test]
async fn the_second_round_goes_where_the_first_went() {
    let world = World::new().await;
    let channel = serve(&world).await;
    let estimating = |body: String| ScoreRequest {
        input: Some(Input::Chat(body.into())),
        estimation: Some(Estimation::default()),
        include_route_keys: true,
        candidates: vec!["10.0.0.1:8000".to_owned(), "10.0.0.2:8000".to_owned()],
        ..Default::default()
    };
    let first = score(&channel, estimating(chat(ROUND_1))).await;
    assert_eq!(told(&first), []);
    let recorded = RecordRouteRequest {
        kind: RouteKind::Estimated.into(),
        lifetime_ms: 0,
        ..route("10.0.0.2:8000", first.route_keys[0].keys.clone())
    };
    let mut routes = RoutesClient::new(channel.clone());
    let revision = routes
        .record(recorded)
        .await
        .expect("recorded")
        .into_inner()
        .revision;
    let replica = world.scorer.scoring().replicas().first();
    replica.reached(Revision(revision)).await;
    let second = score(&channel, estimating(chat(ROUND_2))).await;
    let best = &second.endpoints[0];
    assert_eq!(
        (&best.address[..], best.trust()),
        ("10.0.0.2:8000", Trust::Estimated)
    );
    assert!(best.score > 0.5, "the documented threshold; {}", best.score);
    assert_eq!(second.unknown_candidates, ["10.0.0.1:8000"]);
}

#[tokio::test]
async fn wrong_requests_name_their_field() {
    let world = World::new().await;
    let before = world.store.revision();
    let mut routes = RoutesClient::new(serve(&world).await);
    let cases = [
        ("address", route("", vec![1])),
        ("keys", route("10.0.0.1", vec![])),
        (
            "lifetime_ms",
            RecordRouteRequest {
                lifetime_ms: 0,
                ..route("10.0.0.1", vec![1])
            },
        ),
        (
            "kind",
            RecordRouteRequest {
                kind: 0,
                ..route("10.0.0.1", vec![1])
            },
        ),
    ];
    for (field, request) in cases {
        let status = routes.record(request).await.expect_err(field);
        let failure = Failure::try_from(&status).expect("ours");
        assert_eq!(failure.kind, FailureKind::InvalidArgument, "{failure}");
        assert_eq!(failure.field.as_deref(), Some(field));
    }
    let nowhere = RemoveEndpointRequest::default();
    let status = routes
        .remove_endpoint(nowhere)
        .await
        .expect_err("no address");
    assert_eq!(status.code(), Code::InvalidArgument);
    let huge = route("10.0.0.1", vec![7; 1 << 18]);
    let status = routes.record(huge).await.expect_err("2 MiB");
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    assert_eq!(world.store.revision(), before);
}

#[tokio::test]
async fn a_scorer_that_takes_no_routes_says_so() {
    let world = World::new().await;
    let refusing = Routes::refusing(&world.scorer);
    let mut routes = RoutesClient::new(serve_with(&world, refusing).await);
    let status = routes
        .record(route("10.0.0.1", vec![1]))
        .await
        .expect_err("refused");
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert!(status.message().contains("accept_routes"), "{status}");
}

#[tokio::test]
async fn health_answers_for_the_service() {
    let world = World::new().await;
    let mut health = HealthClient::new(serve(&world).await);
    let start = Instant::now();
    loop {
        let service = "kvatlas.v1.Routes".to_owned();
        let said = health
            .check(HealthCheckRequest { service })
            .await
            .expect("known");
        if said.into_inner().status() == ServingStatus::Serving {
            break;
        }
        assert!(start.elapsed() < PATIENCE, "never serving");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Engines announce themselves by pod IP, gateways route to `ip:port`: a route is
/// recorded under the name that events have, whichever the caller knows.
#[tokio::test]
async fn routes_are_recorded_under_the_name_that_events_have() {
    let (world, space) = (World::new().await, space("m", None, 4));
    let prompt = tokens(1, 17);
    let by_host = publisher("10.0.0.1", 1);
    let by_port = publisher("10.0.0.2:8000", 0);
    for engine in [&by_host, &by_port] {
        let changes = vec![stored(&space, &prompt[..4], Medium::Gpu)];
        world.publish(engine, &space, changes).await;
    }
    let channel = serve(&world).await;
    let keys = keys(&channel, &prompt).await;
    let mut routes = RoutesClient::new(channel.clone());
    let mut last = 0;
    for (address, rank) in [("10.0.0.1:8000", 1), ("10.0.0.2", 0), ("10.0.0.1:8000", 0)] {
        let request = RecordRouteRequest {
            rank,
            ..route(address, keys.clone())
        };
        last = routes
            .record(request)
            .await
            .expect("recorded")
            .into_inner()
            .revision;
    }
    let replica = world.scorer.scoring().replicas().first();
    replica.reached(Revision(last)).await;
    let query = ScoreQuery::try_from(asking(&prompt)).unwrap_or_else(|error| panic!("{error}"));
    let answer = world.score(query).await.expect("an answer");
    let expected = [
        ("10.0.0.1#1", 16),
        ("10.0.0.1:8000#0", 16),
        ("10.0.0.2:8000#0", 16),
    ];
    let mut listed = reusable(&answer);
    listed.sort();
    // Rank 0 of the first has told nothing: its route stays under the given name.
    assert_eq!(
        listed,
        expected.map(|(name, tokens)| (name.to_owned(), tokens))
    );
}
