//! From the bytes of all files to one pool.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::FileSettings;
use super::missing::Gone;
use super::read::Held;
use crate::manifest::{
    Manifests, Mistake, Mistakes, Origin, PoolChoice, Resolved, documents, read_object,
};

/// The namespace of manifests that name none.
const NAMESPACE: &str = "default";

/// What was made of the files.
pub(super) struct Loaded {
    pub(super) resolved: Resolved,
    /// What it was made of.
    pub(super) files: Vec<Held>,
    /// Files that are missing and counted as if they were there.
    pub(super) kept: usize,
}

/// The pool that the files describe, or every mistake of all of them. Those that
/// are missing count as they were, unless what is there contradicts them: then
/// it was moved.
pub(super) fn load(
    settings: &FileSettings,
    there: Vec<Held>,
    gone: &Gone,
    taken: &[Held],
) -> Result<Loaded, Mistakes> {
    let emptied = emptied(&there, taken);
    if gone.kept.is_empty() || !emptied.is_empty() {
        return load_all(settings, there, emptied);
    }
    let mut with: Vec<Held> = there.iter().chain(&gone.kept).cloned().collect();
    with.sort_by(|a, b| a.path.cmp(&b.path));
    match load_all(settings, with, Vec::new()) {
        Ok(loaded) => Ok(Loaded {
            kept: gone.kept.len(),
            ..loaded
        }),
        Err(mistakes) => load_all(settings, there, Vec::new()).map_err(|_| mistakes),
    }
}

/// A file that held manifests and now holds none was emptied by mistake, or is
/// being written.
fn emptied(there: &[Held], taken: &[Held]) -> Vec<Mistake> {
    let says_nothing =
        |held: &Held| str::from_utf8(&held.bytes).is_ok_and(|text| documents(text).is_empty());
    let was = |held: &&Held| {
        let before = taken.iter().find(|before| before.path == held.path);
        before.is_some_and(|before| {
            !Arc::ptr_eq(&before.bytes, &held.bytes)
                && before.bytes != held.bytes
                && says_nothing(held)
                && !says_nothing(before)
        })
    };
    let mistake = |held: &Held| Mistake {
        origin: Origin::File {
            path: held.path.clone(),
            document: 0,
        },
        path: String::new(),
        reason: "held manifests and holds none any more; delete the file, or write \
                 \"endpoints: []\" in a KVAtlasEndpoints to have no endpoints"
            .to_owned(),
    };
    there.iter().filter(was).map(mistake).collect()
}

fn load_all(
    settings: &FileSettings,
    files: Vec<Held>,
    mut mistakes: Vec<Mistake>,
) -> Result<Loaded, Mistakes> {
    let mut manifests = Manifests::default();
    let mut skipped = BTreeMap::new();
    if !mistakes.is_empty() {
        // Whether what others refer to is there is not known.
        manifests.incomplete();
    }
    for held in &files {
        read_text(
            settings,
            &held.path,
            &held.bytes,
            &mut manifests,
            &mut mistakes,
            &mut skipped,
        );
    }
    for (kind, count) in skipped {
        tracing::info!(
            kind,
            count,
            "manifests of this kind say nothing to a picker; skipped"
        );
    }
    let choice = PoolChoice {
        name: settings.pool_name.clone(),
        namespace: settings.pool_namespace.clone(),
    };
    let resolved = manifests.resolve(&choice, &settings.endpoints, &mut mistakes);
    match (resolved, Mistakes::of(mistakes)) {
        (Some(resolved), None) => Ok(Loaded {
            resolved,
            files,
            kept: 0,
        }),
        (_, Some(mistakes)) => Err(mistakes),
        (None, None) => Err(Mistakes::no_pool()),
    }
}

fn read_text(
    settings: &FileSettings,
    path: &Path,
    bytes: &[u8],
    manifests: &mut Manifests,
    mistakes: &mut Vec<Mistake>,
    skipped: &mut BTreeMap<String, usize>,
) {
    let at = |document| Origin::File {
        path: path.to_owned(),
        document,
    };
    let wrong = |document, reason| Mistake {
        origin: at(document),
        path: String::new(),
        reason,
    };
    let Ok(text) = str::from_utf8(bytes) else {
        mistakes.push(wrong(0, "not UTF-8".to_owned()));
        manifests.incomplete();
        return;
    };
    let namespace = settings.pool_namespace.as_deref().unwrap_or(NAMESPACE);
    for document in documents(text) {
        match document.content {
            Ok(value) => {
                let origin = at(document.number);
                let mut read = read_object(&value, origin.clone(), namespace);
                mistakes.append(&mut read.mistakes);
                for kind in &read.skipped {
                    *skipped.entry(kind.clone()).or_default() += 1;
                }
                manifests.add(&origin, read);
            }
            Err(reason) => {
                mistakes.push(wrong(document.number, reason));
                manifests.incomplete();
            }
        }
    }
}
