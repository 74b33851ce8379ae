//! The state of all publishers, and what each command does to it.

mod events;
mod remove;

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use proto_model::{
    Command, Cursor, Delta, Holder, Incarnation, Outcome, Publisher, Refusal, RouteRecorded,
    Source, Trust,
};

use crate::counters::{Counters, StateStats};
use crate::emit::Emit;
use crate::entry::{Entry, Shared};
use crate::limits::StateLimits;
use crate::routes::Routes;

/// Everything that the index knows of all publishers.
///
/// Cloning is cheap (one pointer per publisher): the clone is a picture of this
/// moment, and a publisher's blocks are copied only when it changes while the
/// picture is still held.
#[derive(Debug, Clone)]
pub struct State {
    pub(crate) limits: StateLimits,
    pub(crate) publishers: BTreeMap<Arc<Publisher>, Arc<Entry>>,
    pub(crate) holders: Holders,
    pub(crate) parked_total: usize,
    pub(crate) blocks_total: usize,
    pub(crate) routes: Routes,
    counters: Counters,
}

/// Gives out holder numbers, each once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Holders {
    pub(crate) next: u32,
}

impl Holders {
    /// The next number, or `None` if all have been used.
    pub(crate) fn next(&mut self) -> Option<Holder> {
        let following = self.next.checked_add(1)?;
        Some(Holder(std::mem::replace(&mut self.next, following)))
    }
}

impl State {
    /// An empty state.
    #[must_use]
    pub fn new(limits: StateLimits) -> Self {
        Self {
            limits,
            publishers: BTreeMap::new(),
            holders: Holders { next: 1 },
            parked_total: 0,
            blocks_total: 0,
            routes: Routes::default(),
            counters: Counters::default(),
        }
    }

    /// Applies one command, adds to `deltas` what it changed for readers, and
    /// says what became of it.
    pub fn apply(&mut self, command: &Command, deltas: &mut Vec<Delta>) -> Outcome {
        let outcome = match command {
            Command::Events(events) => self.apply_events(events, deltas),
            Command::Gap {
                publisher,
                incarnation,
                next,
            } => self.apply_gap(publisher, *incarnation, *next, deltas),
            Command::Reset {
                publisher,
                incarnation,
            } => self.apply_reset(publisher, *incarnation, deltas),
            Command::EndpointRemoved { endpoint, rank } => {
                self.remove_endpoint(endpoint, *rank, deltas);
                Outcome::default()
            }
            Command::RouteRecorded(route) => self.apply_route(route, deltas),
            Command::Expire { until } => {
                self.expire_routes(*until, deltas);
                Outcome::default()
            }
        };
        self.counters.messages_duplicate += u64::from(outcome.duplicates);
        self.counters.messages_stale += u64::from(outcome.stale);
        self.counters.refused += u64::from(outcome.refused.is_some());
        outcome
    }

    /// Where the publisher stands; `None` if it is not known by its events.
    #[must_use]
    pub fn cursor(&self, publisher: &Publisher) -> Option<Cursor> {
        self.publishers.get(publisher).map(|entry| entry.cursor())
    }

    /// The publishers known by their events, in order.
    pub fn publishers(&self) -> impl Iterator<Item = &Publisher> {
        self.publishers.keys().map(AsRef::as_ref)
    }

