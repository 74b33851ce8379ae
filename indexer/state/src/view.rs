//! The deltas that build a reader's replica from nothing.

use proto_model::{BlockKey, Delta, Medium, Publisher, Source, SpaceAnnounced};

use crate::emit::KEYS_PER_DELTA;
use crate::entry::Entry;
use crate::state::State;

/// Goes through all publishers in order; made by [`State::view`].
#[derive(Debug)]
pub struct View<'a> {
    state: &'a State,
    last: Option<&'a Publisher>,
    deltas: std::vec::IntoIter<Delta>,
}

impl State {
    /// The deltas that build a reader's replica of this state from nothing, each
    /// of at most [`KEYS_PER_DELTA`] keys. They are made publisher by publisher.
    #[must_use]
    pub fn view(&self) -> View<'_> {
        View {
            state: self,
            last: None,
            deltas: Vec::new().into_iter(),
        }
    }

    /// The part of [`State::view`] that is about one publisher; nothing if it is
    /// not known.
    #[must_use]
    pub fn view_of(&self, publisher: &Publisher) -> Vec<Delta> {
        let mut deltas = Vec::new();
        if let Some(entry) = self.publishers.get(publisher) {
            deltas = entry.view(publisher);
        }
        self.routes.view_of(publisher, &mut deltas);
        deltas
    }
}

impl Entry {
    fn view(&self, publisher: &Publisher) -> Vec<Delta> {
        let holder = self.holder;
        let mut deltas = vec![Delta::HolderBegan {
            holder,
            publisher: publisher.clone(),
            source: Source::Confirmed,
        }];
        deltas.extend(self.spaces.iter().map(|known| {
            let (publisher, space) = (publisher.clone(), known.space.clone());
            Delta::Space(SpaceAnnounced { publisher, space })
        }));
        for medium in Medium::ALL {
            for piece in self.member_keys(medium).chunks(KEYS_PER_DELTA) {
                let keys = piece.iter().copied().map(BlockKey).collect();
                deltas.push(Delta::Stored {
                    holder,
                    medium,
                    keys,
                });
            }
        }
        deltas.push(Delta::Status(self.status(publisher)));
        deltas
    }
}

impl Iterator for View<'_> {
    type Item = Delta;

    fn next(&mut self) -> Option<Delta> {
        loop {
            if let Some(delta) = self.deltas.next() {
                return Some(delta);
            }
            let publisher = self.state.next_publisher(self.last)?;
            self.last = Some(publisher);
            self.deltas = self.state.view_of(publisher).into_iter();
        }
    }
}
