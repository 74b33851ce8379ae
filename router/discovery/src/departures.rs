//! Endpoints that are gone for good.
//!
//! What an endpoint held can be forgotten only when it will not come back with
//! its cache: not while it is merely unready, not while the source cannot be
//! read, and not because a file was empty for a moment. So an endpoint departs
//! only after it has been absent, and seen to be absent, for a grace period.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

/// Departures that wait for the reader; more wait in the book.
const QUEUE: usize = 1_024;
/// Absent endpoints that are kept in mind.
const MOST_ABSENT: usize = 50_000;
/// The longest wait until an endpoint that is elsewhere is asked for again.
const LONGEST_WAIT: Duration = Duration::from_secs(3_600);

/// An endpoint that is gone for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Departure {
    /// `namespace/pod`, or as the file named it.
    pub name: String,
    /// Where it was.
    pub address: SocketAddr,
}

/// Tells which endpoints are gone for good, each once. Bounded: while nobody
/// reads, departures wait.
#[derive(Debug)]
pub struct Departures {
    queue: mpsc::Receiver<Departure>,
}

impl Departures {
    /// The next departure; `None` when the source has been dropped.
    pub async fn next(&mut self) -> Option<Departure> {
        self.queue.recv().await
    }
}

pub(crate) fn departures() -> (mpsc::Sender<Departure>, Departures) {
    let (sender, queue) = mpsc::channel(QUEUE);
    (sender, Departures { queue })
}

/// Which endpoints are there, and since when others are not. Has no clock.
#[derive(Debug)]
pub(crate) struct Book {
    grace: Duration,
    present: BTreeMap<SocketAddr, String>,
    absent: BTreeMap<SocketAddr, Absent>,
}

#[derive(Debug)]
struct Absent {
    name: String,
    due: Instant,
    /// How long it was waited for last.
    wait: Duration,
}

impl Book {
    pub(crate) fn new(grace: Duration) -> Self {
        Self {
            grace,
            present: BTreeMap::new(),
            absent: BTreeMap::new(),
        }
    }

    /// The source has been read, and these are there, ready or not.
    pub(crate) fn observe<'e>(
        &mut self,
        now: Instant,
        there: impl IntoIterator<Item = (SocketAddr, &'e str)>,
    ) {
        let mut seen = BTreeSet::new();
        for (address, name) in there {
            seen.insert(address);
            self.absent.remove(&address);
            let known = self.present.entry(address).or_default();
            if known != name {
                name.clone_into(known);
            }
        }
        let grace = self.grace;
        let gone: Vec<SocketAddr> = self
            .present
            .keys()
            .filter(|address| !seen.contains(address))
            .copied()
            .collect();
        for address in gone {
            let Some(name) = self.present.remove(&address) else {
                continue;
            };
            if self.absent.len() >= MOST_ABSENT {
                tracing::warn!(%address, "too many endpoints are gone; this one is not told");
                continue;
            }
            let absent = Absent {
                name,
                due: now + grace,
                wait: grace,
            };
            self.absent.insert(address, absent);
        }
    }

    /// The source cannot be read: every absence has to be seen anew.
    pub(crate) fn hold(&mut self, now: Instant) {
        for absent in self.absent.values_mut() {
            absent.due = absent.due.max(now + self.grace);
        }
    }

    /// Those that have been absent long enough, at most `most`.
    pub(crate) fn due(&self, now: Instant, most: usize) -> Vec<Departure> {
        let due = self.absent.iter().filter(|(_, absent)| absent.due <= now);
        due.take(most)
            .map(|(address, absent)| Departure {
                name: absent.name.clone(),
                address: *address,
            })
            .collect()
    }

    /// Whether it has been absent long enough.
    pub(crate) fn is_due(&self, now: Instant, address: SocketAddr) -> bool {
        let absent = self.absent.get(&address);
        absent.is_some_and(|absent| absent.due <= now)
    }

    /// It has been told, or nobody wants to know.
    pub(crate) fn departed(&mut self, address: SocketAddr) {
        self.absent.remove(&address);
    }

    /// It still is somewhere, though not in the pool: ask again later, each time
    /// after twice as long.
    pub(crate) fn postpone(&mut self, now: Instant, address: SocketAddr) {
        if let Some(absent) = self.absent.get_mut(&address) {
            absent.wait = (absent.wait * 2).clamp(self.grace, LONGEST_WAIT.max(self.grace));
            absent.due = now + absent.wait;
        }
    }

    /// Tells one departure. `false`: the reader has no room now.
    pub(crate) fn tell(&mut self, queue: &mpsc::Sender<Departure>, gone: Departure) -> bool {
        let address = gone.address;
        match queue.try_send(gone) {
            Err(mpsc::error::TrySendError::Full(_)) => return false,
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => {}
        }
        self.departed(address);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(30);

    fn at(port: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 1], port))
    }

    fn due(book: &Book, now: Instant) -> Vec<u16> {
        let due = book.due(now, 100);
        due.iter().map(|gone| gone.address.port()).collect()
    }

    #[test]
    fn an_endpoint_departs_after_the_grace_and_not_if_it_comes_back() {
        let start = Instant::now();
        let mut book = Book::new(GRACE);
        book.observe(start, [(at(1), "a"), (at(2), "b")]);
        book.observe(start, []);
        assert!(due(&book, start + GRACE / 2).is_empty());
        book.observe(start + GRACE / 2, [(at(2), "b")]);
        assert_eq!(due(&book, start + GRACE), [1]);
        book.departed(at(1));
        assert!(due(&book, start + GRACE * 10).is_empty());
    }

    #[test]
    fn while_the_source_cannot_be_read_nothing_departs() {
        let start = Instant::now();
        let mut book = Book::new(GRACE);
        book.observe(start, [(at(1), "a")]);
        book.observe(start, []);
        book.hold(start + GRACE * 5);
        assert!(due(&book, start + GRACE * 5).is_empty());
        assert_eq!(due(&book, start + GRACE * 6), [1]);
    }

    #[test]
    fn what_is_still_somewhere_is_asked_for_less_and_less_often() {
        let start = Instant::now();
        let mut book = Book::new(GRACE);
        book.observe(start, [(at(1), "a")]);
        book.observe(start, []);
        book.postpone(start + GRACE, at(1));
        assert!(due(&book, start + GRACE * 2).is_empty());
        assert_eq!(due(&book, start + GRACE * 3), [1]);
        for _ in 0..100 {
            book.postpone(start, at(1));
        }
        assert_eq!(due(&book, start + LONGEST_WAIT), [1]);
    }

    #[test]
    fn a_full_queue_loses_nothing() {
        let start = Instant::now();
        let mut book = Book::new(Duration::ZERO);
        book.observe(start, (1..=2_000).map(|port| (at(port), "e")));
        book.observe(start, []);
        let (queue, mut reader) = departures();
        let mut told = 0;
        for gone in book.due(start, 5_000) {
            told += usize::from(book.tell(&queue, gone));
        }
        assert_eq!((told, due(&book, start).len()), (QUEUE, 100));
        while reader.queue.try_recv().is_ok() {}
        for gone in book.due(start, 5_000) {
            assert!(book.tell(&queue, gone));
        }
        assert!(due(&book, start).is_empty());
    }
}
