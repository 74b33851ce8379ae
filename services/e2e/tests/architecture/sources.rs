//! The Rust sources of the project.

use std::fs;
use std::path::Path;

/// One source file.
pub(crate) struct Source {
    /// Below the root, with slashes.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// Every `.rs` file of the project, sorted; nothing that is built or hidden.
pub(crate) fn rust_files(root: &Path) -> Vec<Source> {
    let mut found = Vec::new();
    collect(root, "", &mut found);
    found.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(found.len() > 50, "only {} source files found", found.len());
    found
}

fn collect(root: &Path, folder: &str, found: &mut Vec<Source>) {
    for entry in fs::read_dir(root.join(folder)).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if folder.is_empty() {
            name.clone()
        } else {
            format!("{folder}/{name}")
        };
        // The recordings are data, and there are many.
        if name.starts_with('.') || name == "target" || name == "testdata" {
            continue;
        }
        if entry.file_type().unwrap().is_dir() {
            collect(root, &path, found);
        } else if name.ends_with(".rs") {
            let text = fs::read_to_string(entry.path()).unwrap();
            found.push(Source { path, text });
        }
    }
}
