//! Whole digests of recent blocks: events carry only their last eight bytes.

use std::collections::HashMap;

use proto_model::EngineHash;
use proto_model::engine::EngineDigest;

/// Two generations: what was used lately survives, and nothing is ever searched.
#[derive(Debug)]
pub(super) struct DigestCache {
    generation: usize,
    young: HashMap<EngineHash, EngineDigest>,
    old: HashMap<EngineHash, EngineDigest>,
}

impl DigestCache {
    /// Room for at most `limit` digests.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            generation: limit.div_ceil(2),
            young: HashMap::new(),
            old: HashMap::new(),
        }
    }

    pub(super) fn get(&mut self, hash: EngineHash) -> Option<EngineDigest> {
        if let Some(digest) = self.young.get(&hash) {
            return Some(*digest);
        }
        let digest = self.old.remove(&hash)?;
        self.insert(hash, digest);
        Some(digest)
    }

    pub(super) fn insert(&mut self, hash: EngineHash, digest: EngineDigest) {
        if self.young.len() >= self.generation {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(hash, digest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays_and_the_number_is_bounded() {
        let digest = EngineDigest::new(&[7; 32]).unwrap();
        let mut cache = DigestCache::new(8);
        cache.insert(EngineHash(0), digest);
        for number in 1..100 {
            cache.insert(EngineHash(number), digest);
            assert_eq!(cache.get(EngineHash(0)), Some(digest));
            assert!(cache.young.len() + cache.old.len() <= 8);
        }
        assert_eq!(cache.get(EngineHash(1)), None);
    }
}
