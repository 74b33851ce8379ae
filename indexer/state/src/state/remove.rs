//! What is gone: endpoints, and routes whose time is over.

use std::ops::Bound;

use proto_model::{Delta, Endpoint, Publisher, Rank, Timestamp};

use super::State;

impl State {
    pub(super) fn remove_endpoint(
        &mut self,
        endpoint: &Endpoint,
        rank: Option<Rank>,
        deltas: &mut Vec<Delta>,
    ) {
        for publisher in self.ranks_of(endpoint, rank) {
            if let Some(entry) = self.publishers.remove(&publisher) {
                self.parked_total -= entry.parked.len();
                self.blocks_total = self.blocks_total.saturating_sub(entry.table.weight());
                deltas.push(Delta::HolderEnded {
                    holder: entry.holder,
                });
            }
            self.routes.remove(&publisher, deltas);
            deltas.push(Delta::PublisherRemoved { publisher });
        }
    }

    /// The publishers of an endpoint, in order, however they are known.
    fn ranks_of(&self, endpoint: &Endpoint, rank: Option<Rank>) -> Vec<Publisher> {
        let (low, high) = rank.map_or((Rank(0), Rank(u32::MAX)), |rank| (rank, rank));
        let first = Publisher {
            endpoint: endpoint.clone(),
            rank: low,
        };
        let from = Bound::Included(&first);
        let meant =
            |publisher: &&Publisher| publisher.endpoint == *endpoint && publisher.rank <= high;
        let by_events = self.publishers_from(from).take_while(meant);
        let by_routes = self.routes.publishers_from(from).take_while(meant);
        let mut ranks: Vec<Publisher> = by_events.chain(by_routes).cloned().collect();
        ranks.sort_unstable();
        ranks.dedup();
        ranks
    }

    /// Drops routes. A publisher of which nothing else was known is gone then.
    pub(super) fn expire_routes(&mut self, until: Timestamp, deltas: &mut Vec<Delta>) {
        for publisher in self.routes.expire(until, deltas) {
            if !self.publishers.contains_key(&publisher) {
                deltas.push(Delta::PublisherRemoved { publisher });
            }
        }
    }
}
