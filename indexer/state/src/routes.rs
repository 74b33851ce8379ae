//! What is known of caches from routing decisions.
//!
//! Apart from what events tell: one table per publisher and kind, each with a
//! holder of its own. The rules are in `docs/state.md`.
//!
//! ```text
//!  publisher ─┬─▶ speculative ──▶ holder | keys by use, keys by expiry
//!             └─▶ estimated   ──▶ holder | keys by use, keys by expiry
//! ```

mod keys;
mod record;
mod table;
mod unheard;

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use proto_model::{BlockKey, Delta, Medium, Publisher, RouteKind, Timestamp};

use crate::emit::{Emit, KEYS_PER_DELTA};
pub(crate) use table::RouteTable;
use unheard::Unheard;

/// The kinds, in the order in which a publisher's tables are listed.
pub(crate) const KINDS: [RouteKind; 2] = [RouteKind::Speculative, RouteKind::Estimated];

/// Where a routed key is said to lie: engines compute into their GPU's cache.
pub(crate) const MEDIUM: Medium = Medium::Gpu;

/// All tables of all publishers that have any.
#[derive(Debug, Clone, Default)]
pub(crate) struct Routes {
    known: BTreeMap<Arc<Publisher>, Arc<Tables>>,
    /// Those of them that no event has told of.
    unheard: Unheard,
    /// Keys of all tables.
    keys: usize,
}

/// A publisher's tables; at least one is there.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tables {
    by_kind: [Option<RouteTable>; KINDS.len()],
}

impl Tables {
    pub(crate) fn get(&self, kind: RouteKind) -> Option<&RouteTable> {
        self.by_kind[place(kind)].as_ref()
    }

    pub(crate) fn put(&mut self, kind: RouteKind, table: RouteTable) {
        self.by_kind[place(kind)] = Some(table);
    }

    fn is_empty(&self) -> bool {
        self.by_kind.iter().all(Option::is_none)
    }

    fn list(&self) -> impl Iterator<Item = (RouteKind, &RouteTable)> {
        let pairs = KINDS.iter().zip(&self.by_kind);
        pairs.filter_map(|(kind, table)| table.as_ref().map(|table| (*kind, table)))
    }

    /// When a route was last recorded for the publisher.
    fn touched(&self) -> Timestamp {
        let touched = self.list().map(|(_, table)| table.touched);
        touched.max().unwrap_or_default()
    }

    /// Keys of all its tables.
    fn keys(&self) -> usize {
        self.list().map(|(_, table)| table.keys.len()).sum()
    }
}

fn place(kind: RouteKind) -> usize {
    match kind {
        RouteKind::Speculative => 0,
        RouteKind::Estimated => 1,
    }
}

impl Routes {
    pub(crate) fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Keys of all tables.
    pub(crate) fn keys(&self) -> usize {
        self.keys
    }

    /// Bytes allocated.
    pub(crate) fn bytes(&self) -> usize {
        let tables = self.tables().map(|(.., table)| table.keys.bytes());
        tables.sum()
    }

    /// Every table, by publisher and kind.
    pub(crate) fn tables(&self) -> impl Iterator<Item = (&Publisher, RouteKind, &RouteTable)> {
        self.known.iter().flat_map(|(publisher, tables)| {
            let named = |(kind, table)| (publisher.as_ref(), kind, table);
            tables.list().map(named)
        })
    }

