//! Who is who: publishers, their holders, and the key spaces of every model.

mod counted;
mod hosts;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use proto_model::{Delta, Holder, KeySpace, Publisher, PublisherStatus, Source, SpaceAnnounced};

use super::label::Label;
use counted::Counted;
use hosts::Hosts;

/// One publisher, as far as deltas have told.
#[derive(Debug, Clone)]
pub struct KnownPublisher {
    /// Its name as it is listed, shared with every answer that lists it.
    pub name: Arc<Publisher>,
    /// The cluster in its own name, where the store's label stands in its place.
    pub own_cluster: Option<String>,
    /// Its standing; `None` until the store has reported it, and for good where
    /// it is known only by routes.
    pub status: Option<PublisherStatus>,
    /// The holder of its current epoch: what its events have told.
    pub holder: Option<Holder>,
    /// The holder of what requests sent to it let expect.
    pub speculative: Option<Holder>,
    /// The holder of what is guessed from requests sent to it.
    pub estimated: Option<Holder>,
    /// The spaces that it stores blocks in.
    pub spaces: BTreeSet<Arc<KeySpace>>,
}

impl KnownPublisher {
    /// The base model that it serves; empty until the store has said.
    #[must_use]
    pub fn model(&self) -> &str {
        self.status.as_ref().map_or("", |status| &status.model)
    }

    /// Whether nothing but routing decisions tell of it.
    #[must_use]
    pub fn is_routed_only(&self) -> bool {
        self.status.is_none() && self.holder.is_none() && self.spaces.is_empty()
    }

    fn place(&mut self, source: Source) -> &mut Option<Holder> {
        match source {
            Source::Confirmed => &mut self.holder,
            Source::Speculative => &mut self.speculative,
            Source::Estimated => &mut self.estimated,
        }
    }

    fn holders(&self) -> impl Iterator<Item = Holder> {
        [self.holder, self.speculative, self.estimated]
            .into_iter()
            .flatten()
    }
}

/// What tells the publishers of a store apart: the name as it is listed and,
/// since one label can stand for several clusters, the cluster of its own name.
type Key = (Publisher, Option<String>);

/// All publishers and spaces. Small beside the index: its size is that of the
/// fleet, not of its caches.
#[derive(Debug, Default)]
pub struct Directory {
    label: Option<Label>,
    publishers: BTreeMap<Key, KnownPublisher>,
    hosts: Hosts,
    /// The base models that publishers serve.
    served: Counted,
    /// The clusters of publishers' own names, where a label stands in their place.
    own_clusters: Counted,
    holders: HashMap<Holder, (Key, Source)>,
    /// Spaces by base model, with the number of publishers in each.
    spaces: BTreeMap<String, BTreeMap<Arc<KeySpace>, usize>>,
}

impl Directory {
    /// An empty directory that lists publishers under `label`, if there is one.
    pub(super) fn new(label: Option<Label>) -> Self {
        Self {
            label,
            ..Self::default()
        }
    }

    /// Whose holder it is, and where its memberships are known from; `None` once
    /// it has ended.
    #[must_use]
    pub fn holder(&self, holder: Holder) -> Option<(&KnownPublisher, Source)> {
        let (key, source) = self.holders.get(&holder)?;
        Some((self.publishers.get(key)?, *source))
    }

    /// All publishers, by name.
    pub fn publishers(&self) -> impl Iterator<Item = &KnownPublisher> {
        self.publishers.values()
    }

