//! From the bytes of all files to one pool.

use std::collections::BTreeMap;
use std::path::Path;

use super::FileSettings;
use super::read::Seen;
use crate::manifest::{
    Manifests, Mistake, Mistakes, Origin, PoolChoice, Resolved, documents, read_object,
};

/// The namespace of manifests that name none.
const NAMESPACE: &str = "default";

/// The pool that the files describe, or every mistake of all of them.
pub(super) fn load(settings: &FileSettings, seen: &Seen) -> Result<Resolved, Mistakes> {
    let mut mistakes = Vec::new();
    let mut manifests = Manifests::default();
    let mut skipped = BTreeMap::new();
    match seen {
        Ok(files) => {
            for (path, bytes) in files {
                read_text(
                    settings,
                    path,
                    bytes,
                    &mut manifests,
                    &mut mistakes,
                    &mut skipped,
                );
            }
        }
        Err(unread) => mistakes.extend(unread.iter().cloned()),
    }
    for (kind, count) in skipped {
        tracing::info!(
            kind,
            count,
            "manifests of this kind say nothing to a picker; skipped"
        );
    }
    let resolved = if seen.is_ok() {
        let choice = PoolChoice {
            name: settings.pool_name.clone(),
            namespace: settings.pool_namespace.clone(),
        };
        manifests.resolve(&choice, &settings.endpoints, &mut mistakes)
    } else {
        None
    };
    match (resolved, Mistakes::of(mistakes)) {
        (Some(resolved), None) => Ok(resolved),
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
