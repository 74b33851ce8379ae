//! Recording a route.

use std::sync::Arc;

use proto_model::{Delta, Refusal, RouteRecorded};

use super::{RouteTable, Routes, place};
use crate::limits::StateLimits;
use crate::state::Holders;

impl Routes {
    /// Records a route and tells readers. One without keys, or that was over when
    /// it was recorded, says nothing.
    ///
    /// # Errors
    /// If a limit leaves no room for it; then nothing changes.
    pub(crate) fn record(
        &mut self,
        route: &RouteRecorded,
        limits: &StateLimits,
        holders: &mut Holders,
        deltas: &mut Vec<Delta>,
    ) -> Result<(), Refusal> {
        let over = |at| at <= route.recorded_at;
        if route.keys.is_empty() || route.expires_at.is_some_and(over) {
            return Ok(());
        }
        let tables = self.known.get(&route.publisher);
        if tables.is_none() && self.known.len() >= limits.publishers {
            return Err(Refusal::TooManyPublishers);
        }
        let table = tables.and_then(|tables| tables.get(route.kind));
        let elsewhere = self.keys - table.map_or(0, |table| table.keys.len());
        let room = room(route, limits, elsewhere);
        if room == 0 {
            return Err(Refusal::TooManyRoutes);
        }
        let holder = match table {
            Some(table) => table.holder,
            None => {
                let holder = holders.next().ok_or(Refusal::TooManyPublishers)?;
                deltas.push(Delta::HolderBegan {
                    holder,
                    publisher: route.publisher.clone(),
                    source: route.kind.source(),
                });
                holder
            }
        };
        let tables = self.known.entry(Arc::new(route.publisher.clone()));
        let tables = Arc::make_mut(tables.or_default());
        let table =
            tables.by_kind[place(route.kind)].get_or_insert_with(|| RouteTable::new(holder));
        table.touched = table.touched.max(route.recorded_at);
        table.drop_expired(route.recorded_at, deltas);
        let keys = route.keys.iter().map(|key| key.0);
        table.touch(keys, route.expires_at, room, deltas);
        self.keys = elsewhere + table.keys.len();
        Ok(())
    }
}

/// Keys that the route's table may have.
fn room(route: &RouteRecorded, limits: &StateLimits, elsewhere: usize) -> usize {
    let wanted = usize::try_from(route.capacity.max(1)).unwrap_or(usize::MAX);
    wanted
        .min(limits.route_keys_per_publisher)
        .min(limits.route_keys.saturating_sub(elsewhere))
}
