//! A disk that takes no more: nothing is acknowledged, and the node hears of it.

use std::io::Write;
use std::path::Path;

use crate::child::Process;
use crate::make::{append, entry, length, open};
use openraft::RaftLogReader;

/// Ignores the signal, so that writing beyond the limit is an error like that of a
/// full disk.
const LIMITED: [&str; 4] = [
    "sh",
    "-c",
    "trap '' XFSZ; ulimit -f 30000; exec \"$@\"",
    "sh",
];

/// Not a test of its own: appends until the disk fails.
#[tokio::test]
#[ignore = "started by a_full_disk_stops_the_store_and_loses_nothing"]
async fn filling_process() {
    let disk = open(Path::new("store"));
    let mut next = 0;
    while append(&disk, 1, next..next + 5).await.is_ok() {
        next += 5;
        writeln!(std::io::stdout(), "acknowledged {next}").expect("written");
    }
    let again = append(&disk, 1, next + 5..next + 6).await;
    assert!(again.is_err(), "nothing is taken any more");
    let reason = disk.failed().await;
    writeln!(std::io::stdout(), "failed {reason}").expect("written");
}

#[tokio::test]
async fn a_full_disk_stops_the_store_and_loses_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut process = Process::start("full::filling_process", directory.path(), &LIMITED);
    let (mut acknowledged, mut failed) = (0, None);
    for line in process.lines() {
        if let Some((_, number)) = line.rsplit_once("acknowledged ") {
            acknowledged = number.parse().expect("a number");
        }
        if let Some((_, reason)) = line.split_once("failed ") {
            failed.get_or_insert_with(|| reason.to_owned());
        }
    }
    drop(process);
    assert!(acknowledged > 50, "{acknowledged} before it was full");
    let reason = failed.expect("it heard of the failure");
    assert!(!reason.is_empty());
    let disk = open(&directory.path().join("store"));
    let found = disk.log().try_get_log_entries(..).await.expect("read");
    assert!(found.len() as u64 >= acknowledged, "{}", found.len());
    for (index, found) in (0..).zip(found) {
        assert!(found == entry(1, index, length(index)), "entry {index}");
    }
}
