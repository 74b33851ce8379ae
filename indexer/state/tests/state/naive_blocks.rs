//! The naive model's blocks: copies, keys, parked copies.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use proto_model::*;

#[derive(Debug)]
pub(crate) struct NaiveBlocks {
    pub(crate) trust: Trust,
    pub(crate) spaces: BTreeSet<KeySpace>,
    pub(crate) parked: Vec<Parked>,
    /// What each held hash means: its key and the scope of its key.
    meaning: BTreeMap<u64, (BlockKey, u64)>,
    /// Copies per (hash, group, medium), never zero.
    copies: BTreeMap<(u64, u16, Medium), u64>,
    /// Every (medium, group) that was seen to store.
    groups: BTreeSet<(Medium, u16)>,
    /// What is on the GPU, and what was there since [`Self::take_news`].
    on_gpu: BTreeSet<BlockKey>,
    news: News,
    excluded: BTreeSet<u16>,
}

impl Default for NaiveBlocks {
    fn default() -> Self {
        Self {
            trust: Trust::Exact,
            spaces: BTreeSet::new(),
            parked: Vec::new(),
            meaning: BTreeMap::new(),
            copies: BTreeMap::new(),
            groups: BTreeSet::new(),
            on_gpu: BTreeSet::new(),
            news: News::default(),
            excluded: BTreeSet::new(),
        }
    }
}

/// What events say that matters to routes.
#[derive(Debug, Clone, Default)]
pub(crate) struct News {
    /// Keys that were on the GPU and then were not.
    pub(crate) given_up: BTreeSet<BlockKey>,
    /// Whether nothing is left there.
    pub(crate) ended: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Parked {
    hash: u64,
    needs: u64,
    local: Option<LocalHash>,
    scope: Scope,
    medium: Medium,
    group: u16,
}

impl NaiveBlocks {
    /// Every (medium, key) with a copy in every group known on the medium.
    pub(crate) fn members(&self) -> BTreeSet<(Medium, BlockKey)> {
        let mut members = BTreeSet::new();
        for (hash, (key, _)) in &self.meaning {
            for medium in Medium::ALL {
                let mut groups = self.groups.iter().filter(|(m, _)| *m == medium).peekable();
                let any = groups.peek().is_some();
                if any && groups.all(|(_, g)| self.copies.contains_key(&(*hash, *g, medium))) {
                    members.insert((medium, *key));
                }
            }
        }
        members
    }

    pub(crate) fn take_news(&mut self) -> News {
        std::mem::take(&mut self.news)
    }

    /// Notes what has left the GPU.
    fn look(&mut self) {
        let members = self.members();
        let on_gpu = members.iter().filter(|(medium, _)| *medium == Medium::Gpu);
        let on_gpu: BTreeSet<_> = on_gpu.map(|(_, key)| *key).collect();
        let before = std::mem::replace(&mut self.on_gpu, on_gpu);
        self.news.given_up.extend(before.difference(&self.on_gpu));
    }

    pub(crate) fn change(&mut self, change: &Change, spaces: &[KeySpace]) {
        if let Change::Cleared { medium } = change {
            self.news.ended |= medium.is_none_or(|medium| medium == Medium::Gpu);
        }
        match change {
            Change::Stored {
                space,
                medium,
                group,
                parent,
                blocks,
            } => {
                let mut parent = parent.map(|hash| hash.0);
                for block in blocks {
                    self.store(
                        &spaces[usize::from(*space)],
                        *medium,
                        *group,
                        parent,
                        *block,
                    );
                    parent = Some(block.hash.0);
                }
            }
            Change::StoredByHash {
                medium,
                group,
                space,
                hashes,
            } => {
                for hash in hashes {
                    self.store_by_hash(&spaces[usize::from(*space)], *medium, *group, hash.0);
                }
            }
            Change::Removed {
                medium,
                group,
                hashes,
            } => {
                hashes
                    .iter()
                    .for_each(|hash| self.remove(hash.0, *group, *medium));
            }
            Change::Cleared { medium: None } => {
                (self.trust, self.parked) = (Trust::Exact, Vec::new());
                self.copies.clear();
            }
            Change::Cleared {
                medium: Some(medium),
            } => {
                self.parked.retain(|parked| parked.medium != *medium);
                self.copies.retain(|(_, _, m), _| m != medium);
            }
            Change::GroupExcluded { group } => {
                self.excluded.insert(*group);
                self.groups.retain(|(_, g)| g != group);
                self.parked.retain(|parked| parked.group != *group);
                self.copies.retain(|(_, g, _), _| g != group);
            }
            Change::Unreadable => self.trust = self.trust.min(Trust::Suspect),
        }
        self.forget_what_has_no_copies();
    }