    /// The first publisher after `after`, or of all, that is known by its events
    /// or by routes; to go through them in pieces.
    #[must_use]
    pub fn next_publisher(&self, after: Option<&Publisher>) -> Option<&Publisher> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let by_events = self.publishers_from(from).next();
        let by_routes = self.routes.publishers_from(from).next();
        by_events.into_iter().chain(by_routes).min()
    }

    /// Those known by their events.
    pub(crate) fn publishers_from<'a>(
        &'a self,
        from: Bound<&Publisher>,
    ) -> impl Iterator<Item = &'a Publisher> {
        let range = self
            .publishers
            .range::<Publisher, _>((from, Bound::Unbounded));
        range.map(|(publisher, _)| publisher.as_ref())
    }

    /// What the state holds, counted; takes time in proportion to publishers.
    #[must_use]
    pub fn stats(&self) -> StateStats {
        let mut stats = StateStats {
            publishers: self.publishers.len() as u64,
            parked: self.parked_total as u64,
            route_keys: self.routes.keys() as u64,
            table_bytes: self.routes.bytes() as u64,
            counters: self.counters,
            ..StateStats::default()
        };
        for entry in self.publishers.values() {
            stats.blocks += entry.table.len() as u64;
            stats.table_bytes += entry.table.bytes() as u64;
            for medium in proto_model::Medium::ALL {
                stats.memberships += entry.table.members(medium);
            }
        }
        stats
    }

    fn apply_gap(
        &mut self,
        publisher: &Publisher,
        incarnation: Option<Incarnation>,
        next: u64,
        deltas: &mut Vec<Delta>,
    ) -> Outcome {
        let Some(entry) = self.publishers.get(publisher) else {
            return self.join_at(publisher, incarnation, next, deltas);
        };
        let meant = match incarnation {
            Some(incarnation) => incarnation == entry.incarnation,
            None => entry.is_untouched(),
        };
        // A gap of nothing says that what comes next may not follow on what there
        // is. Without an incarnation it would be the repetition of one before.
        let says_something = match incarnation {
            Some(_) => next >= entry.position.next,
            None => next > entry.position.next,
        };
        if !meant || !says_something {
            return Outcome {
                cursor: Some(entry.cursor()),
                ..Outcome::default()
            };
        }
        self.with_entry(publisher, deltas, |entry, _, shared| {
            entry.skip_to(next, Trust::Suspect, shared);
            Outcome::default()
        })
    }

    /// A publisher is first heard of in the middle of its history.
    fn join_at(
        &mut self,
        publisher: &Publisher,
        incarnation: Option<Incarnation>,
        next: u64,
        deltas: &mut Vec<Delta>,
    ) -> Outcome {
        if incarnation.is_some() || next == 0 {
            return Outcome::default();
        }
        if !self.add_publisher(publisher, deltas) {
            return Outcome {
                refused: Some(Refusal::TooManyPublishers),
                ..Outcome::default()
            };
        }
        self.with_entry(publisher, deltas, |entry, _, shared| {
            entry.skip_to(next, Trust::Partial, shared);
            Outcome::default()
        })
    }

    fn apply_reset(
        &mut self,
        publisher: &Publisher,
        incarnation: Incarnation,
        deltas: &mut Vec<Delta>,
    ) -> Outcome {
        let Some(entry) = self.publishers.get(publisher) else {
            return Outcome::default();
        };
        if entry.incarnation != incarnation {
            return Outcome {
                cursor: Some(entry.cursor()),
                ..Outcome::default()
            };
        }
        self.with_entry(publisher, deltas, |entry, emit, shared| {
            entry.reset(emit, shared, publisher);
            Outcome {
                restarted: true,
                ..Outcome::default()
            }
        })
    }

    fn apply_route(&mut self, route: &RouteRecorded, deltas: &mut Vec<Delta>) -> Outcome {
        let (limits, holders) = (&self.limits, &mut self.holders);
        let by_events = self.publishers.contains_key(&route.publisher);
        let recorded = self
            .routes
            .record(route, by_events, limits, holders, deltas);
        let refused = recorded.err();
        self.counters.routes_recorded += u64::from(refused.is_none());
        Outcome {
            refused,
            ..Outcome::default()
        }
    }

    /// Makes room for a publisher; false if there is none.
    fn add_publisher(&mut self, publisher: &Publisher, deltas: &mut Vec<Delta>) -> bool {
        if self.publishers.len() >= self.limits.publishers {
            return false;
        }
        let Some(holder) = self.holders.next() else {
            return false;
        };
        deltas.push(Delta::HolderBegan {
            holder,
            publisher: publisher.clone(),
            source: Source::Confirmed,
        });
        self.publishers
            .insert(Arc::new(publisher.clone()), Arc::new(Entry::new(holder)));
        self.routes.heard(publisher);
        true
    }

    /// Changes a known publisher, and reports its standing if that changed.
    fn with_entry(
        &mut self,
        publisher: &Publisher,
        deltas: &mut Vec<Delta>,
        change: impl FnOnce(&mut Entry, &mut Emit<'_>, &mut Shared<'_>) -> Outcome,
    ) -> Outcome {
        let Some(entry) = self.publishers.get_mut(publisher) else {
            return Outcome::default();
        };
        let entry = Arc::make_mut(entry);
        let (before, from) = (entry.standing(), deltas.len());
        let blocks_elsewhere = self.blocks_total.saturating_sub(entry.table.weight());
        let mut emit = Emit::new(deltas, entry.holder);
        let mut shared = Shared {
            limits: &self.limits,
            counters: &mut self.counters,
            parked_total: &mut self.parked_total,
            blocks_elsewhere,
            holders: &mut self.holders,
            cache_ended: false,
        };
        let mut outcome = change(entry, &mut emit, &mut shared);
        emit.flush();
        let cache_ended = shared.cache_ended;
        self.blocks_total = blocks_elsewhere.saturating_add(entry.table.weight());
        outcome.cursor = Some(entry.cursor());
        if !self.routes.is_empty() {
            self.routes.follow(publisher, cache_ended, from, deltas);
        }
        if entry.standing() != before {
            deltas.push(Delta::Status(entry.status(publisher)));
        }
        outcome
    }
}