    /// The publishers from `from` on, in order.
    pub(crate) fn publishers_from<'a>(
        &'a self,
        from: Bound<&Publisher>,
    ) -> impl Iterator<Item = &'a Publisher> {
        let range = self.known.range::<Publisher, _>((from, Bound::Unbounded));
        range.map(|(publisher, _)| publisher.as_ref())
    }

    /// Adds a table of an image, whose publisher and kind come after all others.
    /// `by_events`: whether events tell of the publisher, too.
    pub(crate) fn restore(
        &mut self,
        publisher: Publisher,
        by_events: bool,
        kind: RouteKind,
        table: RouteTable,
    ) {
        self.keys += table.keys.len();
        let name = Arc::new(publisher);
        let tables = self.known.entry(Arc::clone(&name)).or_default();
        let before = tables.touched();
        let tables = Arc::make_mut(tables);
        tables.put(kind, table);
        if !by_events {
            self.unheard.used(&name, before, tables.touched());
        }
    }

    /// From now on events tell of the publisher, too.
    pub(crate) fn heard(&mut self, publisher: &Publisher) {
        if let Some((name, tables)) = self.known.get_key_value(publisher) {
            self.unheard.remove(name, tables.touched());
        }
    }

    /// The deltas that tell a reader of the publisher's tables, the latest prompt
    /// first.
    pub(crate) fn view_of(&self, publisher: &Publisher, deltas: &mut Vec<Delta>) {
        let Some(tables) = self.known.get(publisher) else {
            return;
        };
        for (kind, table) in tables.list() {
            let holder = table.holder;
            deltas.push(Delta::HolderBegan {
                holder,
                publisher: publisher.clone(),
                source: kind.source(),
            });
            let keys: Vec<BlockKey> = table.keys.newest_first().map(BlockKey).collect();
            deltas.extend(keys.chunks(KEYS_PER_DELTA).map(|piece| Delta::Stored {
                holder,
                medium: MEDIUM,
                keys: piece.to_vec(),
            }));
        }
    }

    /// Follows what events did to the publisher: `deltas` are those that they came
    /// to, and `ended` says whether its whole cache is known to be gone.
    ///
    /// A block that the engine gave up is not claimed by a guess that was made
    /// before. Where there are estimates, engines tell of no single blocks.
    pub(crate) fn follow(
        &mut self,
        publisher: &Publisher,
        ended: bool,
        from: usize,
        deltas: &mut Vec<Delta>,
    ) {
        if ended {
            self.remove(publisher, deltas);
            return;
        }
        let Some(tables) = self.known.get_mut(publisher) else {
            return;
        };
        let speculative = tables.get(RouteKind::Speculative);
        let Some(known) = speculative.filter(|table| table.keys.len() > 0) else {
            return;
        };
        let given_up: Vec<u64> = deltas[from..]
            .iter()
            .flat_map(removed_keys)
            .map(|key| key.0)
            .filter(|key| known.keys.contains(*key))
            .collect();
        if given_up.is_empty() {
            return;
        }
        let tables = Arc::make_mut(tables);
        let Some(table) = &mut tables.by_kind[place(RouteKind::Speculative)] else {
            return;
        };
        let before = table.keys.len();
        let mut emit = Emit::new(deltas, table.holder);
        for key in given_up {
            // Named twice, it is there only the first time.
            if table.keys.remove(key) {
                emit.removed(MEDIUM, key);
            }
        }
        emit.flush();
        self.keys -= before - table.keys.len();
    }

    /// Ends the publisher's tables; whether there were any.
    pub(crate) fn remove(&mut self, publisher: &Publisher, deltas: &mut Vec<Delta>) -> bool {
        let Some((name, tables)) = self.known.remove_entry(publisher) else {
            return false;
        };
        self.unheard.remove(&name, tables.touched());
        self.keys -= tables.keys();
        deltas.extend(tables.list().map(|(_, table)| Delta::HolderEnded {
            holder: table.holder,
        }));
        true
    }

    /// Drops what expires at or before `until`, and tables that have long been
    /// empty. Gives the publishers that have none left.
    pub(crate) fn expire(&mut self, until: Timestamp, deltas: &mut Vec<Delta>) -> Vec<Publisher> {
        let mut left = Vec::new();
        let (total, unheard) = (&mut self.keys, &mut self.unheard);
        self.known.retain(|publisher, tables| {
            if !tables.list().any(|(_, table)| table.is_due(until)) {
                return true;
            }
            let tables = Arc::make_mut(tables);
            let (before, touched) = (tables.keys(), tables.touched());
            for slot in &mut tables.by_kind {
                let Some(table) = slot else { continue };
                table.drop_expired(until, deltas);
                if table.is_over(until) {
                    deltas.push(Delta::HolderEnded {
                        holder: table.holder,
                    });
                    *slot = None;
                }
            }
            *total -= before - tables.keys();
            if unheard.remove(publisher, touched) && !tables.is_empty() {
                unheard.used(publisher, touched, tables.touched());
            }
            if tables.is_empty() {
                left.push(Publisher::clone(publisher));
            }
            !tables.is_empty()
        });
        left
    }
}

fn removed_keys(delta: &Delta) -> &[BlockKey] {
    match delta {
        Delta::Removed { medium, keys, .. } if *medium == MEDIUM => keys,
        _ => &[],
    }
}
