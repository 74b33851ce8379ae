//! Sizes, per store and in all, and the models.

use std::collections::BTreeMap;

use proto_api::{ModelInfo, StatsInfo, StoreStats};

use crate::scoring::{Directories, Scoring, View};

pub(crate) fn stats(scoring: &Scoring) -> StatsInfo {
    let replicas = scoring.replicas();
    let view = View::of(replicas);
    let models = models(scoring, &view.directories());
    let resets = replicas.iter().map(|replica| replica.resets()).sum();
    let sizes: Vec<_> = view
        .contents()
        .iter()
        .map(|content| (content.directory().len() as u64, content.index().stats()))
        .collect();
    let standing = view.into_standing();
    // Empty where there is only one store.
    let stores = standing.stores.into_iter().zip(&sizes).zip(replicas.iter());
    let stores = stores.map(|((standing, (publishers, index)), replica)| StoreStats {
        standing,
        publishers: *publishers,
        memberships: index.memberships,
        blocks: index.blocks as u64,
        bytes: index.bytes as u64,
        resets: replica.resets(),
    });
    StatsInfo {
        revision: standing.revision,
        age_ms: standing.age_ms,
        state: standing.state,
        stores: stores.collect(),
        publishers: sizes.iter().map(|(publishers, _)| publishers).sum(),
        memberships: sizes.iter().map(|(_, index)| index.memberships).sum(),
        blocks: sizes.iter().map(|(_, index)| index.blocks as u64).sum(),
        bytes: sizes.iter().map(|(_, index)| index.bytes as u64).sum(),
        models,
        resets,
        version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

/// Every model that endpoints serve or the configuration names.
fn models(scoring: &Scoring, directories: &Directories<'_>) -> Vec<ModelInfo> {
    let mut publishers: BTreeMap<&str, u64> = BTreeMap::new();
    for known in directories
        .iter()
        .flat_map(|directory| directory.publishers())
    {
        *publishers.entry(known.model()).or_default() += 1;
    }
    let mut names = directories.models();
    names.extend(
        scoring
            .catalog()
            .models()
            .map(|model| model.config.name.as_str()),
    );
    let info = |name: &str| ModelInfo {
        name: name.to_owned(),
        publishers: publishers.get(name).copied().unwrap_or(0),
        spaces: directories
            .spaces(name)
            .into_iter()
            .map(|space| (**space).clone())
            .collect(),
        tokenizer: scoring.has_tokenizer(name),
    };
    names.into_iter().map(info).collect()
}
