//! What this picker has sent to each endpoint and not seen finished.
//!
//! Metrics of engines are always a little old; a burst would be picked by the
//! state before it. These books know it at once. They follow addresses, not views
//! of the pool, so that a changed manifest forgets nothing.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use router_picker::InFlight;

/// Addresses whose books are kept although nothing is in flight there.
const IDLE: usize = 8192;

/// Moments of sending that are remembered per endpoint.
const RECENT: usize = 1024;

/// How long they are remembered: no load that counts is older.
const RECENT_AGE: Duration = Duration::from_secs(10);

/// How long a token of a prompt counts as work that is still to be done, at most:
/// 2,000 tokens per second, less than engines compute. The first token says it
/// exactly, but where an answer is not streamed it is seen only with the last one,
/// and an endpoint would look buried while it generates.
const PREFILL_TOKEN: Duration = Duration::from_micros(500);

/// All endpoints' books.
#[derive(Debug, Default)]
pub(super) struct Books {
    by_address: RwLock<HashMap<SocketAddr, Arc<Book>>>,
    numbers: AtomicU64,
}

#[derive(Debug, Default)]
struct Book {
    requests: AtomicU32,
    prefill: Mutex<Prefill>,
    /// When requests were sent, oldest first.
    recent: Mutex<VecDeque<Instant>>,
}

/// Prompts that are still to be computed, as far as anybody knows.
#[derive(Debug, Default)]
struct Prefill {
    /// Tokens of each, by when it must be done; the number tells equal times apart.
    open: BTreeMap<Place, u64>,
    tokens: u64,
}

type Place = (Instant, u64);

/// One request in the books, until it is dropped.
#[derive(Debug)]
pub(super) struct Booking {
    address: SocketAddr,
    book: Arc<Book>,
    prefill_tokens: u64,
    place: Place,
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
            prefill_tokens: book.prefill().pending(Instant::now()),
            since_scrape: since.min(requests),
        }
    }

    /// Books one request that is sent now.
    pub(super) fn book(&self, address: SocketAddr, prefill_tokens: u64) -> Booking {
        let book = self.of(address);
        book.requests.fetch_add(1, Ordering::Relaxed);
        let now = Instant::now();
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let place = book.prefill().add(prefill_tokens, now, number);
        book.sent(now);
        Booking {
            address,
            book,
            prefill_tokens,
            place,
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

impl Prefill {
    /// One prompt more; the endpoint computes it after those that are open.
    fn add(&mut self, tokens: u64, now: Instant, number: u64) -> Place {
        let before = self.pending(now);
        let micros = u64::try_from(PREFILL_TOKEN.as_micros()).unwrap_or(u64::MAX);
        let work = Duration::from_micros(before.saturating_add(tokens).saturating_mul(micros));
        let place = (now.checked_add(work).unwrap_or(now), number);
        if tokens > 0 {
            self.open.insert(place, tokens);
            self.tokens = self.tokens.saturating_add(tokens);
        }
        place
    }

    /// Tokens that are not done by `now`.
    fn pending(&mut self, now: Instant) -> u64 {
        while let Some(first) = self.open.first_entry()
            && first.key().0 <= now
        {
            self.tokens = self.tokens.saturating_sub(first.remove());
        }
        self.tokens
    }

    fn done(&mut self, place: &Place) {
        let tokens = self.open.remove(place).unwrap_or(0);
        self.tokens = self.tokens.saturating_sub(tokens);
    }
}

impl Book {
    fn prefill(&self) -> MutexGuard<'_, Prefill> {
        self.prefill.lock().unwrap_or_else(PoisonError::into_inner)
    }

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
        if std::mem::take(&mut self.prefill_tokens) > 0 {
            self.book.prefill().done(&self.place);
        }
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
        let mut first = books.book(address(1), 10_000_000);
        let second = books.book(address(1), 50_000_000);
        let both = books.in_flight(address(1), None);
        assert_eq!((both.requests, both.prefill_tokens), (2, 60_000_000));
        first.prefilled();
        first.prefilled();
        let one_left = books.in_flight(address(1), None);
        assert_eq!(
            (one_left.requests, one_left.prefill_tokens),
            (2, 50_000_000)
        );
        drop(second);
        drop(first);
        assert_eq!(books.in_flight(address(1), None), InFlight::default());
        assert_eq!(books.in_flight(address(2), None), InFlight::default());
    }

    #[test]
    fn a_prompt_without_a_first_token_counts_for_a_bounded_time() {
        let now = Instant::now();
        let after = |millis| now + Duration::from_millis(millis);
        let mut prefill = Prefill::default();
        let first = prefill.add(6_000, now, 0);
        let second = prefill.add(2_000, now, 1);
        let none = prefill.add(0, now, 2);
        assert_eq!(prefill.pending(after(2_999)), 8_000);
        assert_eq!(prefill.pending(after(3_000)), 2_000);
        // The second is computed after the first.
        assert_eq!(prefill.pending(after(3_999)), 2_000);
        prefill.done(&first);
        assert_eq!(prefill.pending(after(3_999)), 2_000);
        assert_eq!(prefill.pending(after(4_000)), 0);
        prefill.done(&second);
        prefill.done(&none);
        assert_eq!(prefill.pending(after(4_000)), 0);
        assert!(prefill.open.is_empty());
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
