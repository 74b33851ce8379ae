//! From an engine's events to a score, while processes are killed.

use super::cluster::{Cluster, engine, last_prompt, recorded, reusable, settled};
use super::role::{http, ready};
use crate::running::{parsed, run, text, wait_for};

const ENGINE: &str = "10.1.2.3:8000";

#[test]
fn a_killed_leader_costs_nothing_and_a_cold_scorer_knows_all() {
    let mut cluster = Cluster::three();
    let ingestor = cluster.ingestor(&[]);
    let scorer = cluster.scorer(&[]);
    ready(&ingestor.at("http"));
    ready(&scorer.at("http"));
    let mut publisher = engine(&[&ingestor], ENGINE, &[]);
    publisher.publish(20);
    assert_eq!(settled(&scorer, &publisher)["trust"], "exact");

    let leader = cluster.leader(None);
    cluster.nodes[leader].role.kill();
    publisher.publish(20);
    let next = cluster.leader(Some(leader));
    assert_ne!(next, leader);
    assert_eq!(settled(&scorer, &publisher)["trust"], "exact");

    cluster.nodes[leader].role.again();
    ready(&cluster.nodes[leader].role.at("http"));
    publisher.publish(recorded() - 40);
    let endpoint = settled(&scorer, &publisher);
    assert_eq!(endpoint["trust"], "exact");
    assert_eq!(endpoint["incarnation"], 1);
    let (_, whole) = last_prompt();
    assert_eq!(reusable(&scorer), whole);

    // Never told anything but the snapshot.
    let cold = cluster.scorer(&[]);
    ready(&cold.at("http"));
    assert_eq!(reusable(&cold), whole);
}

#[test]
fn all_nodes_killed_at_once_come_back_with_everything() {
    let mut cluster = Cluster::three();
    let ingestor = cluster.ingestor(&[]);
    let mut scorer = cluster.scorer(&[]);
    let mut publisher = engine(&[&ingestor], ENGINE, &[]);
    publisher.publish(30);
    let before = settled(&scorer, &publisher);
    for node in &mut cluster.nodes {
        node.role.kill();
    }
    scorer.kill();
    for node in &mut cluster.nodes {
        node.role.again();
    }
    scorer.again();
    ready(&scorer.at("http"));
    let after = settled(&scorer, &publisher);
    for field in ["incarnation", "next_sequence", "blocks", "trust"] {
        assert_eq!(before[field], after[field], "{field}");
    }
    // The same ingestor goes on.
    publisher.publish(30);
    assert_eq!(settled(&scorer, &publisher)["trust"], "exact");
}

#[test]
fn two_ingestors_of_one_engine_count_once() {
    let cluster = Cluster::three();
    let mut one = cluster.ingestor(&[]);
    let two = cluster.ingestor(&[]);
    let scorer = cluster.scorer(&[]);
    let alone = cluster.ingestor(&[]);
    let mut publisher = engine(&[&one, &two], ENGINE, &[]);
    publisher.publish(40);
    settled(&scorer, &publisher);
    one.kill();
    publisher.publish(recorded() - 40);
    let both = settled(&scorer, &publisher);
    assert_eq!(both["trust"], "exact");
    assert_eq!(both["incarnation"], 1);
    assert_eq!(both["lost"], 0);
    assert_eq!(reusable(&scorer), last_prompt().1);

    // As many blocks as one ingestor alone makes of the same messages.
    let mut reference = engine(&[&alone], "10.9.9.9:8000", &[]);
    reference.publish(recorded());
    wait_for("both engines", || {
        let list = parsed(&run(&[
            "endpoints",
            "--server",
            &scorer.at("grpc"),
            "--json",
        ]));
        let blocks = |address: &str| {
            let list = list.as_array()?;
            let found = list
                .iter()
                .find(|endpoint| endpoint["address"] == address)?;
            (found["next_sequence"] == recorded()).then(|| found["blocks"].clone())
        };
        let (ours, theirs) = (blocks(ENGINE)?, blocks("10.9.9.9:8000")?);
        assert_eq!(ours, theirs);
        Some(())
    });
}

#[test]
fn operators_commands_reach_separate_roles() {
    let cluster = Cluster::three();
    let soon = ["--set", "ingest.forget_after=2s"];
    let (one, two) = (cluster.ingestor(&soon), cluster.ingestor(&soon));
    let scorer = cluster.scorer(&[]);
    ready(&scorer.at("http"));
    let list = || {
        parsed(&run(&[
            "endpoints",
            "--server",
            &scorer.at("grpc"),
            "--json",
        ]))
    };
    let gone = || {
        wait_for("an empty list", || {
            list().as_array()?.is_empty().then_some(())
        });
    };
    let mut told = engine(&[&one, &two], ENGINE, &[]);
    told.publish(5);
    settled(&scorer, &told);
    let doctor = [
        "doctor",
        "--json",
        "--server",
        &scorer.at("grpc"),
        "--http",
        &scorer.at("http"),
        "--ingestor",
        &one.at("http"),
        "--ingestor",
        &two.at("http"),
    ];
    let found = text(&run(&doctor).stdout);
    assert!(!found.contains("no report"), "{found}");
    let refused = |endpoint: &str, at: &str, code| {
        let output = run(&["forget", endpoint, "--http", at]);
        assert_eq!(output.status.code(), Some(code), "{}", text(&output.stdout));
        text(&output.stderr)
    };
    let unknown = refused("west/10.1.2.3:8000", &one.at("http"), 1);
    assert!(unknown.contains("default/10.1.2.3:8000"), "{unknown}");
    let scorers = refused("default/10.1.2.3:8000", &scorer.at("http"), 2);
    assert!(scorers.contains("http://INGESTOR:7501"), "{scorers}");
    let forget = ["forget", "default/10.1.2.3:8000", "--http", &one.at("http")];
    let forgotten = run(&forget);
    assert!(forgotten.status.success(), "{}", text(&forgotten.stderr));
    gone();
    drop(told);

    let mut left = engine(&[&one, &two], "10.1.2.4:8000", &[]);
    left.publish(5);
    settled(&scorer, &left);
    // Its connections go, and after a while so does what it held.
    drop(left);
    gone();
}

#[test]
fn an_ingestor_without_its_store_is_alive_and_not_ready() {
    let mut cluster = Cluster::three();
    let ingestor = cluster.ingestor(&[]);
    let url = ingestor.at("http");
    ready(&url);
    for node in &mut cluster.nodes {
        node.role.kill();
    }
    let said = wait_for("not ready", || {
        let (status, said) = http("GET", &format!("{url}/readyz"));
        (status == 503).then_some(said)
    });
    assert!(said.contains("store"), "{said}");
    assert_eq!(http("GET", &format!("{url}/healthz")).0, 200);
    for node in &mut cluster.nodes {
        node.role.again();
    }
    ready(&url);
}
