//! Recording a route.

use std::sync::Arc;

use proto_model::{Delta, Publisher, Refusal, RouteRecorded};

use super::{RouteTable, Routes, place};
use crate::limits::StateLimits;
use crate::state::Holders;

impl Routes {
    /// Records a route and tells readers. One without keys, or that was over when
    /// it was recorded, says nothing. `by_events`: whether events tell of the
    /// publisher, too.
    ///
    /// # Errors
    /// If a limit leaves no room for it; then nothing changes.
    pub(crate) fn record(
        &mut self,
        route: &RouteRecorded,
        by_events: bool,
        limits: &StateLimits,
        holders: &mut Holders,
        deltas: &mut Vec<Delta>,
    ) -> Result<(), Refusal> {
        let over = |at| at <= route.recorded_at;
        if route.keys.is_empty() || route.expires_at.is_some_and(over) {
            return Ok(());
        }
        let makes_way = self.makes_way(route, by_events, limits)?;
        let known = self.table(route).map(|table| table.holder);
        let holder = match known {
            Some(holder) => holder,
            None => holders.next().ok_or(Refusal::TooManyPublishers)?,
        };
        if let Some(publisher) = makes_way {
            self.remove(&publisher, deltas);
            let publisher = Publisher::clone(&publisher);
            deltas.push(Delta::PublisherRemoved { publisher });
        }
        if known.is_none() {
            deltas.push(Delta::HolderBegan {
                holder,
                publisher: route.publisher.clone(),
                source: route.kind.source(),
            });
        }
        let elsewhere = self.keys_elsewhere(route);
        let name = match self.known.get_key_value(&route.publisher) {
            Some((name, _)) => Arc::clone(name),
            None => Arc::new(route.publisher.clone()),
        };
        let tables = self.known.entry(Arc::clone(&name)).or_default();
        let tables = Arc::make_mut(tables);
        let before = tables.touched();
        let table =
            tables.by_kind[place(route.kind)].get_or_insert_with(|| RouteTable::new(holder));
        table.touched = table.touched.max(route.recorded_at);
        table.drop_expired(route.recorded_at, deltas);
        let keys = route.keys.iter().map(|key| key.0);
        let room = room(route, limits, elsewhere);
        table.touch(keys, route.expires_at, room, deltas);
        self.keys = elsewhere + table.keys.len();
        if !by_events {
            self.unheard.used(&name, before, tables.touched());
        }
        Ok(())
    }

    /// The publisher that the route needs gone: of those that only routes tell
    /// of, the one that was longest unused.
    fn makes_way(
        &self,
        route: &RouteRecorded,
        by_events: bool,
        limits: &StateLimits,
    ) -> Result<Option<Arc<Publisher>>, Refusal> {
        let mut others = self.unheard.oldest_first();
        if room(route, limits, self.keys_elsewhere(route)) == 0 {
            let has_keys = |name: &&Arc<Publisher>| {
                let tables = self.known.get(name.as_ref());
                ***name != route.publisher && tables.is_some_and(|tables| tables.keys() > 0)
            };
            let found = others.find(has_keys).ok_or(Refusal::TooManyRoutes)?;
            return Ok(Some(Arc::clone(found)));
        }
        let comes = !by_events && !self.known.contains_key(&route.publisher);
        if comes && self.unheard.len() >= limits.routed_publishers {
            let found = others.next().ok_or(Refusal::TooManyPublishers)?;
            return Ok(Some(Arc::clone(found)));
        }
        Ok(None)
    }

    fn table(&self, route: &RouteRecorded) -> Option<&RouteTable> {
        self.known.get(&route.publisher)?.get(route.kind)
    }

    /// Keys of all tables but the route's own.
    fn keys_elsewhere(&self, route: &RouteRecorded) -> usize {
        self.keys - self.table(route).map_or(0, |table| table.keys.len())
    }
}

/// Keys that the route's table may have.
fn room(route: &RouteRecorded, limits: &StateLimits, elsewhere: usize) -> usize {
    let wanted = usize::try_from(route.capacity.max(1)).unwrap_or(usize::MAX);
    wanted
        .min(limits.route_keys_per_publisher)
        .min(limits.route_keys.saturating_sub(elsewhere))
}
