//! Builders and a reader's replica, shared by the tests.

use std::collections::{BTreeMap, BTreeSet};

use proto_model::*;

pub(crate) fn publisher(number: u32) -> Publisher {
    let endpoint = Endpoint::new("test", &format!("10.0.0.{}:8000", number / 2)).expect("valid");
    Publisher {
        endpoint,
        rank: Rank(number % 2),
    }
}

pub(crate) fn space(number: u16) -> KeySpace {
    KeySpace {
        profile: if number == 2 {
            Profile::Engine
        } else {
            Profile::Content
        },
        model: "m".to_owned(),
        lora: (number == 1).then(|| "adapter".to_owned()),
        block_size: 16,
        extras: Extras::Published,
    }
}

pub(crate) fn spaces() -> Vec<KeySpace> {
    (0..3).map(space).collect()
}

pub(crate) fn block(hash: u64, local: u64) -> StoredBlock {
    StoredBlock {
        hash: EngineHash(hash),
        local: LocalHash(local),
    }
}

pub(crate) fn stored(parent: Option<u64>, blocks: &[(u64, u64)]) -> Change {
    Change::Stored {
        space: 0,
        medium: Medium::Gpu,
        group: 0,
        parent: parent.map(EngineHash),
        blocks: blocks
            .iter()
            .map(|(hash, local)| block(*hash, *local))
            .collect(),
    }
}

pub(crate) fn removed(hashes: &[u64]) -> Change {
    let hashes = hashes.iter().copied().map(EngineHash).collect();
    Change::Removed {
        medium: Medium::Gpu,
        group: 0,
        hashes,
    }
}

pub(crate) fn message(sequence: u64, timestamp: u64, changes: Vec<Change>) -> Message {
    Message {
        sequence,
        timestamp: Timestamp(timestamp),
        stream: None,
        changes,
    }
}

pub(crate) fn events(number: u32, messages: Vec<Message>) -> Command {
    let model = "m".to_owned();
    Command::Events(EventsCommand {
        publisher: publisher(number),
        model,
        spaces: spaces(),
        messages,
    })
}

/// The key of a chain of local hashes in space 0.
pub(crate) fn key(locals: &[u64]) -> BlockKey {
    let mut chain = ContentChain::root();
    let value = locals
        .iter()
        .map(|local| chain.push(LocalHash(*local)))
        .last()
        .expect("a block");
    space(0).scope().key(value)
}

/// What a reader makes of deltas; panics where one breaks its promise.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Replica {
    pub(crate) holders: BTreeMap<Holder, (Publisher, Source)>,
    pub(crate) keys: BTreeSet<(Holder, Medium, BlockKey)>,
    pub(crate) status: BTreeMap<Publisher, PublisherStatus>,
    pub(crate) spaces: BTreeMap<Publisher, BTreeSet<KeySpace>>,
    ended: BTreeSet<Holder>,
}

impl Replica {
    pub(crate) fn of<'a>(deltas: impl IntoIterator<Item = &'a Delta>) -> Self {
        let mut replica = Self::default();
        deltas.into_iter().for_each(|delta| replica.apply(delta));
        replica
    }

    /// Without the memory of ended holders, which a view does not list.
    pub(crate) fn now(&self) -> Self {
        Self {
            ended: BTreeSet::new(),
            ..self.clone()
        }
    }

    /// What events told of.
    pub(crate) fn held(&self, publisher: &Publisher) -> BTreeSet<(Medium, BlockKey)> {
        self.held_from(publisher, Source::Confirmed)
    }

    /// What the source told of.
    pub(crate) fn held_from(
        &self,
        publisher: &Publisher,
        source: Source,
    ) -> BTreeSet<(Medium, BlockKey)> {
        let name = (publisher.clone(), source);
        let of = |holder: &Holder| self.holders.get(holder) == Some(&name);
        self.keys
            .iter()
            .filter(|(h, ..)| of(h))
            .map(|(_, medium, key)| (*medium, *key))
            .collect()
    }

    pub(crate) fn apply(&mut self, delta: &Delta) {
        match delta {
            Delta::HolderBegan {
                holder,
                publisher,
                source,
            } => {
                let name = (publisher.clone(), *source);
                assert!(!self.ended.contains(holder), "holder used twice");
                assert!(
                    !self.holders.values().any(|other| *other == name),
                    "two holders at a time"
                );
                assert!(self.holders.insert(*holder, name).is_none());
            }
            Delta::HolderEnded { holder } => {
                assert!(
                    self.holders.remove(holder).is_some(),
                    "ended holder was not there"
                );
                self.keys.retain(|(h, ..)| h != holder);
                self.ended.insert(*holder);
            }
            Delta::Stored {
                holder,
                medium,
                keys,
            } => {
                assert!(self.holders.contains_key(holder), "stored by nobody");
                assert!(!keys.is_empty() && keys.len() <= indexer_state::KEYS_PER_DELTA);
                for key in keys {
                    assert!(
                        self.keys.insert((*holder, *medium, *key)),
                        "stored key is not new"
                    );
                }
            }
            Delta::Removed {
                holder,
                medium,
                keys,
            } => {
                assert!(!keys.is_empty() && keys.len() <= indexer_state::KEYS_PER_DELTA);
                for key in keys {
                    assert!(
                        self.keys.remove(&(*holder, *medium, *key)),
                        "removed key is not there"
                    );
                }
            }
            Delta::Status(status) => {
                let before = self.status.insert(status.publisher.clone(), status.clone());
                assert_ne!(before.as_ref(), Some(status), "status did not change");
            }
            Delta::Space(SpaceAnnounced { publisher, space }) => {
                let spaces = self.spaces.entry(publisher.clone()).or_default();
                assert!(spaces.insert(space.clone()), "space announced twice");
            }
            Delta::PublisherRemoved { publisher } => {
                assert!(
                    !self.holders.values().any(|(of, _)| of == publisher),
                    "holder did not end"
                );
                self.status.remove(publisher);
                self.spaces.remove(publisher);
            }
        }
    }
}
