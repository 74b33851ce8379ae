//! Which well-known settings would give a hash that was seen.

use std::sync::OnceLock;

use proto_model::engine::{EngineExtras, EngineHasher, HashAlgorithm, HashRules};
use proto_model::{EngineHash, TokenId};

/// Seeds that people set, after those of the configuration.
const SEEDS: [Option<&str>; 3] = [None, Some("0"), Some("42")];

/// Tries the known algorithms with the usual seeds.
#[derive(Debug, Default)]
pub(crate) struct Probe {
    hashers: OnceLock<Vec<EngineHasher>>,
    configured: Vec<HashRules>,
}

impl Probe {
    /// Tries the seeds of these rules too, with every algorithm.
    pub(crate) fn new(configured: Vec<HashRules>) -> Self {
        Self {
            hashers: OnceLock::new(),
            configured,
        }
    }

    /// The settings under which a first block without extra keys has this hash,
    /// in the words of the engine's own settings.
    pub(crate) fn explain(&self, tokens: &[TokenId], hash: EngineHash) -> Option<String> {
        let hashers = self.hashers.get_or_init(|| self.build());
        let fits =
            |hasher: &&EngineHasher| hasher.root().push(tokens, &EngineExtras::default()) == hash;
        let rules = hashers.iter().find(fits)?.rules();
        let seed = rules.seed.as_ref().map_or_else(
            || "PYTHONHASHSEED unset".to_owned(),
            |seed| format!("PYTHONHASHSEED={seed}"),
        );
        Some(format!(
            "--prefix-caching-hash-algo {} with {seed}",
            rules.algorithm
        ))
    }

    fn build(&self) -> Vec<EngineHasher> {
        let seeds = self.configured.iter().map(|rules| rules.seed.as_deref());
        let mut seeds: Vec<Option<&str>> = seeds.chain(SEEDS).collect();
        seeds.sort_unstable();
        seeds.dedup();
        let pairs = HashAlgorithm::ALL
            .into_iter()
            .flat_map(|algorithm| seeds.iter().map(move |seed| (algorithm, *seed)));
        let rules =
            pairs.map(|(algorithm, seed)| HashRules::new(algorithm, seed.map(str::to_owned), None));
        self.configured
            .iter()
            .cloned()
            .chain(rules)
            .filter_map(|r| EngineHasher::new(r).ok())
            .collect()
    }
}
