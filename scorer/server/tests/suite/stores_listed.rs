//! Lists, sizes, metrics, health, watches and dialects of a scorer on several
//! stores.

use std::sync::Arc;

use crate::common::http::{get, post};
use crate::common::several::Several;
use crate::common::{publisher, tokens};
use axum::Router;
use axum::http::StatusCode;
use futures::StreamExt;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use proto_api::llmd::GetPodScoresRequest;
use proto_api::llmd::indexer_service_client::IndexerServiceClient;
use proto_api::v1::WatchRequest;
use proto_api::v1::index_client::IndexClient;
use proto_api::v1::watch_response::Item;
use scorer_server::{GrpcError, GrpcSettings, InstanceNames, Routes, http_routes, serve_grpc};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

fn routes(several: &Several) -> Router {
    http_routes(Arc::clone(&several.scorer), InstanceNames::default())
}

async fn serve(several: &Several) -> Channel {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let (scorer, stores) = (Arc::clone(&several.scorer), several.stores());
    let writers = several
        .worlds
        .iter()
        .map(|world| Arc::clone(&world.store) as _);
    let (routes, writing) = Routes::new(&scorer, "default".to_owned(), writers.collect());
    tokio::spawn(writing.run(several.stop.clone()));
    let settings = GrpcSettings::default();
    let stop = several.stop.clone();
    tokio::spawn(serve_grpc(listener, scorer, stores, routes, settings, stop));
    let uri = format!("http://{address}");
    let endpoint = Endpoint::from_shared(uri).expect("valid");
    endpoint.connect().await.expect("the server listens")
}

/// Five endpoints each; two of them have one address.
async fn ten() -> Several {
    let several = Several::new([Some("east"), Some("west")]).await;
    for n in 0..5 {
        for store in 0..2 {
            let name = format!("10.0.{}.{n}", if n == 0 { 0 } else { store });
            let held = 4 * (store as u32 + 1);
            several
                .publish(store, &publisher(&name, 0), &tokens(1, held))
                .await;
        }
    }
    several
}

async fn pages(several: &Several, parameters: &str, size: usize) -> Vec<String> {
    let (routes, mut names, mut token) = (routes(several), Vec::new(), String::new());
    loop {
        let token_text = token.replace('#', "%23").replace('|', "%7C");
        let path = format!("/v1/endpoints?page_size={size}&page_token={token_text}{parameters}");
        let (status, page) = get(&routes, &path).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        let endpoints = page["endpoints"].as_array().expect("a list");
        assert!(endpoints.len() <= size);
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        let name = |of: &Value| format!("{}/{}", text(&of["cluster"]), text(&of["address"]));
        names.extend(endpoints.iter().map(name));
        token = text(&page["next_page_token"]);
        if token.is_empty() {
            return names;
        }
    }
}

#[tokio::test]
async fn pages_go_on_across_stores() {
    let several = ten().await;
    let of = |cluster: &str, store: u32| {
        let name = |n: u32| format!("{cluster}/10.0.{}.{n}", if n == 0 { 0 } else { store });
        (0..5).map(name).collect::<Vec<_>>()
    };
    let expected = [of("east", 0), of("west", 1)].concat();
    for size in [1, 3, 4, 10, 1000] {
        assert_eq!(pages(&several, "", size).await, expected, "{size} a page");
    }
    assert_eq!(pages(&several, "&cluster=west", 2).await, of("west", 1));
}

#[tokio::test]
async fn a_name_that_two_stores_list_is_on_a_page_twice_and_never_lost() {
    let several = Several::new([None, None]).await;
    for store in 0..2 {
        for n in 0..3 {
            let name = publisher(&format!("10.0.0.{n}"), 0);
            several.publish(store, &name, &tokens(1, 4)).await;
        }
    }
    let expected: Vec<_> = [0, 0, 1, 1, 2, 2]
        .map(|n| format!("default/10.0.0.{n}"))
        .into();
    for size in [1, 2, 3, 5, 6] {
        assert_eq!(pages(&several, "", size).await, expected, "{size} a page");
    }
}

