//! Directories of every format that was ever written can still be read.
//!
//! A format that changes gets a new number and a new directory beside the old
//! one, which stays.

use std::fs;
use std::path::{Path, PathBuf};

use indexer_store::IndexWriter;

use crate::support::*;

fn golden(format: u32) -> PathBuf {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/store");
    Path::new(root).join(format!("format-{format}"))
}

#[tokio::test]
async fn format_1_is_read() {
    let directory = tempfile::tempdir().expect("a directory");
    copy(&golden(1), directory.path());
    let expected = fs::read_to_string(golden(1).join("content.txt")).expect("read");
    let store = open(directory.path()).expect("opens");
    assert_eq!(content(&store).await, expected.lines().collect::<Vec<_>>());
    assert!(all(&golden(1), "snapshot-").len() == 1 && all(&golden(1), "journal-").len() == 1);
}

/// Writes the golden directory of the format in force; run by hand, once.
#[tokio::test]
#[ignore = "writes testdata; for a new format only"]
async fn write_format_1() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = open_with(directory.path(), 700).expect("opens");
    for sequence in 0..12 {
        store
            .append(&batch(sequence as u32 % 2, sequence / 2))
            .await
            .expect("appended");
    }
    let lines = content(&store).await;
    store.close().await;
    copy(directory.path(), &golden(1));
    fs::remove_file(golden(1).join("LOCK")).expect("removed");
    fs::write(golden(1).join("content.txt"), lines.join("\n") + "\n").expect("written");
}
