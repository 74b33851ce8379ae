//! Making a store and changing its nodes by command.

use super::cluster::{Cluster, engine, recorded, settled};
use super::role::{free_port, http, ready};
use crate::running::{text, wait_for};

#[test]
fn a_store_is_made_grown_and_shrunk_by_commands() {
    let mut cluster = Cluster::of(Vec::new(), &[]);
    for id in 1..=3 {
        let node = cluster.node(id, free_port(), &[]);
        cluster.nodes.push(node);
    }
    let at = |cluster: &Cluster, id: usize| cluster.nodes[id - 1].address.clone();
    let first = at(&cluster, 1);
    let done = |cluster: &Cluster, at: &str, action: &[&str]| {
        let output = cluster.command(at, action);
        assert!(
            output.status.success(),
            "{action:?}: {}",
            text(&output.stderr)
        );
        text(&output.stdout)
    };
    let refused = |cluster: &Cluster, at: &str, action: &[&str], why: &str| {
        let output = cluster.command(at, action);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{action:?}: {said}");
        assert!(said.contains(why), "{action:?}: {said}");
    };
    // Nothing has begun: alive, not ready, and it says what to do.
    let url = cluster.nodes[0].role.at("http");
    let (status, said) = http("GET", &format!("{url}/readyz"));
    assert_eq!(status, 503);
    assert!(said.contains("initialise"), "{said}");

    done(&cluster, &first, &["init"]);
    ready(&url);
    refused(&cluster, &first, &["init"], "already");
    let ingestor = cluster.ingestor(&[]);
    let scorer = cluster.scorer(&[]);
    let mut publisher = engine(&[&ingestor], "10.1.2.3:8000", &[]);
    publisher.publish(20);
    settled(&scorer, &publisher);

    for id in [2, 3] {
        let node = format!("{id}={}", at(&cluster, id));
        done(&cluster, &first, &["join", "--node", &node]);
        ready(&cluster.nodes[id - 1].role.at("http"));
        let id_text = id.to_string();
        wait_for("a vote", || {
            let promoted = cluster.command(&first, &["promote", &id_text]);
            promoted.status.success().then_some(())
        });
    }
    refused(&cluster, &first, &["promote", "9"], "9");
    let table = done(&cluster, &at(&cluster, 3), &["status"]);
    assert_eq!(table.matches("127.0.0.1:").count(), 3, "{table}");
    publisher.publish(20);
    settled(&scorer, &publisher);

    // The leader itself is removed, asked at a follower.
    let leader = cluster.leader(None);
    assert_eq!(leader, 0);
    done(&cluster, &at(&cluster, 2), &["remove", "1"]);
    let next = cluster.leader(Some(0));
    assert_eq!(
        cluster.status(&at(&cluster, 2))["nodes"]
            .as_array()
            .map(Vec::len),
        Some(2)
    );
    wait_for("the removed node's word", || {
        let (status, said) = http("GET", &format!("{url}/readyz"));
        (status == 503 && said.contains("removed")).then_some(())
    });
    assert_ne!(next, 0);
    publisher.publish(recorded() - 40);
    assert_eq!(settled(&scorer, &publisher)["trust"], "exact");
}

#[test]
fn a_command_says_that_no_node_answers() {
    let output = crate::running::run(&["store", "status", "--at", "127.0.0.1:1"]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        said.contains("--at") && said.contains("127.0.0.1:1"),
        "{said}"
    );
    let output = crate::running::run(&["store", "status"]);
    assert!(text(&output.stderr).contains("--at HOST:PORT"));
}
