//! The API server is away, slow, frozen, forgetful, or does not know or allow
//! something.

use std::time::Duration;

use crate::api_server::ApiServer;
use crate::world::{
    EXPERIMENTAL_POOLS, NAMESPACE, POLICIES, STABLE_POOLS, World, pod, policy, pool,
};

#[tokio::test]
async fn while_the_api_server_is_away_the_last_view_stays_and_is_called_stale() {
    let mut world = World::with_pods(&[("a", "10.0.0.1"), ("b", "10.0.0.2")]).await;
    let both = ["llm/a 10.0.0.1:8000", "llm/b 10.0.0.2:8000"];
    world.endpoints(&both).await;
    world.server.kill();
    let status = world.status(|status| status.stale.is_some()).await;
    assert!(status.synced);
    world.server.delete("pods", NAMESPACE, "a");
    world.server.apply(pod("c", "10.0.0.3", true, "qwen"));
    world.endpoints(&both).await;
    world.server.revive();
    world
        .endpoints(&["llm/b 10.0.0.2:8000", "llm/c 10.0.0.3:8000"])
        .await;
    world.status(|status| status.stale.is_none()).await;
    assert_eq!(world.departure().await.name, "llm/a");
}

#[tokio::test]
async fn an_api_server_that_comes_later_is_found() {
    let mut server = ApiServer::start();
    server.apply(pool("qwen", &[8000]));
    server.apply(pod("a", "10.0.0.1", true, "qwen"));
    server.kill();
    let mut world = World::follow(server, None).await;
    let status = world.status(|status| status.stale.is_some()).await;
    assert!(!status.synced);
    world.server.revive();
    world.endpoints(&["llm/a 10.0.0.1:8000"]).await;
    world
        .status(|status| status.synced && status.stale.is_none())
        .await;
}

#[tokio::test]
async fn a_watch_that_ends_goes_on_from_the_last_bookmark_without_a_list() {
    let mut world = World::with_pods(&[("a", "10.0.0.1")]).await;
    // Changes that the watch of pods does not see move its bookmarks on.
    for number in 0..50 {
        world
            .server
            .apply(policy(&format!("other-{number}"), "llama", 64));
    }
    let reached = world.server.read(|store| store.version);
    wait_for(&world, |store| {
        store.bookmarks.get("pods") >= Some(&reached)
    })
    .await;
    world.server.change(|store| store.oldest = reached);
    world.server.end_watches();
    world.server.apply(pod("b", "10.0.0.2", true, "qwen"));
    world
        .endpoints(&["llm/a 10.0.0.1:8000", "llm/b 10.0.0.2:8000"])
        .await;
    let last = world.server.read(|store| {
        let pods = store
            .watched
            .iter()
            .filter(|(resource, _)| resource == "pods");
        pods.map(|(_, version)| *version).max()
    });
    assert!(last >= Some(reached));
    assert_eq!(world.server.lists_of("pods"), 1);
}

#[tokio::test]
async fn a_watch_that_has_expired_is_listed_anew() {
    let mut world = World::with_pods(&[("a", "10.0.0.1"), ("b", "10.0.0.2")]).await;
    world.server.kill();
    world.server.delete("pods", NAMESPACE, "a");
    world.server.apply(pod("c", "10.0.0.3", true, "qwen"));
    world.server.compact();
    world.server.revive();
    world
        .endpoints(&["llm/b 10.0.0.2:8000", "llm/c 10.0.0.3:8000"])
        .await;
    assert!(world.server.lists_of("pods") > 1);
    // A watch that runs is told by an event.
    world.server.compact();
    world.server.end_watches();
    world.server.apply(pod("d", "10.0.0.4", true, "qwen"));
    world.view(|view| view.endpoints.len() == 3).await;
}

#[tokio::test]
async fn a_slow_api_server_is_waited_for() {
    let server = ApiServer::start();
    server.delay(Duration::from_millis(300));
    server.apply(pool("qwen", &[8000]));
    server.apply(pod("a", "10.0.0.1", true, "qwen"));
    let mut world = World::follow(server, None).await;
    world.endpoints(&["llm/a 10.0.0.1:8000"]).await;
    world.server.apply(pod("b", "10.0.0.2", true, "qwen"));
    world
        .endpoints(&["llm/a 10.0.0.1:8000", "llm/b 10.0.0.2:8000"])
        .await;
}

