//! Torn ends are cut off; everything else that is not as it was written stops
//! the store, and is left as it is.

use std::fs;
use std::path::Path;

use indexer_store::{IndexWriter, OpenError};

use crate::support::*;

const BATCHES: u64 = 4;

/// A closed store, and the journal's length after each batch.
async fn written(directory: &Path) -> Vec<u64> {
    let store = open(directory).expect("opens");
    let length = || {
        fs::metadata(only(directory, "journal-"))
            .expect("there")
            .len()
    };
    let mut lengths = vec![length()];
    for sequence in 0..BATCHES {
        store.append(&batch(0, sequence)).await.expect("appended");
        lengths.push(length());
    }
    store.close().await;
    lengths
}

/// A crash can cut the last group anywhere. What was acknowledged before it is
/// there, the rest of it is not, and the store goes on.
#[tokio::test]
async fn the_last_group_may_be_torn_at_any_byte() {
    let directory = tempfile::tempdir().expect("a directory");
    let lengths = written(directory.path()).await;
    let [.., before, end] = lengths[..] else {
        panic!("groups")
    };
    for length in before..end {
        let copied = tempfile::tempdir().expect("a directory");
        copy(directory.path(), copied.path());
        let journal = only(copied.path(), "journal-");
        let file = fs::OpenOptions::new()
            .write(true)
            .open(&journal)
            .expect("opened");
        file.set_len(length).expect("cut");
        let store = open(copied.path()).unwrap_or_else(|error| panic!("cut at {length}: {error}"));
        let next = store.cursor(&publisher(0)).map(|cursor| cursor.next);
        assert_eq!(next, Some(BATCHES - 1), "cut at {length}");
        assert_eq!(
            fs::metadata(&journal).expect("there").len(),
            before,
            "the rest is cut off"
        );
        let again = store
            .append(&batch(0, BATCHES - 1))
            .await
            .expect("appended");
        assert_eq!(again.outcomes[0].applied, 1);
        store.close().await;
        assert!(open(copied.path()).is_ok(), "cut at {length}");
    }
}

/// Some file systems lengthen a file before they write to it.
#[tokio::test]
async fn an_end_of_zeros_is_a_torn_end() {
    let directory = tempfile::tempdir().expect("a directory");
    written(directory.path()).await;
    let journal = only(directory.path(), "journal-");
    let mut bytes = fs::read(&journal).expect("read");
    bytes.extend([0; 9_000]);
    fs::write(&journal, bytes).expect("written");
    let store = open(directory.path()).expect("opens");
    assert_eq!(
        store.cursor(&publisher(0)).map(|cursor| cursor.next),
        Some(BATCHES)
    );
}

#[tokio::test]
async fn no_changed_byte_goes_unnoticed() {
    let directory = tempfile::tempdir().expect("a directory");
    let lengths = written(directory.path()).await;
    for prefix in ["journal-", "snapshot-"] {
        let path = only(directory.path(), prefix);
        let sound = fs::read(&path).expect("read");
        for at in 0..sound.len() {
            let mut bytes = sound.clone();
            bytes[at] ^= 0x10;
            fs::write(&path, &bytes).expect("written");
            let Err(error) = open(directory.path()) else {
                panic!("{prefix} with byte {at} changed was opened")
            };
            check_report(&error, prefix, at as u64, &lengths);
            assert_eq!(fs::read(&path).expect("read"), bytes, "nothing is repaired");
        }
        fs::write(&path, &sound).expect("written");
    }
    assert!(open(directory.path()).is_ok());
}

/// The error names the file, and the place where the damaged frame begins.
fn check_report(error: &OpenError, prefix: &str, at: u64, lengths: &[u64]) {
    let text = error.to_string();
    assert!(text.contains(prefix), "{text}");
    match error {
        OpenError::Damaged { offset, .. } if prefix == "journal-" && *offset > 0 => {
            let frame = lengths.iter().rev().find(|begin| **begin <= at);
            assert_eq!(Some(offset), frame, "byte {at}");
        }
        OpenError::Damaged { .. } | OpenError::Format { .. } | OpenError::Hole { .. } => {}
        other => panic!("byte {at}: {other}"),
    }
}

#[tokio::test]
async fn a_snapshot_must_be_whole() {
    let directory = tempfile::tempdir().expect("a directory");
    written(directory.path()).await;
    let path = only(directory.path(), "snapshot-");
    let sound = fs::read(&path).expect("read");
    for length in 0..sound.len() {
        fs::write(&path, &sound[..length]).expect("written");
        let error = open(directory.path()).expect_err("cut off");
        assert!(
            matches!(error, OpenError::Damaged { .. }),
            "{length}: {error}"
        );
    }
    fs::remove_file(&path).expect("removed");
    let error = open(directory.path()).expect_err("a journal alone");
    assert!(matches!(error, OpenError::NoSnapshot { .. }), "{error}");
}

/// The first bytes of a journal as `docs/state.md` describes them.
fn empty_journal(revision: u64) -> Vec<u8> {
    let mut bytes = b"KVAJRNL\n\x01\0\0\0".to_vec();
    bytes.extend(revision.to_le_bytes());
    let check = xxhash_rust::xxh3::xxh3_64_with_seed(&bytes, 0x6b76_6865_6164);
    bytes.extend(check.to_le_bytes());
    bytes
}

/// A torn end is a crash's doing only in the last journal.
#[tokio::test]
async fn a_journal_with_a_successor_must_be_whole() {
    let directory = tempfile::tempdir().expect("a directory");
    written(directory.path()).await;
    let first = only(directory.path(), "journal-");
    let store = open(directory.path()).expect("opens");
    let next = store.revision().0;
    store.close().await;
    let second = directory.path().join(format!("journal-{next:020}.kva"));
    fs::write(&second, empty_journal(next)).expect("written");
    let store = open(directory.path()).expect("an empty successor is fine");
    store.close().await;
    let sound = fs::read(&first).expect("read");
    fs::write(&first, &sound[..sound.len() - 1]).expect("written");
    let error = open(directory.path()).expect_err("cut off in the middle of the history");
    assert!(
        matches!(&error, OpenError::Damaged { path, .. } if *path == first),
        "{error}"
    );
    fs::remove_file(&first).expect("removed");
    let error = open(directory.path()).expect_err("a journal is missing");
    assert!(
        matches!(&error, OpenError::Hole { path, .. } if *path == second),
        "{error}"
    );
}
