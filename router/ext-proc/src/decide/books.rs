//! What this picker has sent to each endpoint and not seen finished.
//!
//! Metrics of engines are always a little old; a burst would be picked by the
//! state before it. These books know it at once. They follow addresses, not views
//! of the pool, so that a changed manifest forgets nothing.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use router_picker::InFlight;

/// Addresses whose books are kept although nothing is in flight there.
const IDLE: usize = 8192;

/// Moments of sending that are remembered per endpoint.
const RECENT: usize = 1024;

/// How long they are remembered: no load that counts is older.
const RECENT_AGE: Duration = Duration::from_secs(10);

/// All endpoints' books.
#[derive(Debug, Default)]
pub(super) struct Books {
    by_address: RwLock<HashMap<SocketAddr, Arc<Book>>>,
}

#[derive(Debug, Default)]
struct Book {
    requests: AtomicU32,
    prefill_tokens: AtomicU64,
    /// When requests were sent, oldest first.
    recent: Mutex<VecDeque<Instant>>,
}

/// One request in the books, until it is dropped.
#[derive(Debug)]
pub(super) struct Booking {
    address: SocketAddr,
    book: Arc<Book>,
    prefill_tokens: u64,
}

impl Books {
    /// What is in flight; `sampled_at` is when the endpoint's load was sampled.
    pub(super) fn in_flight(&self, address: SocketAddr, sampled_at: Option<Instant>) -> InFlight {
        let books = self
            .by_address
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let Some(book) = books.get(&address) else {
            return InFlight::default();
        };
        let requests = book.requests.load(Ordering::Relaxed);
        let since = match sampled_at {
            Some(at) if requests > 0 => book.sent_since(at),
            _ => 0,
        };
        InFlight {
            requests,
            prefill_tokens: book.prefill_tokens.load(Ordering::Relaxed),
            since_scrape: since.min(requests),
        }
    }

    /// Books one request that is sent now.
    pub(super) fn book(&self, address: SocketAddr, prefill_tokens: u64) -> Booking {
        let book = self.of(address);
        book.requests.fetch_add(1, Ordering::Relaxed);
        book.prefill_tokens
            .fetch_add(prefill_tokens, Ordering::Relaxed);
        book.sent(Instant::now());
        Booking {
            address,
            book,
            prefill_tokens,
        }
    }

    fn of(&self, address: SocketAddr) -> Arc<Book> {
        let known = {
            let books = self
                .by_address
                .read()
                .unwrap_or_else(PoisonError::into_inner);
            books.get(&address).map(Arc::clone)
        };
        known.unwrap_or_else(|| {
            let mut books = self
                .by_address
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            if books.len() >= IDLE {
                books.retain(|_, book| book.requests.load(Ordering::Relaxed) > 0);
            }
            Arc::clone(books.entry(address).or_default())
        })
    }
}

impl Book {
    fn sent(&self, now: Instant) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let old = |at: &Instant| now.duration_since(*at) > RECENT_AGE;
        while recent.len() >= RECENT || recent.front().is_some_and(old) {
            recent.pop_front();
        }
        recent.push_back(now);
    }

    fn sent_since(&self, sampled_at: Instant) -> u32 {
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let before = recent.partition_point(|at| *at <= sampled_at);
        u32::try_from(recent.len() - before).unwrap_or(u32::MAX)
    }
}

impl Booking {
    /// Where it is booked.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Tokens of the prompt that still have to be worked on.
    pub(super) fn prefill_tokens(&self) -> u64 {
        self.prefill_tokens
    }

    /// The prompt has been worked on, or never will be.
    pub(super) fn prefilled(&mut self) {
        let tokens = std::mem::take(&mut self.prefill_tokens);
        self.book
            .prefill_tokens
            .fetch_sub(tokens, Ordering::Relaxed);
    }
}

impl Drop for Booking {
    fn drop(&mut self) {
        self.prefilled();
        self.book.requests.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 1], port))
    }

    #[test]
    fn bookings_come_and_go() {
        let books = Books::default();
        assert_eq!(books.in_flight(address(1), None), InFlight::default());
        let mut first = books.book(address(1), 100);
        let second = books.book(address(1), 50);
        let both = books.in_flight(address(1), None);
        assert_eq!((both.requests, both.prefill_tokens), (2, 150));
        first.prefilled();
        first.prefilled();
        let one_left = books.in_flight(address(1), None);
        assert_eq!((one_left.requests, one_left.prefill_tokens), (2, 50));
        drop(second);
        drop(first);
        assert_eq!(books.in_flight(address(1), None), InFlight::default());
        assert_eq!(books.in_flight(address(2), None), InFlight::default());
    }

    #[test]
    fn what_was_sent_after_a_sample_is_known() {
        let books = Books::default();
        let before = Instant::now();
        let _first = books.book(address(1), 0);
        let between = Instant::now();
        std::thread::sleep(Duration::from_millis(2));
        let second = books.book(address(1), 0);
        let since = |at| books.in_flight(address(1), Some(at)).since_scrape;
        assert_eq!(since(before - Duration::from_millis(1)), 2);
        assert_eq!(since(between), 1);
        assert_eq!(since(Instant::now()), 0);
        drop(second);
        // Never more than there are.
        assert_eq!(since(before - Duration::from_millis(1)), 1);
    }

    #[test]
    fn books_are_bounded_and_those_in_use_are_kept() {
        let books = Books::default();
        let kept = books.book(address(1), 7);
        for n in 0..3 * IDLE {
            let n = u32::try_from(n).unwrap();
            drop(books.book(SocketAddr::from((std::net::Ipv4Addr::from(n), 9)), 0));
        }
        assert!(books.by_address.read().unwrap().len() <= IDLE);
        assert_eq!(books.in_flight(address(1), None).requests, 1);
        drop(kept);
    }
}
