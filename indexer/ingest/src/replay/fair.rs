//! What one remote side may take of what all replays share.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// One replay at a time for each host, whatever it is called.
#[derive(Debug, Clone, Default)]
pub(crate) struct Turns(Arc<Mutex<HashMap<IpAddr, Weak<Semaphore>>>>);

/// A host's turn; the next begins when it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    _permit: OwnedSemaphorePermit,
}

impl Turns {
    /// Waits until no other replay of this host runs.
    pub(crate) async fn take(&self, host: IpAddr) -> Option<Turn> {
        let gate = self.gate(host.to_canonical());
        let permit = gate.acquire_owned().await.ok()?;
        Some(Turn { _permit: permit })
    }

    fn gate(&self, host: IpAddr) -> Arc<Semaphore> {
        let mut gates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(gate) = gates.get(&host).and_then(Weak::upgrade) {
            return gate;
        }
        if gates.len() == gates.capacity() {
            gates.retain(|_, gate| gate.strong_count() > 0);
        }
        let gate = Arc::new(Semaphore::new(1));
        gates.insert(host, Arc::downgrade(&gate));
        gate
    }
}

/// Bytes per second below which a replay is too slow to hold a slot.
const BYTES_PER_SECOND: u64 = 1 << 20;

/// What each message counts besides its bytes: 100 small ones a second do.
const MESSAGE_BYTES: u64 = BYTES_PER_SECOND / 100;

/// How long the other side may still be waited for. Only that time counts: a
/// replay that waits for the ingestor itself loses nothing.
#[derive(Debug)]
pub(crate) struct Pace {
    silence: Duration,
    waited: Duration,
    bytes: u64,
}

impl Pace {
    /// Never a longer silence than this; ten times this altogether.
    pub(crate) fn new(silence: Duration) -> Self {
        Self {
            silence,
            waited: Duration::ZERO,
            bytes: 0,
        }
    }

    /// The longest wait for the next message: what came before earns its time.
    pub(crate) fn left(&self) -> Duration {
        let earned = Duration::from_secs_f64(self.bytes as f64 / BYTES_PER_SECOND as f64);
        let slow = self.silence.saturating_add(earned);
        let all = self.silence.saturating_mul(10);
        slow.min(all).saturating_sub(self.waited).min(self.silence)
    }

    /// A message of so many bytes came after this wait.
    pub(crate) fn came(&mut self, after: Duration, bytes: usize) {
        self.waited = self.waited.saturating_add(after);
        let bytes = (bytes as u64).saturating_add(MESSAGE_BYTES);
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SILENCE: Duration = Duration::from_secs(5);

    /// Messages until the pace is lost, at most `most`.
    fn messages(every: Duration, bytes: usize, most: usize) -> usize {
        let mut pace = Pace::new(SILENCE);
        for count in 0..most {
            if pace.left() < every {
                return count;
            }
            pace.came(every, bytes);
        }
        most
    }

    #[test]
    fn a_drip_loses_its_slot_and_a_slow_engine_does_not() {
        let ms = Duration::from_millis;
        assert_eq!(messages(ms(1000), 100, 1000), 5);
        assert_eq!(messages(ms(5001), 100, 1000), 0);
        assert_eq!(messages(ms(8), 100, 5000), 5000, "small but many");
        assert_eq!(messages(ms(900), 1 << 20, 50), 50, "few but large");
    }

    #[test]
    fn whatever_it_brings_it_ends() {
        let every = Duration::from_millis(500);
        assert_eq!(messages(every, 1 << 24, 1_000_000), 100);
    }

    #[tokio::test]
    async fn a_host_has_one_turn_under_all_its_names() {
        let turns = Turns::default();
        let host: IpAddr = "10.0.0.1".parse().unwrap();
        let mapped: IpAddr = "::ffff:10.0.0.1".parse().unwrap();
        let first = turns.take(host).await.unwrap();
        let mut second = Box::pin(turns.take(mapped));
        assert!(futures::poll!(second.as_mut()).is_pending());
        assert!(turns.take("10.0.0.2".parse().unwrap()).await.is_some());
        drop(first);
        assert!(second.await.is_some());
    }

    #[tokio::test]
    async fn hosts_whose_turns_are_over_are_forgotten() {
        let turns = Turns::default();
        for number in 0..10_000_u32 {
            turns.take(IpAddr::V4(number.into())).await.unwrap();
        }
        assert!(turns.0.lock().unwrap().capacity() < 100);
    }
}
