//! Who is who: publishers, their holders, and the key spaces of every model.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use proto_model::{Delta, Holder, KeySpace, Publisher, PublisherStatus, SpaceAnnounced};

/// One publisher, as far as deltas have told.
#[derive(Debug, Clone)]
pub struct KnownPublisher {
    /// Its name, shared with every answer that lists it.
    pub name: Arc<Publisher>,
    /// Its standing; `None` until the store has reported it.
    pub status: Option<PublisherStatus>,
    /// The holder of its current epoch.
    pub holder: Option<Holder>,
    /// The spaces that it stores blocks in.
    pub spaces: BTreeSet<Arc<KeySpace>>,
}

impl KnownPublisher {
    /// The base model that it serves; empty until the store has said.
    #[must_use]
    pub fn model(&self) -> &str {
        self.status.as_ref().map_or("", |status| &status.model)
    }
}

/// All publishers and spaces. Small beside the index: its size is that of the
/// fleet, not of its caches.
#[derive(Debug, Default)]
pub struct Directory {
    publishers: BTreeMap<Publisher, KnownPublisher>,
    holders: HashMap<Holder, Publisher>,
    /// Spaces by base model, with the number of publishers in each.
    spaces: BTreeMap<String, BTreeMap<Arc<KeySpace>, usize>>,
}

impl Directory {
    /// Whose epoch a holder is; `None` once it has ended.
    #[must_use]
    pub fn holder(&self, holder: Holder) -> Option<&KnownPublisher> {
        self.publishers.get(self.holders.get(&holder)?)
    }

    /// All publishers, by name.
    pub fn publishers(&self) -> impl Iterator<Item = &KnownPublisher> {
        self.publishers.values()
    }

    /// The publishers whose names follow `after`, in order.
    pub fn publishers_after(
        &self,
        after: Option<&Publisher>,
    ) -> impl Iterator<Item = &KnownPublisher> {
        use std::ops::Bound::{Excluded, Unbounded};
        let from = after.map_or(Unbounded, Excluded);
        self.publishers
            .range((from, Unbounded))
            .map(|(_, known)| known)
    }

    /// How many publishers there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.publishers.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.publishers.is_empty()
    }

    /// The base models that somebody serves or has stored blocks of, by name.
    #[must_use]
    pub fn models(&self) -> BTreeSet<&str> {
        let served = self
            .publishers()
            .map(KnownPublisher::model)
            .filter(|name| !name.is_empty());
        self.spaces
            .keys()
            .map(String::as_str)
            .chain(served)
            .collect()
    }

    /// Whether somebody serves the model, or has stored blocks of it.
    #[must_use]
    pub fn knows_model(&self, model: &str) -> bool {
        self.spaces.contains_key(model) || self.publishers().any(|known| known.model() == model)
    }

    /// The key spaces of a model, adapters' included.
    pub fn spaces(&self, model: &str) -> impl Iterator<Item = &Arc<KeySpace>> {
        self.spaces.get(model).into_iter().flat_map(BTreeMap::keys)
    }

    /// The base models that have an adapter of this name.
    #[must_use]
    pub fn models_with_adapter(&self, lora: &str) -> BTreeSet<&str> {
        let has = |spaces: &BTreeMap<Arc<KeySpace>, usize>| {
            spaces
                .keys()
                .any(|space| space.lora.as_deref() == Some(lora))
        };
        self.spaces
            .iter()
            .filter(|(_, spaces)| has(spaces))
            .map(|(name, _)| name.as_str())
            .collect()
    }

    pub(super) fn apply(&mut self, delta: &Delta) {
        match delta {
            Delta::HolderBegan { holder, publisher } => {
                self.entry(publisher).holder = Some(*holder);
                self.holders.insert(*holder, publisher.clone());
            }
            Delta::HolderEnded { holder } => self.end(*holder),
            Delta::Status(status) => {
                self.entry(&status.publisher).status = Some(status.clone());
            }
            Delta::Space(announced) => self.announce(announced),
            Delta::PublisherRemoved { publisher } => self.remove(publisher),
            Delta::Stored { .. } | Delta::Removed { .. } => {}
        }
    }

    fn entry(&mut self, publisher: &Publisher) -> &mut KnownPublisher {
        self.publishers
            .entry(publisher.clone())
            .or_insert_with(|| KnownPublisher {
                name: Arc::new(publisher.clone()),
                status: None,
                holder: None,
                spaces: BTreeSet::new(),
            })
    }

    fn end(&mut self, holder: Holder) {
        let Some(publisher) = self.holders.remove(&holder) else {
            return;
        };
        if let Some(known) = self.publishers.get_mut(&publisher)
            && known.holder == Some(holder)
        {
            known.holder = None;
        }
    }

    fn announce(&mut self, announced: &SpaceAnnounced) {
        let spaces = self
            .spaces
            .entry(announced.space.model.clone())
            .or_default();
        // One copy of a space, however many publishers use it.
        let space = match spaces.get_key_value(&announced.space) {
            Some((space, _)) => Arc::clone(space),
            None => Arc::new(announced.space.clone()),
        };
        let users = spaces.entry(Arc::clone(&space)).or_default();
        *users += 1;
        if !self.entry(&announced.publisher).spaces.insert(space)
            && let Some(users) = self
                .spaces
                .get_mut(&announced.space.model)
                .and_then(|spaces| spaces.get_mut(&announced.space))
        {
            *users -= 1;
        }
    }

    fn remove(&mut self, publisher: &Publisher) {
        let Some(known) = self.publishers.remove(publisher) else {
            return;
        };
        if let Some(holder) = known.holder {
            self.holders.remove(&holder);
        }
        for space in known.spaces {
            let Some(spaces) = self.spaces.get_mut(&space.model) else {
                continue;
            };
            if let Some(users) = spaces.get_mut(&space) {
                *users -= 1;
                if *users == 0 {
                    spaces.remove(&space);
                }
            }
            if spaces.is_empty() {
                self.spaces.remove(&space.model);
            }
        }
    }
}
