//! Joining, leaving, losing, repeating: the index equals what the engine holds,
//! or says that it cannot know.

use proto_model::Trust;
use serde_json::json;

use crate::engine::{Engine, Peers};
use crate::support::{Rig, bound, connected, eventually, store};

/// Opens an engine that binds, with a replay socket if a form is given.
async fn open(peers: &mut Peers, engine: &Engine, form: Option<&str>) -> (String, Option<String>) {
    let mut command = json!({
        "op": "open", "name": engine.name, "topic": engine.topic(), "bind": "tcp://127.0.0.1:*",
    });
    if let Some(form) = form {
        command["replay"] = json!("tcp://127.0.0.1:*");
        command["form"] = json!(form);
    }
    let answer = peers.call(&command).await;
    let text = |key: &str| answer[key].as_str().map(str::to_owned);
    (text("address").expect("bound"), text("replay"))
}

async fn await_subscriber(peers: &mut Peers, engine: &Engine) {
    peers
        .call(&json!({ "op": "await_subscriber", "name": engine.name }))
        .await;
}

#[tokio::test]
async fn a_late_joiner_without_replay_is_partial_and_true() {
    let mut peers = Peers::start().await;
    let mut engine = Engine::new("late", 1);
    let (address, _) = open(&mut peers, &engine, None).await;
    engine.store(&mut peers, true).await;
    engine.store(&mut peers, true).await;
    let rig = Rig::start(connected(&engine, &address, None)).await;
    await_subscriber(&mut peers, &engine).await;
    engine.held.clear();
    engine.store(&mut peers, true).await;
    rig.expect_not_whole(&engine).await;
}

#[tokio::test]
async fn a_late_joiner_with_replay_knows_everything_though_the_engine_is_idle() {
    for form in ["old", "new"] {
        let mut peers = Peers::start().await;
        let mut engine = Engine::new("late", 1);
        let (address, replay) = open(&mut peers, &engine, Some(form)).await;
        for _ in 0..20 {
            engine.store(&mut peers, true).await;
        }
        engine.evict(&mut peers, true).await;
        let rig = Rig::start(connected(&engine, &address, replay.as_deref())).await;
        rig.expect(&engine, Trust::Exact).await;
        await_subscriber(&mut peers, &engine).await;
        engine.store(&mut peers, true).await;
        rig.expect(&engine, Trust::Exact).await;
    }
}

#[tokio::test]
async fn dropped_messages_come_back_by_replay() {
    let mut peers = Peers::start().await;
    let mut engine = Engine::new("drops", 1);
    let (address, replay) = open(&mut peers, &engine, Some("new")).await;
    let rig = Rig::start(connected(&engine, &address, replay.as_deref())).await;
    await_subscriber(&mut peers, &engine).await;
    for round in 0..30 {
        engine.store(&mut peers, round % 3 != 1).await;
        if round % 5 == 0 {
            engine.evict(&mut peers, round % 2 == 0).await;
        }
    }
    engine.store(&mut peers, true).await;
    rig.expect(&engine, Trust::Exact).await;
    // How many replays it takes depends on how fast the engine publishes.
    assert!(rig.metric("kvatlas_ingest_replay_messages_total") > 0);
}

#[tokio::test]
async fn dropped_messages_without_replay_make_the_publisher_suspect() {
    let mut peers = Peers::start().await;
    let mut engine = Engine::new("drops", 1);
    let rig = Rig::start(bound()).await;
    let open = json!({
        "op": "open", "name": engine.name, "topic": engine.topic(), "connect": rig.address(),
    });
    peers.call(&open).await;
    await_subscriber(&mut peers, &engine).await;
    engine.store(&mut peers, true).await;
    rig.expect(&engine, Trust::Exact).await;
    engine.store(&mut peers, false).await;
    engine.store(&mut peers, true).await;
    rig.expect_cursor(&engine, Trust::Suspect).await;
    let lost = rig.ingestor.findings().list();
    assert!(
        lost.iter().any(|finding| finding.kind.as_str() == "lost"),
        "{lost:?}"
    );
}

#[tokio::test]
async fn a_killed_engine_that_comes_back_empty_is_not_mistaken_for_the_old_one() {
    let mut peers = Peers::start().await;
    let mut engine = Engine::new("killed", 1);
    let rig = Rig::start(bound()).await;
    let open = json!({
        "op": "open", "name": engine.name, "topic": engine.topic(), "connect": rig.address(),
    });
    peers.call(&open).await;
    await_subscriber(&mut peers, &engine).await;
    for _ in 0..5 {
        engine.store(&mut peers, true).await;
    }
    rig.expect(&engine, Trust::Exact).await;
    peers.kill().await;

    let mut peers = Peers::start().await;
    let mut engine = Engine::new("killed", 1000);
    peers.call(&open).await;
    await_subscriber(&mut peers, &engine).await;
    engine.store(&mut peers, true).await;
    rig.expect(&engine, Trust::Exact).await;
    assert_eq!(
        rig.metric("kvatlas_ingest_restarts_total{kind=\"state\"}"),
        1
    );
}

