//! Which connections wait for their clients, longest first.
//!
//! A connection is either the server's turn (a whole request is there) or its
//! client's: to send a request, the rest of one, or to take an answer. When all
//! places are taken, the one whose client has had its turn for longest gives way
//! to the newcomer: so those who hold places without using them cannot keep out
//! a probe, and a request that is being worked on is never given up.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// All places of one listener.
#[derive(Debug)]
pub(super) struct Places {
    free: Arc<Semaphore>,
    waiting: Mutex<BTreeMap<u64, CancellationToken>>,
    /// Someone has begun to wait.
    began: Notify,
    turns: AtomicU64,
}

/// One connection's place, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    given_up: CancellationToken,
    /// Its number in `waiting`; `None` while the server works.
    turn: Mutex<Option<u64>>,
    _taken: OwnedSemaphorePermit,
}

impl Places {
    pub(super) fn new(count: usize) -> Arc<Self> {
        Arc::new(Self {
            free: Arc::new(Semaphore::new(count.max(1))),
            waiting: Mutex::default(),
            began: Notify::new(),
            turns: AtomicU64::new(0),
        })
    }

    /// A place, at the cost of who waits longest if there is none. Waits only
    /// while the server works on a request of every connection.
    pub(super) async fn take(self: &Arc<Self>) -> Place {
        let taken = loop {
            if let Ok(taken) = Arc::clone(&self.free).try_acquire_owned() {
                break taken;
            }
            let freed = Arc::clone(&self.free).acquire_owned();
            let oldest = lock(&self.waiting).pop_first();
            let taken = match oldest {
                Some((_, given_up)) => {
                    tracing::debug!("a connection gave way to a new one");
                    given_up.cancel();
                    freed.await.ok()
                }
                None => tokio::select! {
                    taken = freed => taken.ok(),
                    () = self.began.notified() => None,
                },
            };
            if let Some(taken) = taken {
                break taken;
            }
        };
        let place = Place {
            places: Arc::clone(self),
            given_up: CancellationToken::new(),
            turn: Mutex::new(None),
            _taken: taken,
        };
        place.clients_turn();
        place
    }
}

impl Place {
    /// From now on the client has to do something.
    pub(super) fn clients_turn(&self) {
        let mut turn = lock(&self.turn);
        let next = self.places.turns.fetch_add(1, Ordering::Relaxed);
        let mut waiting = lock(&self.places.waiting);
        if let Some(before) = turn.replace(next) {
            waiting.remove(&before);
        }
        waiting.insert(next, self.given_up.clone());
        drop(waiting);
        self.places.began.notify_one();
    }

    /// From now on the server has to do something.
    pub(super) fn servers_turn(&self) {
        if let Some(before) = lock(&self.turn).take() {
            lock(&self.places.waiting).remove(&before);
        }
    }

    /// The number of the client's turn, if it is the client's.
    pub(super) fn turn(&self) -> Option<u64> {
        *lock(&self.turn)
    }

    /// Ends when the connection has to give way.
    pub(super) async fn given_up(&self) {
        self.given_up.cancelled().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.servers_turn();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
