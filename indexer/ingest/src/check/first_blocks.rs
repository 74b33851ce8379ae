//! The same first block must have one hash wherever the same settings hold.

use std::collections::HashMap;
use std::sync::Arc;

use proto_model::{EngineHash, LocalHash, Publisher};

/// First blocks remembered; when full, the table starts anew.
const REMEMBERED: usize = 4096;

/// Remembers how first blocks without extra keys were named, and by whom.
#[derive(Debug, Default)]
pub(crate) struct FirstBlocks {
    seen: HashMap<(u64, LocalHash), (EngineHash, Arc<Publisher>)>,
}

/// Another publisher's name for the same block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OtherHash {
    pub(crate) publisher: Arc<Publisher>,
    pub(crate) hash: EngineHash,
}

impl FirstBlocks {
    /// Notes a first block in a key space; returns another publisher's
    /// different hash for it.
    pub(crate) fn note(
        &mut self,
        scope: u64,
        local: LocalHash,
        hash: EngineHash,
        publisher: &Arc<Publisher>,
    ) -> Option<OtherHash> {
        if self.seen.len() >= REMEMBERED {
            self.seen.clear();
        }
        let before = self
            .seen
            .insert((scope, local), (hash, Arc::clone(publisher)));
        let (other, owner) = before?;
        (other != hash && owner != *publisher).then_some(OtherHash {
            publisher: owner,
            hash: other,
        })
    }
}

#[cfg(test)]
mod tests {
    use proto_model::{Endpoint, Rank};

    use super::*;

    #[test]
    fn only_another_publishers_other_hash_counts() {
        let publisher = |address: &str| {
            let endpoint = Endpoint::new("c", address).unwrap();
            Arc::new(Publisher {
                endpoint,
                rank: Rank(0),
            })
        };
        let (a, b) = (publisher("a"), publisher("b"));
        let mut blocks = FirstBlocks::default();
        let mut note = |hash, publisher| blocks.note(1, LocalHash(7), EngineHash(hash), publisher);
        assert_eq!(note(10, &a), None);
        assert_eq!(note(10, &b), None);
        assert_eq!(note(11, &b), None, "a restart may change the seed");
        let other = note(10, &a).unwrap();
        assert_eq!((other.publisher, other.hash), (b, EngineHash(11)));
    }
}
