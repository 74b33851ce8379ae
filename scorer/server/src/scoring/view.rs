//! What one answer is taken from: every store's content, at one moment each.

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::RwLockReadGuard;
use proto_api::ReplicaState;
use proto_model::{KeySpace, Publisher};

use super::Warnings;
use crate::replica::{Content, Directory, Replicas, Standing};

/// The contents, in the order of the stores, and where they stood before anything
/// was looked up in them: an answer may know more than that, never less.
#[derive(Debug)]
pub(crate) struct View {
    contents: Vec<Arc<Content>>,
    standing: Standing,
}

/// All stores' directories, as one. Hold it for a moment only.
pub(crate) struct Directories<'a> {
    each: Vec<RwLockReadGuard<'a, Directory>>,
}

impl View {
    pub(crate) fn of(replicas: &Replicas) -> Self {
        let contents: Vec<_> = replicas.iter().map(|replica| replica.content()).collect();
        let revisions = contents.iter().map(|content| content.revision());
        let standing = replicas.standing(revisions);
        Self { contents, standing }
    }

    pub(crate) fn contents(&self) -> &[Arc<Content>] {
        &self.contents
    }

    pub(crate) fn directories(&self) -> Directories<'_> {
        let each = self.contents.iter().map(|content| content.directory());
        Directories {
            each: each.collect(),
        }
    }

    /// Names the stores that cannot be heard now. Of a single store the answer's
    /// state says it.
    pub(crate) fn warn(&self, warnings: &mut Warnings) {
        let named = |state: ReplicaState| {
            let stores = self.standing.stores.iter();
            let names = stores.filter(|store| store.state == state);
            names.map(|store| &store.cluster[..]).collect::<Vec<_>>()
        };
        let stale = named(ReplicaState::Stale);
        if !stale.is_empty() {
            warnings.push(format!(
                "cut off from the store of {}: right as of its revision in stores",
                stale.join(", ")
            ));
        }
        let starting = named(ReplicaState::Starting);
        if !starting.is_empty() {
            warnings.push(format!(
                "the store of {} is not loaded yet: nothing is known of its endpoints",
                starting.join(", ")
            ));
        }
    }

    pub(crate) fn into_standing(self) -> Standing {
        self.standing
    }
}

/// How many publishers have one name.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Listed {
    pub(crate) all: usize,
    /// Of whom more is known than where requests were sent.
    pub(crate) by_events: usize,
}

impl Directories<'_> {
    /// One per store, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Directory> {
        self.each.iter().map(|directory| &**directory)
    }

    /// See [`Directory::models`].
    pub(crate) fn models(&self) -> BTreeSet<&str> {
        self.iter().flat_map(Directory::models).collect()
    }

    /// See [`Directory::knows_model`].
    pub(crate) fn know_model(&self, model: &str) -> bool {
        self.iter().any(|directory| directory.knows_model(model))
    }

    /// The key spaces of a model, each once.
    pub(crate) fn spaces(&self, model: &str) -> BTreeSet<&Arc<KeySpace>> {
        self.iter()
            .flat_map(|directory| directory.spaces(model))
            .collect()
    }

    /// See [`Directory::models_with_adapter`].
    pub(crate) fn models_with_adapter(&self, lora: &str) -> BTreeSet<&str> {
        self.iter()
            .flat_map(|directory| directory.models_with_adapter(lora))
            .collect()
    }

    /// How many publishers are listed by this name: in all, and by their events.
    pub(crate) fn listed(&self, name: &Publisher) -> Listed {
        let named = |directory: &Directory| -> (usize, usize) {
            let from = directory.publishers_from(Some(name));
            let named = from.take_while(|known| *known.name == *name);
            named.fold((0, 0), |(all, by_events), known| {
                (all + 1, by_events + usize::from(!known.is_routed_only()))
            })
        };
        self.iter()
            .map(named)
            .fold(Listed::default(), |so_far, (all, by_events)| Listed {
                all: so_far.all + all,
                by_events: so_far.by_events + by_events,
            })
    }
}
