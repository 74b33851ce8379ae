//! Pure: who is known, who is connected, what time it is.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use proto_model::Publisher;

/// Since when each known publisher has been without a connection.
pub(super) struct Absences {
    patience: Duration,
    since: BTreeMap<Publisher, Instant>,
}

impl Absences {
    /// Who is away for `patience` is due.
    pub(super) fn new(patience: Duration) -> Self {
        Self {
            patience,
            since: BTreeMap::new(),
        }
    }

    /// The count of one publisher begins anew.
    pub(super) fn restart(&mut self, publisher: &Publisher, now: Instant) {
        if let Some(since) = self.since.get_mut(publisher) {
            *since = now;
        }
    }

    /// Who has stayed away for long enough.
    pub(super) fn due(
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
        let mut absences = Absences::new(Duration::from_secs(10));
        let (a, b) = (publisher("a"), publisher("b"));
        let known = || vec![a.clone(), b.clone()];
        let at = |start: Instant, seconds| start + Duration::from_secs(seconds);
        let start = Instant::now();
        let only_b = BTreeSet::from([b.clone()]);
        assert_eq!(absences.due(known(), &only_b, start), []);
        assert_eq!(absences.due(known(), &only_b, at(start, 9)), []);
        // Back in time: the count begins anew.
        let both = BTreeSet::from([a.clone(), b.clone()]);
        assert_eq!(absences.due(known(), &both, at(start, 9)), []);
        assert_eq!(absences.due(known(), &only_b, at(start, 12)), []);
        absences.restart(&a, at(start, 14));
        assert_eq!(absences.due(known(), &only_b, at(start, 22)), []);
        assert_eq!(
            absences.due(known(), &only_b, at(start, 24)),
            std::slice::from_ref(&a)
        );
        // Removed: no longer known, no longer counted.
        assert_eq!(absences.due(vec![b], &only_b, at(start, 25)), []);
        assert!(absences.since.is_empty());
    }
}
