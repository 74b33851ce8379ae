//! A model's files over HTTP into the cache.

use std::path::PathBuf;

use sha2::{Digest as _, Sha256};

use super::cache::{self, Writer};
use super::client::{Client, Fetched};
use super::{HubConfig, HubError, HubModel};
use crate::model::FILES;

/// Downloads every file that may matter, all of one commit.
pub(super) fn download(config: &HubConfig, model: &HubModel) -> Result<PathBuf, HubError> {
    let client = Client::new(config)?;
    let mut files = FILES.iter();
    let Some((first, limit)) = files.next() else {
        return Err(HubError::NotCached {
            model: model.name().to_owned(),
            directory: config.cache.clone(),
        });
    };
    let url = |revision: &str, file: &str| format!("/{}/resolve/{revision}/{file}", model.name());
    let path = url(model.revision(), first);
    let Some(tokenizer) = client.get(&path, *limit)? else {
        let endpoint = config.endpoint.trim_end_matches('/');
        return Err(HubError::NotFound {
            url: format!("{endpoint}{path}"),
        });
    };
    let (commit, pinned) = commit(&tokenizer, model);
    let writer = Writer::new(&config.cache, model, &commit)?;
    add(&writer, &path, first, &tokenizer)?;
    for (file, limit) in files {
        // A mirror that names no commit is asked for the branch each time.
        let path = url(if pinned { &commit } else { model.revision() }, file);
        if let Some(fetched) = client.get(&path, *limit)? {
            add(&writer, &path, file, &fetched)?;
        }
    }
    tracing::info!(model = model.name(), commit, "model files downloaded");
    writer.finish(model.revision())
}

/// The commit to file the snapshot under, and whether files can be asked for by
/// it. Without one, the first file's identity stands for it.
fn commit(first: &Fetched, model: &HubModel) -> (String, bool) {
    match &first.commit {
        Some(commit) if cache::is_commit(commit) => (commit.clone(), true),
        _ if model.revision().len() == 40 && cache::is_commit(model.revision()) => {
            (model.revision().to_owned(), true)
        }
        _ => (sha256(&first.content), false),
    }
}

fn add(writer: &Writer, url: &str, file: &str, fetched: &Fetched) -> Result<(), HubError> {
    let identity = sha256(&fetched.content);
    if fetched
        .sha256
        .as_ref()
        .is_some_and(|announced| *announced != identity)
    {
        let reason = "its SHA-256 is not the announced one".to_owned();
        return Err(HubError::Damaged {
            url: url.to_owned(),
            reason,
        });
    }
    writer.add(file, &identity, &fetched.content)
}

fn sha256(content: &[u8]) -> String {
    hex::encode(Sha256::digest(content))
}
