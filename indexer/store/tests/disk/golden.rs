//! Directories of every format that was ever written can still be read.
//!
//! A format that changes gets a new number and a new directory beside the old
//! one, which stays.

use std::fs;
use std::path::{Path, PathBuf};

use indexer_store::IndexWriter;
use proto_model::Batch;

use crate::support::*;

fn golden(format: u32) -> PathBuf {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/store");
    Path::new(root).join(format!("format-{format}"))
}

#[tokio::test]
async fn format_1_is_read() {
    is_read(1).await;
}

#[tokio::test]
async fn format_2_with_routes_is_read() {
    is_read(2).await;
}

async fn is_read(format: u32) {
    let directory = tempfile::tempdir().expect("a directory");
    copy(&golden(format), directory.path());
    let expected = fs::read_to_string(golden(format).join("content.txt")).expect("read");
    let store = open(directory.path()).expect("opens");
    assert_eq!(content(&store).await, expected.lines().collect::<Vec<_>>());
    let files = |prefix| all(&golden(format), prefix).len();
    assert_eq!((files("snapshot-"), files("journal-")), (1, 1));
}

/// A file keeps its format: nothing is added to an older one that its readers
/// would not know.
#[tokio::test]
async fn routes_are_not_added_to_a_journal_of_format_1() {
    let directory = tempfile::tempdir().expect("a directory");
    copy(&golden(1), directory.path());
    let old = only(directory.path(), "journal-");
    let before = fs::read(&old).expect("read");
    let store = open(directory.path()).expect("opens");
    let commands = routes(1);
    store.append(&Batch { commands }).await.expect("appended");
    let expected = content(&store).await;
    store.close().await;
    drop(store);
    assert_eq!(fs::read(&old).expect("read"), before);
    assert_eq!(all(directory.path(), "journal-").len(), 2);
    for _ in 0..2 {
        let store = open(directory.path()).expect("opens again");
        assert_eq!(content(&store).await, expected);
        store.close().await;
    }
}

/// Writes the golden directory of the format in force; run by hand, once.
#[tokio::test]
#[ignore = "writes testdata; for a new format only"]
async fn write_format_2() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = open_with(directory.path(), 900).expect("opens");
    for sequence in 0..12 {
        let mut batch = batch(sequence as u32 % 2, sequence / 2);
        batch.commands.extend(routes(sequence));
        store.append(&batch).await.expect("appended");
    }
    let lines = content(&store).await;
    store.close().await;
    copy(directory.path(), &golden(2));
    fs::remove_file(golden(2).join("LOCK")).expect("removed");
    fs::write(golden(2).join("content.txt"), lines.join("\n") + "\n").expect("written");
}