#[tokio::test]
async fn sizes_are_told_in_all_and_by_store() {
    let several = ten().await;
    let (_, stats) = get(&routes(&several), "/v1/stats").await;
    assert_eq!(
        (&stats["publishers"], &stats["memberships"]),
        (&json!(10), &json!(15))
    );
    assert_eq!(
        (&stats["revision"], &stats["models"][0]["publishers"]),
        (&json!(0), &json!(10))
    );
    assert_eq!(
        stats["models"][0]["spaces"].as_array().map(Vec::len),
        Some(1),
        "one space"
    );
    let stores = stats["stores"].as_array().expect("a list");
    for (number, (store, cluster)) in stores.iter().zip(["east", "west"]).enumerate() {
        assert_eq!(store["cluster"], cluster);
        assert_eq!(store["revision"], several.worlds[number].store.revision().0);
        assert_eq!(store["memberships"], 5 * (number + 1));
    }
    let (_, answer) = post(
        &routes(&several),
        "/v1/score",
        json!({"model": "m", "tokens": [1]}),
    )
    .await;
    assert_eq!(answer["stores"][1]["cluster"], "west");
}

#[tokio::test]
async fn metrics_have_a_line_per_store() {
    let several = ten().await;
    let mut registry = Registry::default();
    several
        .metrics
        .register(&mut registry, several.replicas.clone());
    let mut text = String::new();
    encode(&mut text, &registry).expect("encodes");
    let revision = several.worlds[1].store.revision().0;
    for line in [
        r#"kvatlas_scorer_memberships{cluster="east"} 5"#,
        r#"kvatlas_scorer_memberships{cluster="west"} 10"#,
        &format!(r#"kvatlas_scorer_revision{{cluster="west"}} {revision}"#),
        r#"kvatlas_scorer_loaded{cluster="east"} 1"#,
        r#"kvatlas_scorer_followed{cluster="east"} 1"#,
        r#"kvatlas_scorer_store_went_back{cluster="west"} 0"#,
        r#"kvatlas_scorer_snapshots_refused_total{cluster="west"} 0"#,
    ] {
        assert!(
            text.lines().any(|seen| seen == line),
            "{line} not in\n{text}"
        );
    }
}

#[tokio::test]
async fn health_waits_for_every_store_and_outlives_them() {
    let several = Several::unfollowed([Some("east"), Some("west")]).await;
    let mut client = HealthClient::new(serve(&several).await);
    let watched = HealthCheckRequest::default();
    let mut states = client
        .watch(watched.clone())
        .await
        .expect("known")
        .into_inner();
    let mut next = async || states.next().await.expect("goes on").expect("ok").status();
    while next().await != ServingStatus::NotServing {}
    several.follow(0);
    several
        .replicas
        .first()
        .reached(proto_model::Revision(0))
        .await;
    let status = client
        .check(watched.clone())
        .await
        .expect("known")
        .into_inner()
        .status();
    assert_eq!(status, ServingStatus::NotServing, "one of two is loaded");
    several.follow(1);
    while next().await != ServingStatus::Serving {}
    several.worlds[0].store.close().await;
    while several.replicas.first().state() != proto_api::ReplicaState::Stale {
        tokio::task::yield_now().await;
    }
    let status = client
        .check(watched)
        .await
        .expect("known")
        .into_inner()
        .status();
    assert_eq!(status, ServingStatus::Serving, "answers stay right");
    several.scorer.turn_away();
    while next().await != ServingStatus::NotServing {}
}

#[tokio::test]
async fn a_watch_says_which_store_it_means() {
    let several = ten().await;
    let mut client = IndexClient::new(serve(&several).await);
    let refused = client
        .watch(WatchRequest::default())
        .await
        .expect_err("which?");
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().contains("east, west"), "{refused}");
    let of = |cluster: &str| WatchRequest {
        cluster: Some(cluster.to_owned()),
        ..WatchRequest::default()
    };
    let refused = client.watch(of("north")).await.expect_err("nobody");
    assert_eq!(refused.code(), Code::NotFound);
    let mut items = client.watch(of("west")).await.expect("open").into_inner();
    let revision = loop {
        let item = items.next().await.expect("goes on").expect("ok").item;
        if let Some(Item::SnapshotEnd(end)) = item {
            break end.revision;
        }
    };
    assert_eq!(revision, several.worlds[1].store.revision().0);
}

