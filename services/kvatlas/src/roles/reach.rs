//! Whether the store takes batches, known also while there are none.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use indexer_store::{AppendError, Appended, IndexWriter};
use parking_lot::Mutex;
use proto_model::Batch;

/// A writer that remembers how its store answered last.
pub(crate) struct Reach {
    writer: Arc<dyn IndexWriter>,
    last: Mutex<Last>,
}

struct Last {
    /// When the store last answered.
    answered: Option<Instant>,
    /// Why it does not answer.
    away: Option<String>,
    /// Since when an append has been under way.
    asked: Option<Instant>,
}

/// An append that takes longer makes the store count as away.
const SLOW: Duration = Duration::from_secs(5);

impl Reach {
    /// Remembers what becomes of the writer's appends. A store in this process is
    /// there from the beginning.
    pub(crate) fn new(writer: Arc<dyn IndexWriter>, own: bool) -> Arc<Self> {
        let last = Last {
            answered: own.then(Instant::now),
            away: None,
            asked: None,
        };
        Arc::new(Self {
            writer,
            last: Mutex::new(last),
        })
    }

    /// `None` if the store takes batches; otherwise what is awaited.
    pub(crate) fn awaited(&self) -> Option<String> {
        let last = self.last.lock();
        let slow = last.asked.map(|asked| asked.elapsed());
        match (&last.away, last.answered) {
            (Some(reason), _) => Some(reason.clone()),
            (None, Some(_)) if slow.is_some_and(|slow| slow > SLOW) => {
                Some(format!("the store has not answered within {SLOW:?}"))
            }
            (None, None) => Some("the store has not answered yet".to_owned()),
            (None, Some(_)) => None,
        }
    }

    /// Appends an empty batch if the store has not answered for `quiet`, and
    /// whenever it is away.
    pub(crate) async fn probe(&self, quiet: Duration) {
        let known = {
            let last = self.last.lock();
            last.away.is_none() && last.answered.is_some_and(|at| at.elapsed() < quiet)
        };
        if !known {
            // What it says is remembered by `append`.
            let _ = self.append(&Batch::default()).await;
        }
    }

    fn heard<T>(&self, result: &Result<T, AppendError>) {
        let mut last = self.last.lock();
        last.asked = None;
        match result {
            Ok(_) | Err(AppendError::TooLarge { .. }) => {
                last.answered = Some(Instant::now());
                last.away = None;
            }
            Err(error) => last.away = Some(error.to_string()),
        }
    }
}

#[async_trait]
impl IndexWriter for Reach {
    async fn append(&self, batch: &Batch) -> Result<Appended, AppendError> {
        self.last.lock().asked.get_or_insert_with(Instant::now);
        let result = self.writer.append(batch).await;
        self.heard(&result);
        result
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use super::*;

    #[derive(Default)]
    struct Switched {
        away: AtomicBool,
        asked: AtomicUsize,
    }

    #[async_trait]
    impl IndexWriter for Switched {
        async fn append(&self, _: &Batch) -> Result<Appended, AppendError> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            if self.away.load(Ordering::Relaxed) {
                let reason = "gone fishing".to_owned();
                return Err(AppendError::Unavailable { reason });
            }
            Ok(Appended {
                revision: proto_model::Revision(1),
                outcomes: Vec::new(),
            })
        }
    }

    #[tokio::test]
    async fn a_store_is_asked_when_it_is_quiet_or_away() {
        let store = Arc::new(Switched::default());
        let reach = Reach::new(Arc::clone(&store) as _, false);
        assert!(reach.awaited().is_some());
        reach.probe(Duration::MAX).await;
        assert_eq!(reach.awaited(), None);
        reach.probe(Duration::MAX).await;
        assert_eq!(store.asked.load(Ordering::Relaxed), 1);
        store.away.store(true, Ordering::Relaxed);
        reach.probe(Duration::ZERO).await;
        assert!(reach.awaited().is_some_and(|why| why.contains("fishing")));
        // Away: asked however short ago it was.
        store.away.store(false, Ordering::Relaxed);
        reach.probe(Duration::MAX).await;
        assert_eq!(reach.awaited(), None);
        assert_eq!(store.asked.load(Ordering::Relaxed), 3);
    }
}
