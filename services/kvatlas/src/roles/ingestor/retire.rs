//! Forgetting endpoints that are gone.
//!
//! An engine never says goodbye. What can be seen is that no connection delivers
//! its messages any more; when that has lasted long enough, its memberships are
//! removed through the store. Should it come back, its replay or its next events
//! build them anew.
//!
//! Where other ingestors write to the same store, a connection may be missing
//! here and be whole there. So this ingestor forgets only who it heard itself, and
//! only if the store has applied nothing of theirs meanwhile.

mod absences;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use indexer_ingest::{Monitor, PublisherView};
use indexer_store::{AppendError, IndexWriter};
use proto_model::{Batch, Command, EventsCommand, Incarnation, Publisher};
use scorer_server::Replica;

use self::absences::Absences;

/// Who may be forgotten.
pub(super) enum Census {
    /// Whom the store knows: nobody else writes to it.
    Replica(Arc<Replica>),
    /// Whom this ingestor has heard.
    Heard,
}

/// Where a publisher stands in the store.
type Place = (Incarnation, u64);

/// Since when each known publisher has been without a connection.
pub(super) struct Retirement {
    census: Census,
    absences: Absences,
    /// Where the store stood with who is absent, as last heard.
    places: BTreeMap<Publisher, Option<Place>>,
    /// Heard here, and forgotten since.
    forgotten: BTreeSet<Publisher>,
}

impl Retirement {
    /// Forgets publishers that have been without a connection for so long.
    pub(super) fn new(patience: Duration, census: Census) -> Self {
        Self {
            census,
            absences: Absences::new(patience),
            places: BTreeMap::new(),
            forgotten: BTreeSet::new(),
        }
    }

    /// Looks at who is connected, and removes who is due.
    pub(super) async fn look(&mut self, monitor: &Monitor, store: &dyn IndexWriter) {
        let now = Instant::now();
        let (connected, absent): (Vec<_>, Vec<_>) = monitor
            .publishers()
            .await
            .into_iter()
            .partition(|view| view.connections > 0);
        let connected: BTreeSet<Publisher> =
            connected.into_iter().map(|view| view.publisher).collect();
        let known = match &self.census {
            Census::Replica(replica) => known_to(replica),
            Census::Heard => self.heard(&connected, absent),
        };
        for publisher in self.absences.due(known, &connected, now) {
            if let Err(error) = self.forget(&publisher, store).await {
                tracing::warn!(%publisher, %error, "gone, but it could not be forgotten; tried again later");
                self.absences.restart(&publisher, now);
            }
        }
    }

    /// Who was heard here, has no connection, and is not forgotten yet.
    fn heard(
        &mut self,
        connected: &BTreeSet<Publisher>,
        absent: Vec<PublisherView>,
    ) -> Vec<Publisher> {
        self.forgotten
            .retain(|publisher| !connected.contains(publisher));
        self.places
            .retain(|publisher, _| !connected.contains(publisher));
        let mut known = Vec::new();
        for view in absent {
            if self.forgotten.contains(&view.publisher) {
                continue;
            }
            let place = view.cursor.map(|cursor| (cursor.incarnation, cursor.next));
            self.places.entry(view.publisher.clone()).or_insert(place);
            known.push(view.publisher);
        }
        known
    }

    async fn forget(
        &mut self,
        publisher: &Publisher,
        store: &dyn IndexWriter,
    ) -> Result<(), AppendError> {
        if matches!(self.census, Census::Heard) {
            let place = place_of(publisher, store).await?;
            let before = self.places.insert(publisher.clone(), place).flatten();
            if place.is_some() && place != before {
                // Another ingestor hears it.
                self.absences.restart(publisher, Instant::now());
                return Ok(());
            }
            if place.is_none() {
                self.done(publisher);
                return Ok(());
            }
        }
        let command = Command::EndpointRemoved {
            endpoint: publisher.endpoint.clone(),
            rank: Some(publisher.rank),
        };
        let batch = Batch {
            commands: vec![command],
        };
        store.append(&batch).await?;
        tracing::info!(%publisher, "no connection for too long: forgotten");
        if matches!(self.census, Census::Heard) {
            self.done(publisher);
        }
        Ok(())
    }

    fn done(&mut self, publisher: &Publisher) {
        self.places.remove(publisher);
        self.forgotten.insert(publisher.clone());
    }
}

/// Who is known only by routes sends no events, and so has no connection to miss.
fn known_to(replica: &Replica) -> Vec<Publisher> {
    let content = replica.content();
    let directory = content.directory();
    let names = directory
        .publishers()
        .filter(|known| !known.is_routed_only());
    names.map(|known| Publisher::clone(&known.name)).collect()
}

/// Asks where the store stands with a publisher, by a command that changes nothing.
async fn place_of(
    publisher: &Publisher,
    store: &dyn IndexWriter,
) -> Result<Option<Place>, AppendError> {
    let question = Command::Events(EventsCommand {
        publisher: publisher.clone(),
        model: String::new(),
        spaces: Vec::new(),
        messages: Vec::new(),
    });
    let batch = Batch {
        commands: vec![question],
    };
    let appended = store.append(&batch).await?;
    let cursor = appended.outcomes.first().and_then(|outcome| outcome.cursor);
    Ok(cursor.map(|cursor| (cursor.incarnation, cursor.next)))
}

#[cfg(test)]
mod tests {
    use indexer_store::{EmbeddedOptions, EmbeddedStore};
    use proto_model::{Endpoint, Message, Rank, Timestamp};

    use super::*;

    fn publisher() -> Publisher {
        Publisher {
            endpoint: Endpoint::new("c", "10.0.0.1:8000").unwrap(),
            rank: Rank(0),
        }
    }

    async fn publish(store: &EmbeddedStore, sequence: u64) -> Place {
        let message = Message {
            sequence,
            timestamp: Timestamp(1_000_000 + sequence),
            stream: None,
            changes: Vec::new(),
        };
        let command = Command::Events(EventsCommand {
            publisher: publisher(),
            model: "m".to_owned(),
            spaces: Vec::new(),
            messages: vec![message],
        });
        let batch = Batch {
            commands: vec![command],
        };
        let appended = store.append(&batch).await.unwrap();
        let cursor = appended.outcomes[0].cursor.unwrap();
        (cursor.incarnation, cursor.next)
    }

    #[tokio::test]
    async fn who_another_ingestor_hears_is_kept() {
        let store = EmbeddedStore::in_memory(EmbeddedOptions::default());
        let heard_here = publish(&store, 0).await;
        let mut retirement = Retirement::new(Duration::ZERO, Census::Heard);
        retirement.places.insert(publisher(), Some(heard_here));
        // Another ingestor goes on.
        let heard_there = publish(&store, 1).await;
        retirement.forget(&publisher(), &store).await.unwrap();
        assert!(store.cursor(&publisher()).is_some());
        assert_eq!(retirement.places[&publisher()], Some(heard_there));
        // Nobody goes on.
        retirement.forget(&publisher(), &store).await.unwrap();
        assert_eq!(store.cursor(&publisher()), None);
        assert!(retirement.forgotten.contains(&publisher()));
    }

    #[tokio::test]
    async fn asking_where_a_publisher_stands_changes_nothing() {
        let store = EmbeddedStore::in_memory(EmbeddedOptions::default());
        assert_eq!(place_of(&publisher(), &store).await.unwrap(), None);
        let place = publish(&store, 0).await;
        let before = store.cursor(&publisher());
        assert_eq!(place_of(&publisher(), &store).await.unwrap(), Some(place));
        assert_eq!(store.cursor(&publisher()), before);
    }
}
