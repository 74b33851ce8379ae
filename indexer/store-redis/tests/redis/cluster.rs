//! A cluster of three nodes, and the suite on it.

use indexer_store::conformance::Setup;
use indexer_store_redis::Topology;

use crate::conformance::{On, set_up};
use crate::make::{append, one, publisher};
use crate::reader::Reader;
use crate::support::{PATIENCE, Server, connect, free_port, options};

/// Slots per node.
const SHARE: u32 = 16_384 / 3;

async fn cluster() -> Vec<Server> {
    let mut nodes = Vec::new();
    for _ in 0..3 {
        let bus = free_port().to_string();
        let arguments = ["--cluster-enabled", "yes", "--cluster-port", &bus];
        nodes.push((Server::with(&arguments).await, bus));
    }
    for (number, (node, bus)) in (0..).zip(&nodes) {
        let first = number * SHARE;
        let last = if number == 2 {
            16_383
        } else {
            first + SHARE - 1
        };
        let (first, last) = (first.to_string(), last.to_string());
        node.ask::<()>(&["CLUSTER", "ADDSLOTSRANGE", &first, &last])
            .await;
        let port = node.port().to_string();
        let meet = ["CLUSTER", "MEET", "127.0.0.1", &port, bus];
        nodes[0].0.ask::<()>(&meet).await;
    }
    let begun = tokio::time::Instant::now();
    for (node, _) in &nodes {
        loop {
            let info: String = node.ask(&["CLUSTER", "INFO"]).await;
            if info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3") {
                break;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "the cluster comes to nothing: {info}"
            );
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
    nodes.into_iter().map(|(node, _)| node).collect()
}

fn topology(nodes: &[Server]) -> Topology {
    Topology::Cluster {
        addresses: nodes.iter().map(Server::address).collect(),
    }
}

async fn make(setup: Setup) -> On<Vec<Server>> {
    let nodes = cluster().await;
    let mut options = options(topology(&nodes));
    set_up(&mut options, setup);
    On {
        store: connect(options).await,
        _servers: nodes,
    }
}

indexer_store::conformance_suite!(make);

/// Each prefix lives on one node, whichever is asked first, and nowhere else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_prefix_is_on_the_node_of_its_slot() {
    let nodes = cluster().await;
    let engine = publisher(1, 0);
    for prefix in ["a", "b", "c", "d"] {
        for seed in &nodes {
            let mut options = options(topology(std::slice::from_ref(seed)));
            options.prefix = prefix.to_owned();
            let store = connect(options).await;
            let appended = append(&store, &one(&engine, 0)).await;
            let mut reader = Reader::new(&store);
            reader.follow(&store, appended.revision).await;
            assert_eq!(reader.index.held(&engine), 1);
        }
    }
    let mut keys = 0;
    for node in &nodes {
        let here: u64 = node.ask(&["DBSIZE"]).await;
        assert_eq!(here % 3, 0, "meta, stream and headers are together");
        keys += here;
    }
    assert_eq!(keys, 4 * 3);
}