    /// Names the space and the group; false if the copies do not count.
    fn counts(&mut self, space: &KeySpace, medium: Medium, group: u16) -> bool {
        self.spaces.insert(space.clone());
        if !self.excluded.contains(&group) {
            self.groups.insert((medium, group));
            self.look();
        }
        !self.excluded.contains(&group)
    }

    fn store(
        &mut self,
        space: &KeySpace,
        medium: Medium,
        group: u16,
        parent: Option<u64>,
        block: StoredBlock,
    ) {
        if !self.counts(space, medium, group) {
            return;
        }
        let (hash, scope) = (block.hash.0, space.scope());
        let parked = Parked {
            hash,
            needs: parent.unwrap_or(hash),
            local: Some(block.local),
            scope,
            medium,
            group,
        };
        let key = match (space.profile, parent) {
            (Profile::Engine, _) => Some(scope.engine_key(block.hash)),
            (Profile::Content, None) => Some(scope.key(ContentChain::root().push(block.local))),
            (Profile::Content, Some(_)) => self.resolve(&parked),
        };
        match key {
            Some(key) => self.add_and_wake(hash, key, scope, medium, group),
            None => self.parked.push(parked),
        }
    }

    fn store_by_hash(&mut self, space: &KeySpace, medium: Medium, group: u16, hash: u64) {
        if !self.counts(space, medium, group) {
            return;
        }
        let scope = space.scope();
        if space.profile == Profile::Engine {
            let key = scope.engine_key(EngineHash(hash));
            return self.add_and_wake(hash, key, scope, medium, group);
        }
        match self.meaning.get(&hash) {
            Some((key, _)) => self.add_and_wake(hash, *key, scope, medium, group),
            None => {
                self.parked.push(Parked {
                    hash,
                    needs: hash,
                    local: None,
                    scope,
                    medium,
                    group,
                });
            }
        }
    }

    fn remove(&mut self, hash: u64, group: u16, medium: Medium) {
        if let Some(count) = self.copies.get_mut(&(hash, group, medium)) {
            *count -= 1;
            self.copies.retain(|_, count| *count > 0);
        } else if let Some(at) = self
            .parked
            .iter()
            .position(|p| (p.hash, p.group, p.medium) == (hash, group, medium))
        {
            self.parked.remove(at);
        }
        self.forget_what_has_no_copies();
    }

    /// The key of a copy whose parent (or, without content, whose own hash) is held.
    fn resolve(&self, parked: &Parked) -> Option<BlockKey> {
        let (key, scope) = self.meaning.get(&parked.needs)?;
        match parked.local {
            None => Some(*key),
            Some(_) if *scope != parked.scope.0 => None,
            Some(local) => {
                let mut chain = ContentChain::after(parked.scope.chain(*key));
                Some(parked.scope.key(chain.push(local)))
            }
        }
    }

    fn add_and_wake(&mut self, hash: u64, key: BlockKey, scope: Scope, medium: Medium, group: u16) {
        let mut known = VecDeque::new();
        if self.add(hash, key, scope, medium, group) {
            known.push_back(hash);
        }
        while let Some(hash) = known.pop_front() {
            let waiting: Vec<Parked> = self
                .parked
                .iter()
                .filter(|parked| parked.needs == hash)
                .cloned()
                .collect();
            let stay = |p: &Parked| p.needs != hash || self.resolve(p).is_none();
            let stays: Vec<Parked> = self.parked.iter().filter(|p| stay(p)).cloned().collect();
            self.parked = stays;
            for parked in waiting {
                let Some(key) = self.resolve(&parked) else {
                    continue;
                };
                if self.add(parked.hash, key, parked.scope, parked.medium, parked.group) {
                    known.push_back(parked.hash);
                }
            }
        }
    }

    /// Adds a copy; true if the hash was not held before.
    fn add(&mut self, hash: u64, key: BlockKey, scope: Scope, medium: Medium, group: u16) -> bool {
        let new = !self.meaning.contains_key(&hash);
        let (held, _) = *self.meaning.entry(hash).or_insert((key, scope.0));
        if held != key {
            self.trust = self.trust.min(Trust::Suspect);
        }
        *self.copies.entry((hash, group, medium)).or_default() += 1;
        new
    }

    fn forget_what_has_no_copies(&mut self) {
        let held: BTreeSet<u64> = self.copies.keys().map(|(hash, ..)| *hash).collect();
        self.meaning.retain(|hash, _| held.contains(hash));
        self.look();
    }
}
