//! The index, health and reflection services over a real connection.

use crate::common::grpc::serve;
use crate::common::{World, publisher, space, stored, tokens};
use futures::StreamExt;
use proto_api::v1::index_client::IndexClient;
use proto_api::v1::watch_response::Item;
use proto_api::v1::{ListEndpointsRequest, StatsRequest, WatchRequest};
use proto_model::{Medium, Revision};
use scorer_server::{ModelsConfig, ScorerLimits};
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

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
        .watch(WatchRequest::default())
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
