//! Killed in the middle of something large: sled writes it out in several parts
//! then, and what is there of it must not count.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use indexer_store_raft::disk::Disk;
use openraft::RaftLogReader;
use openraft::storage::{RaftLogStorage, RaftLogStorageExt};

use crate::child::Process;
use crate::make::{append, entry, id, open};
use crate::snapshot::{loaded, save, state};

const LIVES: u64 = 12;

/// Entries of a group that is larger than what sled writes at once.
const GROUP: u64 = 100;
const LENGTH: usize = 60_000;

/// Blocks of a snapshot that is larger than that too.
const BLOCKS: u64 = 100_000;

fn say(number: u64) {
    writeln!(std::io::stdout(), "acknowledged {number}").expect("written");
}

/// Waits for the first number, and a little longer, which differs between lives;
/// then kills it.
fn kill_soon(mut process: Process, life: u64) -> u64 {
    let mut lines = process.lines();
    let number = lines.find_map(|line| line.rsplit_once("acknowledged ")?.1.parse().ok());
    std::thread::sleep(Duration::from_millis(life * 29 % 97));
    process.kill();
    number.expect("it said something")
}

async fn last(disk: &Disk) -> u64 {
    let state = disk.log().get_log_state().await.expect("read");
    state.last_log_id.map_or(0, |id| id.index)
}

/// Not a test of its own: appends one large group after another.
#[tokio::test]
#[ignore = "started by a_group_that_was_cut_short_does_not_count"]
async fn appending_process() {
    let disk = open(Path::new("store"));
    let mut next = last(&disk).await + 1;
    loop {
        let entries: Vec<_> = (next..next + GROUP)
            .map(|index| entry(1, index, LENGTH))
            .collect();
        disk.log().blocking_append(entries).await.expect("appended");
        next += GROUP;
        say(next - 1);
    }
}

#[tokio::test]
async fn a_group_that_was_cut_short_does_not_count() {
    for life in 0..LIVES {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("store");
        append(&open(&path), 1, 0..1).await.expect("appended");
        let test = "kill_midway::appending_process";
        let acknowledged = kill_soon(Process::start(test, directory.path(), &[]), life);
        let disk = open(&path);
        let last = last(&disk).await;
        assert!(last >= acknowledged, "{acknowledged} acknowledged, {last}");
        let found = disk.log().try_get_log_entries(1..).await.expect("read");
        assert_eq!(found.len() as u64, last);
        let sound = (1..)
            .zip(&found)
            .all(|(at, found)| *found == entry(1, at, LENGTH));
        assert!(sound, "every entry is as it was written");
        // sled never makes those durable.
        let blobs = std::fs::read_dir(path.join("sled/blobs")).expect("listed");
        assert_eq!(blobs.count(), 0, "no page is too large for the log");
    }
}

/// Not a test of its own: saves one snapshot after another.
#[tokio::test]
#[ignore = "started by a_snapshot_that_was_cut_short_does_not_count"]
async fn saving_process() {
    let disk = open(Path::new("store"));
    let state = state(BLOCKS);
    let saved = disk
        .snapshots()
        .current()
        .and_then(|stored| stored.meta.last_log_id);
    let mut next = saved.map_or(1, |id| id.index + 1);
    loop {
        save(&disk, id(1, next), state.clone())
            .await
            .expect("saved");
        say(next);
        next += 1;
    }
}

#[tokio::test]
async fn a_snapshot_that_was_cut_short_does_not_count() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("store");
    drop(open(&path));
    for life in 0..LIVES / 2 {
        let test = "kill_midway::saving_process";
        let acknowledged = kill_soon(Process::start(test, directory.path(), &[]), life * 3);
        let (blocks, meta) = loaded(&open(&path)).expect("it is there");
        let upto = meta.last_log_id.expect("it has one").index;
        assert!(upto >= acknowledged, "{acknowledged} acknowledged, {upto}");
        assert_eq!(blocks, BLOCKS);
    }
}
