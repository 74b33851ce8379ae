//! A folder of manifests that is removed at the end.

use std::path::PathBuf;
use std::time::Duration;

use router_discovery::FileSettings;

pub(crate) struct Folder {
    folder: tempfile::TempDir,
}

impl Folder {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a folder"),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        // A slow machine must not be taken for a writer that stopped half way.
        let beside = self.path(".new");
        std::fs::write(&beside, text).expect("writable");
        std::fs::rename(&beside, self.path(name)).expect("same folder");
    }

    pub(crate) fn settings(&self) -> FileSettings {
        FileSettings {
            paths: vec![self.folder.path().to_owned()],
            poll: Duration::from_millis(20),
            settle: Duration::from_millis(20),
            ..FileSettings::default()
        }
    }
}

/// A manifest of the repository's test data.
pub(crate) fn manifest(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../testdata/manifests")
        .join(name);
    std::fs::read_to_string(path).expect("test data")
}
