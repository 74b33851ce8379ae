//! The index as its users see it.

use std::mem::size_of;

use hashbrown::HashMap;
use parking_lot::RwLock;
use proto_model::{BlockKey, Delta, Holder, MediumSet};

use crate::{HolderFilter, IndexLimits, IndexStats, Match, Scratch};

/// Which holder holds which blocks. Shared by reference: one writer at a time,
/// any number of readers.
#[derive(Debug)]
pub struct PrefixIndex {
    limits: IndexLimits,
    tables: RwLock<Tables>,
}

impl PrefixIndex {
    /// An empty index.
    #[must_use]
    pub fn new(limits: IndexLimits) -> Self {
        Self {
            limits,
            tables: RwLock::new(Tables::default()),
        }
    }

    /// Applies one delta. Writers wait for one another; readers do not wait.
    pub fn apply(&self, delta: &Delta) {
        self.tables.write().apply(delta, self.limits);
    }

    /// Applies deltas in order.
    pub fn apply_all(&self, deltas: &[Delta]) {
        for delta in deltas {
            self.apply(delta);
        }
    }

    /// A new, empty index under the same limits, to be filled aside from a
    /// snapshot and then [installed](Self::install).
    #[must_use]
    pub fn builder(&self) -> IndexBuilder {
        IndexBuilder {
            limits: self.limits,
            tables: Tables::default(),
        }
    }

    /// Replaces the whole content at once; lookups before answer from the old
    /// content, lookups after from the new.
    pub fn install(&self, builder: IndexBuilder) {
        *self.tables.write() = builder.tables;
    }

    /// For every living holder (of `candidates`, if given) that holds
    /// `keys[0..n]` for some n of at least 1, the largest such n, with media.
    /// The order of the answer means nothing.
    pub fn lookup<'s>(
        &self,
        keys: &[BlockKey],
        scratch: &'s mut Scratch,
        candidates: Option<&HolderFilter>,
    ) -> &'s [Match] {
        scratch.matches.clear();
        self.tables.read().lookup(keys, scratch, candidates);
        &scratch.matches
    }

    /// Does up to `budget` steps of the work that ended holders left behind;
    /// applies do a little of it, too. Returns whether more is left.
    pub fn sweep(&self, _budget: usize) -> bool {
        false
    }

    /// What the index holds now.
    #[must_use]
    pub fn stats(&self) -> IndexStats {
        self.tables.read().stats()
    }

    /// Memberships refused or forgotten because of the memory limit. While this
    /// is not 0 answers may be too short, and must say so.
    #[must_use]
    pub fn overflowed(&self) -> u64 {
        self.tables.read().stats.overflowed
    }
}

/// An index in the making; see [`PrefixIndex::builder`].
#[derive(Debug)]
pub struct IndexBuilder {
    limits: IndexLimits,
    tables: Tables,
}

impl IndexBuilder {
    /// Applies one delta of the snapshot.
    pub fn apply(&mut self, delta: &Delta) {
        self.tables.apply(delta, self.limits);
    }

    /// Applies deltas in order.
    pub fn apply_all(&mut self, deltas: &[Delta]) {
        for delta in deltas {
            self.apply(delta);
        }
    }

    /// What has been built so far.
    #[must_use]
    pub fn stats(&self) -> IndexStats {
        self.tables.stats()
    }
}

#[derive(Debug, Default)]
struct Tables {
    blocks: HashMap<BlockKey, HashMap<Holder, MediumSet>>,
    holders: HashMap<Holder, u64>,
    stats: IndexStats,
}

impl Tables {
    fn apply(&mut self, delta: &Delta, limits: IndexLimits) {
        match delta {
            Delta::HolderBegan { holder, .. } => {
                self.holders.entry(*holder).or_default();
            }
            Delta::HolderEnded { holder } => {
                self.holders.remove(holder);
                for set in self.blocks.values_mut() {
                    set.remove(holder);
                }
                self.blocks.retain(|_, set| !set.is_empty());
            }
            Delta::Stored {
                holder,
                medium,
                keys,
            } => {
                let Some(count) = self.holders.get_mut(holder) else {
                    self.stats.unknown_holder += 1;
                    return;
                };
                for key in keys {
                    if self.blocks.len() * size_of::<(BlockKey, [u64; 8])>() >= limits.max_bytes {
                        self.stats.overflowed += 1;
                        continue;
                    }
                    let media = self
                        .blocks
                        .entry(*key)
                        .or_default()
                        .entry(*holder)
                        .or_default();
                    *count += u64::from(!media.contains(*medium));
                    *media = media.with(*medium);
                }
            }
            Delta::Removed {
                holder,
                medium,
                keys,
            } => {
                let Some(count) = self.holders.get_mut(holder) else {
                    self.stats.unknown_holder += 1;
                    return;
                };
                for key in keys {
                    let Some(set) = self.blocks.get_mut(key) else {
                        continue;
                    };
                    let Some(media) = set.get_mut(holder) else {
                        continue;
                    };
                    *count -= u64::from(media.contains(*medium));
                    *media = media.without(*medium);
                    if media.is_empty() {
                        set.remove(holder);
                    }
                    if set.is_empty() {
                        self.blocks.remove(key);
                    }
                }
            }
            Delta::Status(_) | Delta::Space(_) | Delta::PublisherRemoved { .. } => {}
        }
    }

    fn lookup(&self, keys: &[BlockKey], scratch: &mut Scratch, candidates: Option<&HolderFilter>) {
        let Some(first) = keys.first().and_then(|key| self.blocks.get(key)) else {
            return;
        };
        for holder in first
            .keys()
            .filter(|h| candidates.is_none_or(|c| c.allows(**h)))
        {
            let mut matched = Match::new(*holder);
            for (end, key) in (1_u32..).zip(keys) {
                match self.blocks.get(key).and_then(|set| set.get(holder)) {
                    Some(media) => matched.extend(*media, end),
                    None => break,
                }
            }
            scratch.matches.push(matched);
        }
    }

    fn stats(&self) -> IndexStats {
        IndexStats {
            blocks: self.blocks.len(),
            memberships: self.holders.values().sum(),
            holders: self.holders.len(),
            bytes: self.blocks.capacity() * size_of::<(BlockKey, [u64; 8])>(),
            ..self.stats
        }
    }
}