#[tokio::test]
async fn every_replica_needs_its_store() {
    let several = Several::new([Some("east"), Some("west")]).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let (scorer, mut stores) = (Arc::clone(&several.scorer), several.stores());
    stores.pop();
    let (settings, stop) = (GrpcSettings::default(), several.stop.clone());
    let routes = Routes::refusing(&scorer);
    let served = serve_grpc(listener, scorer, stores, routes, settings, stop).await;
    assert!(
        matches!(
            served,
            Err(GrpcError::Stores {
                stores: 1,
                replicas: 2
            })
        ),
        "{served:?}"
    );
}

#[tokio::test]
async fn dialects_have_an_instance_per_engine_and_groups_by_label() {
    let several = ten().await;
    let routes = routes(&several);
    let body = json!({"model": "m", "token_ids": tokens(1, 9), "block_size": 4});
    let (_, all) = post(&routes, "/query", body.clone()).await;
    let all = &all["default"];
    assert_eq!(all.as_object().map(|of| of.len()), Some(10));
    assert_eq!(all["east/10.0.0.0"]["GPU"], 4, "an address of two clusters");
    assert_eq!(all["west/10.0.0.0"]["GPU"], 8);
    assert_eq!(all["10.0.1.3"]["GPU"], 8, "an address of one");
    let with = |field: &str, value: &str| {
        let mut body = body.clone();
        body[field] = json!(value);
        body
    };
    let (_, west) = post(&routes, "/query", with("tenant_id", "west")).await;
    assert_eq!(west["west"].as_object().map(|of| of.len()), Some(5));
    for (id, instances) in [
        ("10.0.0.0", 2),
        ("west/10.0.0.0", 1),
        ("10.0.1.3", 1),
        ("x", 0),
    ] {
        let (_, one) = post(&routes, "/query", with("instance_id", id)).await;
        assert_eq!(
            one["default"].as_object().map(|of| of.len()),
            Some(instances),
            "{id}"
        );
    }
    let dynamo = json!({"model_name": "m", "token_ids": tokens(1, 9), "routing_group": "east"});
    let (_, east) = post(&routes, "/query", dynamo).await;
    assert_eq!(east["scores"].as_object().map(|of| of.len()), Some(5));
    assert_eq!(east["instances"]["east/10.0.0.0"]["gpu"], 4);
    let (_, workers) = get(&routes, "/workers?routing_group=west").await;
    let ids: Vec<_> = workers
        .as_array()
        .expect("a list")
        .iter()
        .map(|of| &of["instance_id"])
        .collect();
    let expected = [
        "west/10.0.0.0",
        "10.0.1.1",
        "10.0.1.2",
        "10.0.1.3",
        "10.0.1.4",
    ];
    assert_eq!(
        ids,
        expected
            .iter()
            .map(|id| json!(id))
            .collect::<Vec<_>>()
            .iter()
            .collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn llm_d_asks_all_stores() {
    let several = ten().await;
    let mut client = IndexerServiceClient::new(serve(&several).await);
    let request = GetPodScoresRequest {
        prompt: "hello".to_owned(),
        model_name: "m".to_owned(),
        pod_identifiers: Vec::new(),
    };
    // Known to both stores, but without a tokenizer here.
    let refused = client
        .get_pod_scores(request.clone())
        .await
        .expect_err("no tokenizer");
    assert_eq!(refused.code(), Code::FailedPrecondition);
    let unknown = GetPodScoresRequest {
        model_name: "x".to_owned(),
        ..request
    };
    let refused = client.get_pod_scores(unknown).await.expect_err("unknown");
    assert_eq!(refused.code(), Code::NotFound);
}
