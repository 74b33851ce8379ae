//! Which store, and which endpoint of it, a route is for.

use std::sync::Arc;

use crate::common::several::{Several, named};
use crate::common::{publisher, tokens};
use proto_api::v1::{RecordRouteRequest, RemoveEndpointRequest, RouteKind};
use proto_api::{Failure, FailureKind, Input, ScoreQuery};
use proto_model::Revision;
use scorer_server::Routes;

fn routes(several: &Several, own: &str) -> Arc<Routes> {
    let writers = several
        .worlds
        .iter()
        .map(|world| Arc::clone(&world.store) as _);
    let (routes, writing) = Routes::new(&several.scorer, own.to_owned(), writers.collect());
    tokio::spawn(writing.run(several.stop.clone()));
    routes
}

async fn record(
    routes: &Routes,
    cluster: &str,
    address: &str,
    keys: &[u64],
) -> Result<Revision, Failure> {
    let request = RecordRouteRequest {
        cluster: cluster.to_owned(),
        address: address.to_owned(),
        kind: RouteKind::Speculative.into(),
        keys: keys.to_vec(),
        lifetime_ms: 60_000,
        ..Default::default()
    };
    routes.record(request.try_into(), None).await
}

async fn remove(routes: &Routes, cluster: &str, address: &str) -> Result<Revision, Failure> {
    let request = RemoveEndpointRequest {
        cluster: cluster.to_owned(),
        address: address.to_owned(),
        rank: None,
    };
    routes.remove(request.try_into(), None).await
}

async fn keys(several: &Several, prompt: &[u32]) -> Vec<u64> {
    let query = ScoreQuery {
        include_route_keys: true,
        ..ScoreQuery::new("m", Input::Tokens(prompt.to_vec()))
    };
    let answer = several.ask(query).await.expect("an answer");
    let list = answer.route_keys.first().expect("one kind of blocks");
    list.keys.iter().map(|key| key.0).collect()
}

async fn reached(several: &Several, store: usize) {
    let replica = several.replicas.iter().nth(store).expect("one of two");
    replica
        .reached(several.worlds[store].store.revision())
        .await;
}

/// Engines call their cluster `default`, whatever their store is listed as.
#[tokio::test]
async fn a_labelled_store_is_written_by_its_engines_own_names() {
    let several = Several::new([Some("east"), Some("west")]).await;
    let prompt = tokens(1, 13);
    for store in [0, 1] {
        let engine = publisher("default/10.0.0.1", 0);
        several.publish(store, &engine, &prompt[..4]).await;
    }
    let routes = routes(&several, "east");
    let keys = keys(&several, &prompt).await;
    record(&routes, "west", "10.0.0.1:8000", &keys)
        .await
        .expect("recorded");
    record(&routes, "west", "10.0.0.2:8000", &keys)
        .await
        .expect("recorded");
    // Nobody named: the scorer's own.
    record(&routes, "", "10.0.0.3:8000", &keys)
        .await
        .expect("recorded");
    for store in [0, 1] {
        reached(&several, store).await;
    }
    let mut listed = named(&several.score(&prompt, &[]).await);
    listed.sort();
    let expected = [
        ("east/10.0.0.1#0", 4),
        ("east/10.0.0.3:8000#0", 12),
        ("west/10.0.0.1#0", 12),
        ("west/10.0.0.2:8000#0", 12),
    ];
    assert_eq!(
        listed,
        expected.map(|(name, tokens)| (name.to_owned(), tokens))
    );
    // Under the engines' own cluster: events that come later are the same engine's.
    let engine = publisher("default/10.0.0.2:8000", 0);
    several.publish(1, &engine, &prompt).await;
    let answer = several.score(&prompt, &["west/10.0.0.2:8000"]).await;
    assert_eq!(named(&answer), [("west/10.0.0.2:8000#0".to_owned(), 12)]);
    assert_eq!(answer.endpoints[0].speculative_tokens, 0);
    assert_eq!(answer.warnings, Vec::<String>::new());
}

#[tokio::test]
async fn a_cluster_that_is_not_followed_is_refused_with_those_that_are() {
    let several = Several::new([Some("east"), Some("west")]).await;
    let routes = routes(&several, "home");
    for cluster in ["north", ""] {
        let failure = record(&routes, cluster, "10.0.0.1", &[1])
            .await
            .expect_err("unknown");
        assert_eq!(failure.kind, FailureKind::InvalidArgument);
        assert_eq!(failure.field.as_deref(), Some("cluster"));
        assert!(failure.message.contains("east, west"), "{failure}");
    }
}

/// Before an engine has told anything, its own cluster is not known, and a route
/// may be listed beside it under the same name. It is one engine all the same.
#[tokio::test]
async fn a_route_from_before_the_first_event_is_the_same_engines() {
    let several = Several::new([Some("east"), Some("west")]).await;
    let prompt = tokens(1, 13);
    several
        .publish(1, &publisher("default/10.0.0.9", 0), &prompt[..4])
        .await;
    let keys = keys(&several, &prompt).await;
    let routes = routes(&several, "east");
    record(&routes, "east", "10.0.0.1", &keys)
        .await
        .expect("recorded");
    several
        .publish(0, &publisher("default/10.0.0.1", 0), &prompt[..8])
        .await;
    let answer = several.score(&prompt, &["east/10.0.0.1"]).await;
    assert_eq!(named(&answer), [("east/10.0.0.1#0".to_owned(), 12)]);
    assert_eq!(answer.endpoints[0].trust, proto_model::Trust::Exact);
    assert_eq!(answer.warnings, Vec::<String>::new());
    remove(&routes, "east", "10.0.0.1").await.expect("removed");
    reached(&several, 0).await;
    let replica = several.replicas.first();
    assert!(replica.content().directory().is_empty(), "both are gone");
}

#[tokio::test]
async fn removal_means_the_engine_however_it_is_called() {
    let several = Several::new([None, Some("west")]).await;
    let prompt = tokens(1, 13);
    for address in [
        "10.0.0.1",
        "10.0.0.2:8000",
        "10.0.0.2:8001",
        "[fd00::1]:8000",
    ] {
        let engine = publisher(&format!("default/{address}"), 0);
        several.publish(0, &engine, &prompt).await;
    }
    let keys = keys(&several, &prompt).await;
    let routes = routes(&several, "default");
    let left = async || {
        reached(&several, 0).await;
        let content = several.replicas.first().content();
        let directory = content.directory();
        let names = directory
            .publishers()
            .map(|known| known.name.endpoint.address().to_owned());
        names.collect::<Vec<_>>()
    };
    // Which of two engines at one address is meant cannot be told: neither goes.
    remove(&routes, "", "10.0.0.2").await.expect("harmless");
    assert_eq!(left().await.len(), 4);
    // A port that nobody announced, and the engine's own routes.
    record(&routes, "default", "10.0.0.1:8000", &keys)
        .await
        .expect("recorded");
    remove(&routes, "", "10.0.0.1:8000").await.expect("removed");
    remove(&routes, "", "10.0.0.2:8001").await.expect("removed");
    remove(&routes, "default", "fd00::1")
        .await
        .expect("removed");
    assert_eq!(left().await, ["10.0.0.2:8000"]);
}
