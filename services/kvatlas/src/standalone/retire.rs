//! Forgetting endpoints that are gone.
//!
//! An engine never says goodbye. What can be seen is that no connection delivers
//! its messages any more; when that has lasted long enough, its memberships are
//! removed through the store. Should it come back, its replay or its next events
//! build them anew.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use indexer_ingest::Monitor;
use indexer_store::{EmbeddedStore, IndexWriter};
use proto_model::{Batch, Command, Publisher};
use scorer_server::Replica;

/// How often connections are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Since when each known publisher has been without a connection.
pub(super) struct Retirement {
    absences: Absences,
    looked: Option<Instant>,
}

impl Retirement {
    /// Forgets publishers that have been without a connection for so long.
    pub(super) fn after(patience: Duration) -> Self {
        Self {
            absences: Absences {
                patience,
                since: BTreeMap::new(),
            },
            looked: None,
        }
    }

    /// Looks at who is connected, at most once per second, and removes who is due.
    pub(super) async fn look(
        &mut self,
        monitor: &Monitor,
        replica: &Replica,
        store: &EmbeddedStore,
    ) {
        let now = Instant::now();
        if self.looked.is_some_and(|looked| now - looked < LOOK_EVERY) {
            return;
        }
        self.looked = Some(now);
        let views = monitor.publishers().await;
        let connected: BTreeSet<Publisher> = views
            .into_iter()
            .filter(|view| view.connections > 0)
            .map(|view| view.publisher)
            .collect();
        let known: Vec<Publisher> = replica
            .content()
            .directory()
            .publishers()
            .map(|known| Publisher::clone(&known.name))
            .collect();
        for publisher in self.absences.due(known, &connected, now) {
            tracing::info!(%publisher, "no connection for too long: forgotten");
            let command = Command::EndpointRemoved {
                endpoint: publisher.endpoint,
                rank: Some(publisher.rank),
            };
            if let Err(error) = store
                .append(&Batch {
                    commands: vec![command],
                })
                .await
            {
                tracing::warn!(%error, "an endpoint that is gone could not be removed");
            }
        }
    }
}

/// Pure: who is known, who is connected, what time it is.
struct Absences {
    patience: Duration,
    since: BTreeMap<Publisher, Instant>,
}

impl Absences {
    fn due(
        &mut self,
        known: Vec<Publisher>,
        connected: &BTreeSet<Publisher>,
        now: Instant,
    ) -> Vec<Publisher> {
        let absent: BTreeSet<Publisher> = known
            .into_iter()
            .filter(|publisher| !connected.contains(publisher))
            .collect();
        self.since.retain(|publisher, _| absent.contains(publisher));
        for publisher in absent {
            self.since.entry(publisher).or_insert(now);
        }
        let patience = self.patience;
        let due = self
            .since
            .iter()
            .filter(|(_, since)| now - **since >= patience);
        due.map(|(publisher, _)| publisher.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use proto_model::{Endpoint, Rank};

    use super::*;

    fn publisher(address: &str) -> Publisher {
        let endpoint = Endpoint::new("c", address).expect("an endpoint");
        Publisher {
            endpoint,
            rank: Rank(0),
        }
    }

    #[test]
    fn only_who_stays_away_long_enough_is_due() {
        let mut absences = Absences {
            patience: Duration::from_secs(10),
            since: BTreeMap::new(),
        };
        let (a, b) = (publisher("a"), publisher("b"));
        let known = || vec![a.clone(), b.clone()];
        let at = |start: Instant, seconds| start + Duration::from_secs(seconds);
        let start = Instant::now();
        let only_b = BTreeSet::from([b.clone()]);
        assert_eq!(absences.due(known(), &only_b, start), []);
        assert_eq!(absences.due(known(), &only_b, at(start, 9)), []);
        // Back in time: the count begins anew.
        assert_eq!(
            absences.due(
                known(),
                &BTreeSet::from([a.clone(), b.clone()]),
                at(start, 9)
            ),
            []
        );
        assert_eq!(absences.due(known(), &only_b, at(start, 12)), []);
        assert_eq!(
            absences.due(known(), &only_b, at(start, 22)),
            std::slice::from_ref(&a)
        );
        // Removed: no longer known, no longer counted.
        assert_eq!(absences.due(vec![b], &only_b, at(start, 23)), []);
        assert!(absences.since.is_empty());
    }
}