#[tokio::test]
async fn a_frozen_api_server_is_noticed_and_left_for_a_living_one() {
    let mut world = World::with_pods(&[("a", "10.0.0.1")]).await;
    world.server.freeze(true);
    let status = world.status(|status| status.stale.is_some()).await;
    let reason = status.stale.expect("it is there").reason;
    assert!(reason.contains("no answer within"), "{reason}");
    world.endpoints(&["llm/a 10.0.0.1:8000"]).await;
    world.server.freeze(false);
    world.server.apply(pod("b", "10.0.0.2", true, "qwen"));
    world
        .endpoints(&["llm/a 10.0.0.1:8000", "llm/b 10.0.0.2:8000"])
        .await;
    world.status(|status| status.stale.is_none()).await;
}

#[tokio::test]
async fn a_kind_that_is_not_installed_is_absent_and_found_when_it_is() {
    let server = ApiServer::start();
    server.install(POLICIES, false);
    server.install(EXPERIMENTAL_POOLS, false);
    server.apply(pool("qwen", &[8000]));
    let mut world = World::follow(server, None).await;
    world.view(|view| view.synced).await;
    let status = world.status(|status| status.synced).await;
    assert!(
        status.stale.is_none() && status.troubles.is_empty(),
        "{status:?}"
    );
    world.server.apply(policy("precise", "qwen", 64));
    world.server.install(POLICIES, true);
    let tracking = |view: &router_discovery::PoolView| {
        matches!(view.strategy, router_discovery::Strategy::Tracking(_))
    };
    world.view(tracking).await;
    // Removed for good: its objects go with it.
    world.server.install(POLICIES, false);
    world.view(|view| !tracking(view)).await;
}

#[tokio::test]
async fn without_any_kind_of_pool_nothing_is_synced_and_the_reason_is_told() {
    let server = ApiServer::start();
    server.install(STABLE_POOLS, false);
    server.install(EXPERIMENTAL_POOLS, false);
    server.apply(pool("qwen", &[8000]));
    server.apply(pod("a", "10.0.0.1", true, "qwen"));
    let mut world = World::follow(server, None).await;
    let status = world.status(|status| status.stale.is_some()).await;
    assert!(!status.synced);
    let reason = status.stale.expect("it is there").reason;
    assert!(reason.contains("does not know InferencePools"), "{reason}");
    world.server.install(STABLE_POOLS, true);
    world.endpoints(&["llm/a 10.0.0.1:8000"]).await;
    world
        .status(|status| status.synced && status.stale.is_none())
        .await;
}

#[tokio::test]
async fn what_is_not_allowed_is_told_with_the_grant_it_needs() {
    let server = ApiServer::start();
    server.forbid("pods", true);
    server.forbid(POLICIES, true);
    server.apply(pool("qwen", &[8000]));
    server.apply(pod("a", "10.0.0.1", true, "qwen"));
    let mut world = World::follow(server, None).await;
    let status = world
        .status(|status| status.stale.is_some() && !status.troubles.is_empty())
        .await;
    assert!(!status.synced);
    let reason = status.stale.expect("it is there").reason;
    assert!(
        reason.contains("grant get, list and watch on pods"),
        "{reason}"
    );
    assert_eq!(status.troubles[0].what, POLICIES);
    world.server.forbid("pods", false);
    // Policies cannot be read; endpoints can.
    world.endpoints(&["llm/a 10.0.0.1:8000"]).await;
    let status = world
        .status(|status| status.synced && status.stale.is_none())
        .await;
    assert_eq!(status.troubles.len(), 1);
}

/// Waits until the double has done something.
async fn wait_for(world: &World, done: impl Fn(&crate::api_server::Store) -> bool) {
    let waited = tokio::time::timeout(Duration::from_secs(90), async {
        while !world.server.read(&done) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    waited.await.expect("the double gets there");
}
