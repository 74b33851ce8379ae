//! Sentinel: a replica takes over.

use std::process::Command;
use std::time::Duration;

use indexer_store_redis::{RedisOptions, Topology};
use tempfile::TempDir;

use crate::make::{append, one, publisher};
use crate::reader::Reader;
use crate::support::{PATIENCE, Process, Server, ask, binary, connect, free_port, options};

/// A sentinel that watches one master.
struct Sentinel {
    port: u16,
    _process: Process,
    _directory: TempDir,
}

impl Sentinel {
    async fn of(master: &Server) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("sentinel.conf");
        let (port, watched) = (free_port(), master.port());
        let text = format!(
            "port {port}\nbind 127.0.0.1\nsentinel monitor main 127.0.0.1 {watched} 1\nsentinel down-after-milliseconds main 500\nsentinel failover-timeout main 5000\n"
        );
        std::fs::write(&file, text).expect("written");
        let mut command = Command::new(binary());
        command
            .arg(&file)
            .arg("--sentinel")
            .current_dir(directory.path());
        let process = Process::spawn(&mut command);
        let sentinel = Self {
            port,
            _process: process,
            _directory: directory,
        };
        // A failover needs a replica that the sentinel has heard of.
        sentinel.until("num-slaves", "1").await;
        sentinel
    }

    async fn until(&self, field: &str, value: &str) {
        let begun = tokio::time::Instant::now();
        loop {
            let told = ask::<Vec<String>>(self.port, &["SENTINEL", "MASTER", "main"]).await;
            let told = told.unwrap_or_default();
            let found = told.chunks(2).find(|pair| pair[0] == field);
            if found.is_some_and(|pair| pair[1] == value) {
                return;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "{field} is not {value}: {told:?}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn options(&self) -> RedisOptions {
        options(Topology::Sentinel {
            addresses: vec!["127.0.0.1:1".to_owned(), format!("127.0.0.1:{}", self.port)],
            master: "main".to_owned(),
        })
    }
}

async fn replica_of(master: &Server) -> Server {
    let port = master.port().to_string();
    let server = Server::with(&["--replicaof", "127.0.0.1", &port]).await;
    until_linked(&server).await;
    server
}

async fn until_linked(replica: &Server) {
    let begun = tokio::time::Instant::now();
    loop {
        let info: String = replica.ask(&["INFO", "replication"]).await;
        if info.contains("master_link_status:up") {
            return;
        }
        assert!(
            begun.elapsed() < PATIENCE,
            "the replica has no link: {info}"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A replica that has everything takes over: nothing is lost, nothing is doubled,
/// and readers load again under a later revision.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_has_all_goes_on() {
    let mut master = Server::start().await;
    let _replica = replica_of(&master).await;
    let sentinel = Sentinel::of(&master).await;
    let mut options = sentinel.options();
    options.replicas_min = 1;
    let (store, engine) = (connect(options).await, publisher(1, 0));
    let mut reader = Reader::new(&store);
    let mut last = append(&store, &one(&engine, 0)).await.revision;
    for sequence in 1..10 {
        last = append(&store, &one(&engine, sequence)).await.revision;
    }
    reader.follow(&store, last).await;
    master.kill();
    // Nobody would acknowledge for a replica any more.
    let mut options = sentinel.options();
    options.replicas_min = 0;
    let after = until_connected(options).await;
    let next = append(&after, &one(&engine, 10)).await;
    assert_eq!((next.outcomes[0].applied, next.outcomes[0].gap), (1, None));
    assert!(next.revision.0 > last.0 + 1, "a new epoch began");
    reader.follow(&store, next.revision).await;
    assert_eq!(reader.index.held(&engine), 11);
}

/// A replica that lacks the tail takes over: the tail is asked for again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_lacks_the_tail_asks_again() {
    let mut master = Server::start().await;
    let replica = replica_of(&master).await;
    let sentinel = Sentinel::of(&master).await;
    let (store, engine) = (connect(sentinel.options()).await, publisher(1, 0));
    let mut reader = Reader::new(&store);
    for sequence in 0..5 {
        append(&store, &one(&engine, sequence)).await;
    }
    // What the master has up to here reaches the replica.
    let have: u64 = master.ask(&["WAIT", "1", "0"]).await;
    assert_eq!(have, 1);
    let begun = tokio::time::Instant::now();
    while replica.ask::<u64>(&["XLEN", "{test}:stream"]).await < 5 {
        assert!(begun.elapsed() < PATIENCE, "the replica does not get it");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // What follows does not: the replica's process stands still.
    let pid: String = replica.ask(&["INFO", "server"]).await;
    let pid = pid
        .lines()
        .find_map(|line| line.strip_prefix("process_id:"));
    let pid = pid.expect("it has a number").trim().to_owned();
    signal(&pid, "-STOP");
    let mut last = None;
    for sequence in 5..10 {
        last = Some(append(&store, &one(&engine, sequence)).await.revision);
    }
    let last = last.expect("appended");
    reader.follow(&store, last).await;
    assert_eq!(reader.index.held(&engine), 10);
    master.kill();
    signal(&pid, "-CONT");
    let gap = append(&store, &one(&engine, 10)).await;
    let expected = gap.outcomes[0].gap.map(|gap| gap.expected);
    // Bytes that were on their way count as arrived: it may have more than five.
    let expected = expected.unwrap_or(10);
    assert!((5..=10).contains(&expected), "{expected}");
    assert!(gap.revision > last);
    let mut end = gap.revision;
    for sequence in expected..11 {
        end = append(&store, &one(&engine, sequence)).await.revision;
    }
    reader.follow(&store, end).await;
    assert_eq!(reader.index.held(&engine), 11);
}

async fn until_connected(options: RedisOptions) -> std::sync::Arc<indexer_store_redis::RedisStore> {
    let begun = tokio::time::Instant::now();
    loop {
        match indexer_store_redis::RedisStore::connect(options.clone()).await {
            Ok(store) => return store,
            Err(error) => {
                assert!(error.retryable(), "{error}");
                assert!(begun.elapsed() < PATIENCE, "no failover: {error}");
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn signal(pid: &str, signal: &str) {
    let sent = Command::new("kill").args([signal, pid]).status();
    assert!(sent.expect("kill is there").success());
}