#[tokio::test]
async fn a_restart_whose_first_messages_nobody_heard_is_found_by_replay() {
    let mut peers = Peers::start().await;
    let mut engine = Engine::new("quiet", 1);
    let (address, replay) = open(&mut peers, &engine, Some("new")).await;
    let rig = Rig::start(connected(&engine, &address, replay.as_deref())).await;
    for _ in 0..3 {
        engine.store(&mut peers, true).await;
    }
    rig.expect(&engine, Trust::Exact).await;
    peers.kill().await;

    // Back on the same ports, idle, with fewer messages than before.
    let mut peers = Peers::start().await;
    let mut engine = Engine::new("quiet", 1000);
    let command = json!({
        "op": "open", "name": engine.name, "topic": engine.topic(), "bind": address,
        "replay": replay, "form": "new",
    });
    peers.call(&command).await;
    engine.store(&mut peers, true).await;
    rig.expect(&engine, Trust::Exact).await;
}

#[tokio::test]
async fn a_restart_with_the_clock_behind_is_found_on_the_live_stream() {
    let mut peers = Peers::start().await;
    let mut engine = Engine::new("clock", 1);
    engine.clock = Some(2_000_000_000.0);
    let rig = Rig::start(bound()).await;
    let open = json!({
        "op": "open", "name": engine.name, "topic": engine.topic(), "connect": rig.address(),
    });
    peers.call(&open).await;
    await_subscriber(&mut peers, &engine).await;
    for _ in 0..3 {
        engine.store(&mut peers, true).await;
    }
    rig.expect(&engine, Trust::Exact).await;
    peers.kill().await;

    let mut peers = Peers::start().await;
    let mut engine = Engine::new("clock", 1000);
    engine.clock = Some(1_000_000_000.0);
    peers.call(&open).await;
    await_subscriber(&mut peers, &engine).await;
    engine.store(&mut peers, true).await;
    engine.store(&mut peers, true).await;
    rig.expect(&engine, Trust::Exact).await;
    assert_eq!(
        rig.metric("kvatlas_ingest_restarts_total{kind=\"ingestor\"}"),
        1
    );
}

#[tokio::test]
async fn a_reconnect_fetches_what_was_published_meanwhile() {
    let mut peers = Peers::start().await;
    let mut engine = Engine::new("away", 1);
    let (address, replay) = open(&mut peers, &engine, Some("old")).await;
    let first = Rig::start(connected(&engine, &address, replay.as_deref())).await;
    engine.store(&mut peers, true).await;
    first.expect(&engine, Trust::Exact).await;
    let store = std::sync::Arc::clone(&first.store);
    assert!(
        first
            .ingestor
            .shutdown(std::time::Duration::from_secs(10))
            .await
    );
    for _ in 0..10 {
        engine.store(&mut peers, true).await;
    }
    let second = Rig::on(store, connected(&engine, &address, replay.as_deref())).await;
    second.expect(&engine, Trust::Exact).await;
}

#[tokio::test]
async fn two_ingestors_on_one_store_equal_one() {
    let mut peers = Peers::start().await;
    let mut engine = Engine::new("both", 1);
    let (address, replay) = open(&mut peers, &engine, Some("new")).await;
    let store = store();
    let config = || connected(&engine, &address, replay.as_deref());
    let first = Rig::on(std::sync::Arc::clone(&store), config()).await;
    let second = Rig::on(store, config()).await;
    await_subscriber(&mut peers, &engine).await;
    for round in 0..50 {
        engine.store(&mut peers, round % 7 != 3).await;
        if round % 4 == 0 {
            engine.evict(&mut peers, true).await;
        }
    }
    engine.store(&mut peers, true).await;
    first.expect(&engine, Trust::Exact).await;
    let duplicates = || async {
        let seen = |rig: &Rig| rig.metric("kvatlas_ingest_messages_total{kind=\"duplicate\"}");
        seen(&first) + seen(&second) > 0
    };
    eventually(duplicates, || "a duplicate".to_owned()).await;
    second.expect(&engine, Trust::Exact).await;
}

#[tokio::test]
async fn a_repeated_live_message_counts_once() {
    let mut peers = Peers::start().await;
    let mut engine = Engine::new("twice", 1);
    let rig = Rig::start(bound()).await;
    let open = json!({
        "op": "open", "name": engine.name, "topic": engine.topic(), "connect": rig.address(),
    });
    peers.call(&open).await;
    await_subscriber(&mut peers, &engine).await;
    engine.store(&mut peers, true).await;
    peers
        .call(&json!({ "op": "resend", "name": engine.name }))
        .await;
    engine.evict(&mut peers, true).await;
    rig.expect(&engine, Trust::Exact).await;
}

#[tokio::test]
async fn a_replay_out_of_order_never_gives_a_wrong_index() {
    let mut peers = Peers::start().await;
    let mut engine = Engine::new("shuffled", 1);
    let (address, replay) = open(&mut peers, &engine, Some("shuffled")).await;
    for _ in 0..4 {
        engine.store(&mut peers, true).await;
    }
    let rig = Rig::start(connected(&engine, &address, replay.as_deref())).await;
    await_subscriber(&mut peers, &engine).await;
    engine.store(&mut peers, true).await;
    let known = || async { rig.cursor(&engine).is_some_and(|cursor| cursor.next == 5) };
    eventually(known, || format!("{:?}", rig.cursor(&engine))).await;
    let held: std::collections::BTreeSet<u64> = engine.held.values().copied().collect();
    let listed = rig.listed(&engine).await;
    match rig.cursor(&engine).map(|cursor| cursor.trust) {
        Some(Trust::Exact) => assert_eq!(listed, held),
        _ => assert!(listed.is_subset(&held)),
    }
}