    /// The publishers listed as `from` or after it, in order.
    pub fn publishers_from<'a>(
        &'a self,
        from: Option<&Publisher>,
    ) -> impl Iterator<Item = &'a KnownPublisher> + use<'a> {
        use std::ops::Bound::{Included, Unbounded};
        // No cluster of its own comes before any.
        let from = from.map(|name| (name.clone(), None));
        let from = from.map_or(Unbounded, Included);
        self.publishers
            .range((from, Unbounded))
            .map(|(_, known)| known)
    }

    /// The publishers that a candidate of this address can name: those at its host,
    /// and if it has a port, only those with the same one or none.
    pub fn at_address(&self, address: &str) -> impl Iterator<Item = &KnownPublisher> {
        let keys = self.hosts.at(address);
        keys.filter_map(|key| self.publishers.get(key))
    }

    /// The cluster of all publishers' own names, if a label stands in its place
    /// and it is one.
    #[must_use]
    pub fn own_cluster(&self) -> Option<&str> {
        self.own_clusters.only()
    }

    /// The cluster that all publishers are listed under, if it is one.
    #[must_use]
    pub fn only_cluster(&self) -> Option<&str> {
        // Names are in the order of their clusters.
        let (first, _) = self.publishers.first_key_value()?;
        let (last, _) = self.publishers.last_key_value()?;
        let (first, last) = (first.0.endpoint.cluster(), last.0.endpoint.cluster());
        (first == last).then_some(first)
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
        let stored = self.spaces.keys().map(String::as_str);
        stored.chain(self.served.names()).collect()
    }

    /// Whether somebody serves the model, or has stored blocks of it.
    #[must_use]
    pub fn knows_model(&self, model: &str) -> bool {
        self.spaces.contains_key(model) || self.served.has(model)
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
            Delta::HolderBegan {
                holder,
                publisher,
                source,
            } => {
                let key = self.key(publisher);
                *self.entry(&key).place(*source) = Some(*holder);
                self.holders.insert(*holder, (key, *source));
            }
            Delta::HolderEnded { holder } => self.end(*holder),
            Delta::Status(status) => {
                let key = self.key(&status.publisher);
                let status = PublisherStatus {
                    publisher: key.0.clone(),
                    ..status.clone()
                };
                self.served.add(&status.model);
                if let Some(before) = self.entry(&key).status.replace(status) {
                    self.served.remove(&before.model);
                }
            }
            Delta::Space(announced) => self.announce(announced),
            Delta::PublisherRemoved { publisher } => self.remove(publisher),
            Delta::Stored { .. } | Delta::Removed { .. } => {}
        }
    }

    fn key(&self, publisher: &Publisher) -> Key {
        match &self.label {
            Some(label) => {
                let own = publisher.endpoint.cluster().to_owned();
                (label.name(publisher), Some(own))
            }
            None => (publisher.clone(), None),
        }
    }

    fn entry(&mut self, key: &Key) -> &mut KnownPublisher {
        let (hosts, own_clusters) = (&mut self.hosts, &mut self.own_clusters);
        self.publishers.entry(key.clone()).or_insert_with(|| {
            hosts.add(key);
            if let Some(cluster) = &key.1 {
                own_clusters.add(cluster);
            }
            KnownPublisher {
                name: Arc::new(key.0.clone()),
                own_cluster: key.1.clone(),
                status: None,
                holder: None,
                speculative: None,
                estimated: None,
                spaces: BTreeSet::new(),
            }
        })
    }

    fn end(&mut self, holder: Holder) {
        let Some((publisher, source)) = self.holders.remove(&holder) else {
            return;
        };
        if let Some(known) = self.publishers.get_mut(&publisher) {
            known.place(source).take_if(|place| *place == holder);
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
        let key = self.key(&announced.publisher);
        if !self.entry(&key).spaces.insert(space)
            && let Some(users) = self
                .spaces
                .get_mut(&announced.space.model)
                .and_then(|spaces| spaces.get_mut(&announced.space))
        {
            *users -= 1;
        }
    }

    fn remove(&mut self, publisher: &Publisher) {
        let key = self.key(publisher);
        let Some(known) = self.publishers.remove(&key) else {
            return;
        };
        self.hosts.remove(&key);
        if let Some(cluster) = &known.own_cluster {
            self.own_clusters.remove(cluster);
        }
        self.served.remove(known.model());
        for holder in known.holders() {
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
