//! The naive model's routes: lists that are searched from one end to the other.

use std::collections::{BTreeMap, BTreeSet};

use proto_model::*;

#[derive(Debug, Default)]
pub(crate) struct NaiveRoutes {
    pub(crate) tables: BTreeMap<(Publisher, RouteKind), NaiveTable>,
}

#[derive(Debug, Default)]
pub(crate) struct NaiveTable {
    /// Keys and when they expire, the most recently used first.
    pub(crate) keys: Vec<(BlockKey, Option<Timestamp>)>,
    touched: u64,
}

impl NaiveTable {
    fn expire(&mut self, until: u64) {
        let counts = |at: &Option<Timestamp>| at.is_none_or(|at| at.0 > until);
        self.keys.retain(|(_, at)| counts(at));
    }
}

impl NaiveRoutes {
    pub(crate) fn record(&mut self, route: &RouteRecorded) {
        let over = route.expires_at.is_some_and(|at| at <= route.recorded_at);
        if route.keys.is_empty() || over {
            return;
        }
        let name = (route.publisher.clone(), route.kind);
        let table = self.tables.entry(name).or_default();
        table.touched = table.touched.max(route.recorded_at.0);
        table.expire(route.recorded_at.0);
        for key in route.keys.iter().rev() {
            let at = table.keys.iter().position(|(known, _)| known == key);
            let known = at.map(|at| table.keys.remove(at).1);
            let later = match (known, route.expires_at) {
                (None, new) => new,
                (Some(None), _) | (_, None) => None,
                (Some(Some(old)), Some(new)) => Some(old.max(new)),
            };
            table.keys.insert(0, (*key, later));
        }
        table.keys.truncate(route.capacity.max(1) as usize);
    }

    pub(crate) fn expire(&mut self, until: u64) {
        self.tables.retain(|_, table| {
            table.expire(until);
            !table.keys.is_empty() || table.touched + 600_000_000 > until
        });
    }

    /// Blocks that the engine said are gone.
    pub(crate) fn give_up(&mut self, publisher: &Publisher, gone: &BTreeSet<BlockKey>) {
        let name = (publisher.clone(), RouteKind::Speculative);
        if let Some(table) = self.tables.get_mut(&name) {
            table.keys.retain(|(key, _)| !gone.contains(key));
        }
    }

    /// The cache is gone.
    pub(crate) fn forget(&mut self, publisher: &Publisher) {
        self.tables.retain(|(of, _), _| of != publisher);
    }

    pub(crate) fn remove(&mut self, endpoint: &Endpoint, rank: Option<Rank>) {
        let meant =
            |of: &Publisher| of.endpoint == *endpoint && rank.is_none_or(|rank| rank == of.rank);
        self.tables.retain(|(of, _), _| !meant(of));
    }
}
