//! A directory that is not as it was acknowledged to be is refused, every time.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use indexer_store_raft::disk::{Disk, DiskOptions, OpenError};
use openraft::storage::RaftLogStorage;
use openraft::{RaftLogReader, Vote};

use crate::make::{NODE, append, entry, id, length, open};
use crate::snapshot::{loaded, meta, save, state};

const PURGED: u64 = 19;
const LAST: u64 = 59;
const BLOCKS: u64 = 3_000;

/// A closed directory with a log, a vote and a snapshot.
async fn written(directory: &Path) {
    let disk = open(directory);
    append(&disk, 1, 0..40).await.expect("appended");
    save(&disk, id(1, PURGED), state(BLOCKS))
        .await
        .expect("saved");
    disk.log().purge(id(1, PURGED)).await.expect("purged");
    disk.log().save_vote(&Vote::new(2, 1)).await.expect("saved");
    append(&disk, 2, 40..LAST + 1).await.expect("appended");
}

fn try_open(directory: &Path) -> Result<Disk, OpenError> {
    let options = DiskOptions {
        lock_wait: Duration::from_secs(60),
        ..DiskOptions::default()
    };
    Disk::open(directory, options, NODE)
}

/// Whether everything is refused; if it is not, everything must be there.
async fn refused(directory: &Path, what: &str) -> bool {
    let first = try_open(directory).map(|disk| disk.snapshots().load().is_err());
    let second = try_open(directory);
    match (first, second) {
        (Err(_), Err(_)) => true,
        (Err(error), Ok(_)) => panic!("{what}: refused once ({error}), then opened"),
        (Ok(_), Err(error)) => panic!("{what}: opened once, then refused ({error})"),
        (Ok(snapshot_refused), Ok(disk)) => {
            check(&disk, what).await;
            if !snapshot_refused {
                assert_eq!(loaded(&disk), Some((BLOCKS, meta(id(1, PURGED)))), "{what}");
            }
            snapshot_refused
        }
    }
}

async fn check(disk: &Disk, what: &str) {
    let vote = disk.log().read_vote().await.expect("read");
    assert_eq!(vote, Some(Vote::new(2, 1)), "{what}");
    let found = disk.log().try_get_log_entries(..).await.expect("read");
    let expected = (PURGED + 1..=LAST).map(|index| {
        let term = if index < 40 { 1 } else { 2 };
        entry(term, index, length(index))
    });
    assert!(found.into_iter().eq(expected), "{what}: the log is another");
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).expect("listed") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn copy(from: &Path) -> tempfile::TempDir {
    let to = tempfile::tempdir().expect("a directory");
    for path in files(from) {
        let name = path.strip_prefix(from).expect("below it");
        let target = to.path().join(name);
        fs::create_dir_all(target.parent().expect("it has one")).expect("made");
        fs::copy(&path, target).expect("copied");
    }
    to
}

fn name(directory: &Path, path: &Path) -> PathBuf {
    path.strip_prefix(directory).expect("below it").to_owned()
}

#[tokio::test]
async fn changed_bytes_are_refused_or_do_not_matter() {
    let directory = tempfile::tempdir().expect("a directory");
    written(directory.path()).await;
    let (mut tried, mut refusals) = (0, 0);
    for path in files(directory.path()) {
        let bytes = fs::read(&path).expect("read");
        // Places that hold something, spread over the file.
        let held: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
        for at in held.iter().step_by((held.len() / 40).max(1)) {
            let copied = copy(directory.path());
            let target = copied.path().join(name(directory.path(), &path));
            let file = fs::OpenOptions::new()
                .write(true)
                .open(target)
                .expect("opened");
            file.write_all_at(&[bytes[*at] ^ 0x10], *at as u64)
                .expect("changed");
            drop(file);
            tried += 1;
            let what = format!("byte {at} of {}", path.display());
            refusals += u32::from(refused(copied.path(), &what).await);
        }
    }
    assert!(tried > 80, "{tried} places");
    assert!(refusals * 3 > tried, "{refusals} of {tried} were refused");
}

#[tokio::test]
async fn shortened_and_missing_files_are_refused_or_do_not_matter() {
    let directory = tempfile::tempdir().expect("a directory");
    written(directory.path()).await;
    for path in files(directory.path()) {
        let name = name(directory.path(), &path);
        let copied = copy(directory.path());
        fs::remove_file(copied.path().join(&name)).expect("removed");
        let was_refused = refused(copied.path(), &format!("without {}", path.display())).await;
        assert!(was_refused || !name.ends_with("db"), "without {name:?}");
        let length = fs::metadata(&path).expect("there").len();
        for parts in 0..12 {
            let copied = copy(directory.path());
            let target = copied.path().join(&name);
            let file = fs::OpenOptions::new()
                .write(true)
                .open(target)
                .expect("opened");
            file.set_len(length * parts / 12).expect("cut");
            drop(file);
            let what = format!("{} cut to {parts}/12", path.display());
            let was_refused = refused(copied.path(), &what).await;
            assert!(was_refused || parts > 0, "{what} was opened");
        }
    }
    let copied = copy(directory.path());
    fs::remove_dir_all(copied.path().join("sled")).expect("removed");
    assert!(refused(copied.path(), "without the database").await);
}

/// What sled would cut off without a word: the database ends earlier than what was
/// acknowledged.
#[tokio::test]
async fn a_database_that_ends_too_early_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    written(directory.path()).await;
    let before = copy(directory.path());
    let disk = open(directory.path());
    disk.log().save_vote(&Vote::new(3, 1)).await.expect("saved");
    drop(disk);
    fs::copy(
        directory.path().join("marker"),
        before.path().join("marker"),
    )
    .expect("copied");
    let error = try_open(before.path()).expect_err("the last vote is missing");
    assert!(matches!(error, OpenError::Behind { .. }), "{error}");
    assert!(error.to_string().contains("remove node 3"), "{error}");
}

/// A start that was cut short before the directory was ever used.
#[tokio::test]
async fn a_directory_that_was_never_finished_is_made_anew() {
    let directory = tempfile::tempdir().expect("a directory");
    drop(open(directory.path()));
    let marker = directory.path().join("marker");
    let mut bytes = fs::read(&marker).expect("read");
    bytes[4096..].fill(0);
    fs::write(&marker, bytes).expect("written");
    fs::write(directory.path().join("sled/db"), "half").expect("written");
    let disk = open(directory.path());
    append(&disk, 1, 0..3).await.expect("appended");
}
