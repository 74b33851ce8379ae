//! Configurations that a role cannot run with.

use crate::running::{run, text};

fn check(role: &str, settings: &[&str]) -> String {
    let sets = settings.iter().flat_map(|setting| ["--set", setting]);
    let args: Vec<&str> = ["config", "check", "--role", role]
        .into_iter()
        .chain(sets)
        .collect();
    let output = run(&args);
    if output.status.success() {
        return String::new();
    }
    assert_eq!(output.status.code(), Some(2));
    text(&output.stderr)
}

#[track_caller]
fn says(said: &str, parts: &[&str]) {
    for part in parts {
        assert!(said.contains(part), "no {part:?} in {said}");
    }
}

#[test]
fn each_role_says_what_it_lacks_and_how_to_mend_it() {
    for role in ["ingestor", "scorer"] {
        says(
            &check(role, &[]),
            &[
                "store.backend",
                "embedded",
                "store.addresses",
                "store.redis.urls",
            ],
        );
        says(
            &check(role, &["store.backend=raft"]),
            &["store.addresses", "store-1:7400"],
        );
        says(
            &check(role, &["store.backend=redis"]),
            &["store.redis.urls", "redis://"],
        );
        says(
            &check(role, &["store.addresses=[a:1]"]),
            &["store.addresses", "store.backend: raft"],
        );
        assert_eq!(
            check(role, &["store.backend=raft", "store.addresses=[a:1]"]),
            ""
        );
    }
    says(
        &check("store", &[]),
        &["2 mistakes", "store.node_id", "store.advertise"],
    );
    assert_eq!(check("standalone", &[]), "");
}

#[test]
fn all_mistakes_of_a_node_are_said_at_once() {
    let said = check(
        "store",
        &[
            "store.node_id=4",
            "store.advertise=nowhere",
            "store.peers={1: \"a:1\", x: \"b:2\"}",
            "store.http=:7400",
            "store.tls.key=/nowhere/key.pem",
            "store.raft.heartbeat_interval=1s",
        ],
    );
    says(
        &said,
        &[
            "store.advertise",
            "no node 4",
            "\"x\"",
            "store.http",
            "store.tls.key",
            "No such file",
            "store.tls.ca",
            "store.raft.election_timeout_min",
        ],
    );
}

#[test]
fn a_scorers_stores_each_need_a_name_and_a_place() {
    let said = check(
        "scorer",
        &[
            "scorer.stores=[{backend: raft, addresses: [a:1]}, {cluster: b}, {cluster: b, backend: redis}]",
        ],
    );
    says(
        &said,
        &[
            "scorer.stores.0.cluster",
            "scorer.stores.1.backend",
            "scorer.stores.2.cluster",
            "\"b\" twice",
            "scorer.stores.2.redis.urls",
        ],
    );
    let right = "scorer.stores=[{cluster: a, backend: raft, addresses: [a:1]}, {cluster: b, backend: redis, redis: {urls: [\"redis://r:1\"]}}]";
    assert_eq!(check("scorer", &[right]), "");
}

#[test]
fn a_role_that_cannot_start_ends_at_once() {
    let output = run(&["ingestor"]);
    assert_eq!(output.status.code(), Some(2));
    says(&text(&output.stderr), &["store.backend"]);
    let output = run(&["store", "--node-id", "1"]);
    assert_eq!(output.status.code(), Some(2));
    says(&text(&output.stderr), &["store.advertise"]);
}

#[test]
fn the_examples_in_deploy_are_right() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/config");
    for (file, roles) in [
        ("raft.yaml", &["store", "ingestor", "scorer"][..]),
        ("redis.yaml", &["ingestor", "scorer"]),
        ("two-clusters.yaml", &["scorer"]),
        ("epp.yaml", &["epp"]),
    ] {
        let path = format!("{folder}/{file}");
        for role in roles {
            let node = ["--set", "store.node_id=1"];
            let args = ["config", "check", "--config", &path, "--role", role];
            let output = run(&[&args[..], &node].concat());
            assert!(
                output.status.success(),
                "{file} as {role}: {}",
                text(&output.stderr)
            );
        }
    }
}
