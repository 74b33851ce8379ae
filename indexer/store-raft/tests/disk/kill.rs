//! A process that is killed while it writes has kept what it acknowledged.

use std::io::Write;
use std::path::Path;

use indexer_store_raft::disk::Disk;
use openraft::storage::RaftLogStorage;
use openraft::{RaftLogReader, Vote};

use crate::child::Process;
use crate::make::{append, entry, id, length, open};
use crate::snapshot::{save, state};

/// Lives of the process.
const LIVES: usize = 24;

/// Where the log and the vote stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Standing {
    last: u64,
    term: u64,
    purged: u64,
}

/// Not a test of its own: the process that gets killed. It says what it is about
/// to give up, and what is acknowledged.
#[tokio::test]
#[ignore = "started by killed_processes_keep_what_they_acknowledged"]
async fn killed_process() {
    let disk = open(Path::new("store"));
    let mut standing = standing(&disk).await;
    for step in 0_u64.. {
        match step % 10 {
            3 => {
                standing.term += 1;
                let vote = Vote::new(standing.term, 1);
                disk.log().save_vote(&vote).await.expect("saved");
            }
            5 if standing.last > standing.purged + 4 => {
                standing.last -= 3;
                say("lowering", standing);
                let from = id(standing.term, standing.last + 1);
                disk.log().truncate(from).await.expect("truncated");
            }
            7 if standing.last > standing.purged + 60 => {
                let upto = standing.last - 20;
                let entries = disk.log().try_get_log_entries(upto..=upto).await;
                let upto = entries.expect("read")[0].log_id;
                save(&disk, upto, state(300 + step)).await.expect("saved");
                disk.log().purge(upto).await.expect("purged");
                standing.purged = upto.index;
            }
            _ => {
                let next = standing.last + 1;
                let count = 1 + step % 8;
                append(&disk, standing.term, next..next + count)
                    .await
                    .expect("appended");
                standing.last += count;
            }
        }
        say("acknowledged", standing);
    }
}

fn say(what: &str, standing: Standing) {
    let Standing { last, term, purged } = standing;
    writeln!(std::io::stdout(), "{what} {last} {term} {purged}").expect("written");
}

fn heard(line: &str) -> Option<Standing> {
    let words: Vec<&str> = line.split(' ').collect();
    let [.., what, last, term, purged] = words[..] else {
        return None;
    };
    if !what.ends_with("acknowledged") && !what.ends_with("lowering") {
        return None;
    }
    Some(Standing {
        last: last.parse().ok()?,
        term: term.parse().ok()?,
        purged: purged.parse().ok()?,
    })
}

/// Where the disk stands; everything in its log must be as it was written.
async fn standing(disk: &Disk) -> Standing {
    let mut log = disk.log();
    let state = log.get_log_state().await.expect("read");
    let purged = state.last_purged_log_id.map_or(0, |id| id.index);
    let last = state.last_log_id.map_or(0, |id| id.index);
    let entries = log.try_get_log_entries(..).await.expect("read");
    let mut expected = purged + 1;
    let mut term = 0;
    for found in &entries {
        let index = found.log_id.index;
        assert_eq!(index, expected, "no hole");
        expected += 1;
        assert!(found.log_id.leader_id.term >= term, "terms grow");
        term = found.log_id.leader_id.term;
        assert!(
            *found == entry(term, index, length(index)),
            "entry {index} is as it was written"
        );
    }
    assert_eq!(last + 1, expected, "the log's end is its last entry");
    let loaded = disk.snapshots().load().expect("the snapshot is whole");
    if let Some((meta, image)) = &loaded {
        let upto = meta.last_log_id.expect("it has one").index;
        assert!(upto >= purged, "what was purged is in the snapshot");
        assert_eq!(image.revision.0, upto);
    }
    assert_eq!(
        loaded.is_some(),
        purged > 0,
        "it is there when it is needed"
    );
    let vote = log.read_vote().await.expect("read");
    Standing {
        last,
        term: vote.map_or(0, |vote| vote.leader_id().term),
        purged,
    }
}

#[tokio::test]
async fn killed_processes_keep_what_they_acknowledged() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("store");
    let disk = open(&path);
    append(&disk, 0, 1..2).await.expect("appended");
    drop(disk);
    let mut before = Standing::default();
    for life in 0..LIVES {
        let mut process = Process::start("kill::killed_process", directory.path(), &[]);
        let more = 3 + (life * 37) % 101;
        let lines = process.lines();
        let said: Vec<Standing> = lines.filter_map(|line| heard(&line)).take(more).collect();
        process.kill();
        let acknowledged = *said.last().expect("it said something");
        let found = standing(&open(&path)).await;
        // It may have given up three entries after it was last heard.
        let gone_on = found.term > acknowledged.term || found.last + 3 >= acknowledged.last;
        assert!(
            gone_on,
            "{acknowledged:?} was acknowledged, {found:?} is there"
        );
        assert!(
            found.term >= acknowledged.term,
            "{acknowledged:?} {found:?}"
        );
        assert!(
            found.purged >= acknowledged.purged,
            "{acknowledged:?} {found:?}"
        );
        before = found;
    }
    assert!(before.last > 500 && before.purged > 0, "{before:?}");
}
