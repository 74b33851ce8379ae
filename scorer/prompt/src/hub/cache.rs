//! The hub's cache: `models--ORG--NAME/{refs/REVISION, snapshots/COMMIT/, blobs/}`.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use super::{HubError, HubModel};
use crate::model::{CONFIG_FILE, TOKENIZER_FILE};

/// The directory of everything the cache has of a model.
pub(super) fn model_directory(cache: &Path, model: &HubModel) -> PathBuf {
    cache.join(format!("models--{}", model.name().replace('/', "--")))
}

/// The model's snapshot, if it is usable. A snapshot without configuration may
/// be another program's partial download: it counts only where there is no way
/// to complete it.
pub(super) fn find(cache: &Path, model: &HubModel, offline: bool) -> Result<PathBuf, HubError> {
    let directory = model_directory(cache, model);
    let missing = || HubError::NotCached {
        model: model.name().to_owned(),
        directory: cache.to_owned(),
    };
    let commit = read_ref(&directory, model.revision());
    // A revision that is a commit has no file of its own among the refs.
    let snapshot = directory
        .join("snapshots")
        .join(commit.as_deref().unwrap_or_else(|| model.revision()));
    let complete = offline || snapshot.join(CONFIG_FILE).exists();
    if complete && snapshot.join(TOKENIZER_FILE).exists() {
        Ok(snapshot)
    } else {
        Err(missing())
    }
}

/// The commit that a branch or tag stands at, as far as the cache knows.
fn read_ref(directory: &Path, revision: &str) -> Option<String> {
    let mut commit = String::new();
    let file = fs::File::open(directory.join("refs").join(revision)).ok()?;
    file.take(256).read_to_string(&mut commit).ok()?;
    let commit = commit.trim();
    is_commit(commit).then(|| commit.to_owned())
}

/// A name that may stand in `snapshots/`.
pub(super) fn is_commit(commit: &str) -> bool {
    !commit.is_empty()
        && commit.len() <= 128
        && commit.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Where a snapshot is written to.
pub(super) struct Writer {
    directory: PathBuf,
    snapshot: PathBuf,
}

impl Writer {
    pub(super) fn new(cache: &Path, model: &HubModel, commit: &str) -> Result<Self, HubError> {
        let directory = model_directory(cache, model);
        let snapshot = directory.join("snapshots").join(commit);
        for path in [&snapshot, &directory.join("blobs")] {
            fs::create_dir_all(path).map_err(|source| HubError::Write {
                path: path.clone(),
                source,
            })?;
        }
        Ok(Self {
            directory,
            snapshot,
        })
    }

    /// Adds a file: the content under its identity, and a link to it. Other
    /// readers of the cache see all of it or nothing.
    pub(super) fn add(&self, file: &str, identity: &str, content: &[u8]) -> Result<(), HubError> {
        write_atomically(&self.directory.join("blobs").join(identity), content)?;
        let link = self.snapshot.join(file);
        let target = Path::new("../../blobs").join(identity);
        place_link(&link, &target).map_err(|source| HubError::Write { path: link, source })
    }

    /// Makes the snapshot the one that `revision` stands at. Called last, so
    /// that a reader never finds a revision whose files are not there yet.
    pub(super) fn finish(self, revision: &str) -> Result<PathBuf, HubError> {
        let path = self.directory.join("refs").join(revision);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(|source| HubError::Write {
                path: parent.to_owned(),
                source,
            })?;
        }
        let commit = self
            .snapshot
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        write_atomically(&path, commit.unwrap_or_default().as_bytes())?;
        Ok(self.snapshot)
    }
}

fn write_atomically(path: &Path, content: &[u8]) -> Result<(), HubError> {
    let part = path.with_extension(format!("{}.incomplete", std::process::id()));
    let written = fs::File::create(&part).and_then(|mut file| {
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&part, path)
    });
    written.map_err(|source| {
        // The part is of no use; that it cannot be removed either adds nothing.
        let _ = fs::remove_file(&part);
        HubError::Write {
            path: path.to_owned(),
            source,
        }
    })
}

/// Puts a link in place of whatever is there.
fn place_link(link: &Path, target: &Path) -> io::Result<()> {
    let part = link.with_extension(format!("{}.link", std::process::id()));
    match fs::remove_file(&part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    std::os::unix::fs::symlink(target, &part)?;
    fs::rename(&part, link)
}
