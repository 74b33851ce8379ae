//! A process that is killed while it writes has kept what it acknowledged.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use indexer_store::IndexWriter;

use crate::support::*;

/// Not a test of its own: the process that gets killed. It works in its current
/// directory, and writes the number of acknowledged batches after each.
#[tokio::test]
#[ignore = "started by killed_processes_keep_what_they_acknowledged"]
async fn killed_process() {
    let store = open_with(Path::new("store"), 4_000).expect("opens");
    let mut sequence = store.cursor(&publisher(0)).map_or(0, |cursor| cursor.next);
    loop {
        store.append(&batch(0, sequence)).await.expect("appended");
        sequence += 1;
        writeln!(std::io::stdout(), "acknowledged {sequence}").expect("written");
    }
}

#[tokio::test]
async fn killed_processes_keep_what_they_acknowledged() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut acknowledged = 0;
    for life in 0..6 {
        let mut child = Command::new(std::env::current_exe().expect("a path"))
            .args([
                "--exact",
                "crash::killed_process",
                "--ignored",
                "--nocapture",
            ])
            .current_dir(directory.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("started");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let numbers = lines.map_while(Result::ok).filter_map(|line| {
            line.rsplit_once("acknowledged ")
                .and_then(|(_, number)| number.parse::<u64>().ok())
        });
        let more = 20 + 13 * life;
        acknowledged = numbers.take(more).last().expect("it wrote something");
        child.kill().expect("killed");
        child.wait().expect("gone");
        let store = open(&directory.path().join("store")).expect("opens");
        let next = store.cursor(&publisher(0)).expect("known").next;
        assert!(
            next >= acknowledged,
            "{acknowledged} were acknowledged, {next} are there"
        );
        store.close().await;
    }
    assert!(acknowledged > 100);
}
