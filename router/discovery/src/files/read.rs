//! Bytes of manifests from files and folders, within bounds.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use crate::manifest::{Mistake, Origin};

/// Bytes of one file.
const FILE_BYTES: usize = 4 << 20;
/// Bytes of all files.
const ALL_BYTES: usize = 32 << 20;
/// Files in all.
const FILES: usize = 1_000;
/// Entries of one folder that are looked at.
const FOLDER_ENTRIES: usize = 10_000;

/// What the files held, in order of their names; or what kept them from being
/// read.
pub(super) type Seen = Result<Vec<Held>, Vec<Mistake>>;

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) path: PathBuf,
    pub(super) bytes: Arc<[u8]>,
    pub(super) stamp: Stamp,
}

/// Which file it was, and when it was written: another one after every write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    /// Its number in the file system; 0 where there are none.
    pub(super) file: u64,
    /// `None` where the file system does not know.
    pub(super) modified: Option<SystemTime>,
}

/// Whether the same files hold the same, whenever they were written.
pub(super) fn same_contents(one: &Seen, other: &Seen) -> bool {
    match (one, other) {
        (Ok(one), Ok(other)) => {
            let same = |(a, b): (&Held, &Held)| a.path == b.path && a.bytes == b.bytes;
            one.len() == other.len() && one.iter().zip(other).all(same)
        }
        (Err(one), Err(other)) => one == other,
        _ => false,
    }
}

/// Reads files, and the manifests in folders (not in folders of theirs).
pub(super) fn read_all(paths: &[PathBuf]) -> Seen {
    let mut mistakes = Vec::new();
    let mut files = Vec::new();
    for path in paths {
        match manifests_at(path) {
            Ok(found) => files.extend(found),
            Err(reason) => mistakes.push(wrong(path, reason)),
        }
    }
    files.sort();
    files.dedup();
    if files.len() > FILES {
        let reason = format!("{} files in all; accepted: at most {FILES}", files.len());
        return Err(vec![wrong(&files[FILES], reason)]);
    }
    let mut held = Vec::new();
    let mut total = 0_usize;
    for path in files {
        match read_file(&path) {
            Ok((bytes, stamp)) => {
                total = total.saturating_add(bytes.len());
                if total > ALL_BYTES {
                    let reason = format!("more than {ALL_BYTES} bytes in all files");
                    mistakes.push(wrong(&path, reason));
                    break;
                }
                held.push(Held {
                    path,
                    bytes: bytes.into(),
                    stamp,
                });
            }
            Err(reason) => mistakes.push(wrong(&path, reason)),
        }
    }
    if mistakes.is_empty() {
        Ok(held)
    } else {
        Err(mistakes)
    }
}

fn manifests_at(path: &Path) -> Result<Vec<PathBuf>, String> {
    let kind = fs::metadata(path).map_err(|error| format!("cannot be read: {error}"))?;
    if !kind.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = fs::read_dir(path).map_err(|error| format!("cannot be listed: {error}"))?;
    let mut found = Vec::new();
    for entry in entries.take(FOLDER_ENTRIES) {
        let entry = entry.map_err(|error| format!("cannot be listed: {error}"))?;
        let path = entry.path();
        // Mounted ConfigMaps keep their generations in hidden folders.
        if !hidden(&path) && is_manifest(&path) && !path.is_dir() {
            found.push(path);
        }
    }
    if found.is_empty() {
        return Err("no *.yaml, *.yml or *.json file in this folder".to_owned());
    }
    Ok(found)
}

fn hidden(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    name.as_encoded_bytes().first() == Some(&b'.')
}

fn is_manifest(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    matches!(extension, Some("yaml" | "yml" | "json"))
}

fn read_file(path: &Path) -> Result<(Vec<u8>, Stamp), String> {
    let kind = fs::metadata(path).map_err(|error| format!("cannot be read: {error}"))?;
    if !kind.is_file() {
        // A pipe would block for ever.
        return Err("not a regular file".to_owned());
    }
    let file = File::open(path).map_err(|error| format!("cannot be opened: {error}"))?;
    // Before it is read: a write from now on changes the next stamp.
    let stamp = file.metadata().map(|kind| stamp_of(&kind));
    let stamp = stamp.map_err(|error| format!("cannot be read: {error}"))?;
    let limit = u64::try_from(FILE_BYTES).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|error| format!("cannot be read: {error}"))?;
    if bytes.len() > FILE_BYTES {
        return Err(format!("longer than {FILE_BYTES} bytes; split it"));
    }
    Ok((bytes, stamp))
}

fn stamp_of(kind: &fs::Metadata) -> Stamp {
    #[cfg(unix)]
    let file = std::os::unix::fs::MetadataExt::ino(kind);
    #[cfg(not(unix))]
    let file = 0;
    Stamp {
        file,
        modified: kind.modified().ok(),
    }
}

fn wrong(path: &Path, reason: String) -> Mistake {
    Mistake {
        origin: Origin::File {
            path: path.to_owned(),
            document: 0,
        },
        path: String::new(),
        reason,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_same_text_written_again_has_another_stamp() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("e.yaml");
        let paths = [folder.path().to_owned()];
        fs::write(&path, "a: 1\n").expect("writable");
        let first = read_all(&paths);
        assert_eq!(first, read_all(&paths));

        // Clocks of file systems tick too slowly for a test.
        let file = File::options().write(true).open(&path).expect("there");
        let later = SystemTime::now() + Duration::from_secs(1);
        file.set_modified(later).expect("writable");
        let again = read_all(&paths);
        assert!(same_contents(&first, &again) && first != again);

        let beside = folder.path().join("new");
        fs::write(&beside, "a: 1\n").expect("writable");
        let new = File::options().write(true).open(&beside).expect("there");
        new.set_modified(later).expect("writable");
        fs::rename(&beside, &path).expect("same folder");
        let replaced = read_all(&paths);
        assert!(same_contents(&again, &replaced) && again != replaced);
    }
}
