//! How many second requests may be sent only because the first is slow.

use std::sync::{Mutex, PoisonError};

/// Extra requests that may be sent in a row.
const BURST: f64 = 10.0;

/// How much one outcome counts for whether hedging pays.
const WEIGHT: f64 = 1.0 / 16.0;

/// A share of all requests, which shrinks while second requests do not win.
#[derive(Debug)]
pub(super) struct Hedging {
    /// Extra requests per request, at most.
    share: f64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    saved: f64,
    /// How many of the latest extra requests answered first, 0 to 1.
    wins: f64,
}

impl Hedging {
    pub(super) fn new(share: f64) -> Self {
        let state = State {
            saved: 1.0,
            wins: 0.5,
        };
        Self {
            share,
            state: Mutex::new(state),
        }
    }

    /// A request was sent: saves up for an extra one. Where most of them lose, a
    /// tenth of the share is left to find out when that changes.
    pub(super) fn sent(&self) {
        let mut state = self.state();
        let pays = (2.0 * state.wins).clamp(0.1, 1.0);
        state.saved = (state.saved + self.share * pays).min(BURST);
    }

    /// Takes one extra request, if there is one.
    pub(super) fn take(&self) -> bool {
        let mut state = self.state();
        let there = self.share > 0.0 && state.saved >= 1.0;
        if there {
            state.saved -= 1.0;
        }
        there
    }

    /// Whether an extra request answered first.
    pub(super) fn ended(&self, won: bool) {
        let mut state = self.state();
        state.wins += WEIGHT * (f64::from(u8::from(won)) - state.wins);
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(hedging: &Hedging, requests: usize, won: bool) -> usize {
        let asked = (0..requests).filter(|_| {
            hedging.sent();
            let taken = hedging.take();
            if taken {
                hedging.ended(won);
            }
            taken
        });
        asked.count()
    }

    #[test]
    fn extra_requests_keep_to_their_share() {
        let share = taken(&Hedging::new(0.1), 1000, true);
        assert!((90..=101).contains(&share), "{share}");
        assert_eq!(taken(&Hedging::new(0.0), 1000, true), 0);
    }

    #[test]
    fn where_they_never_win_hardly_any_are_sent() {
        let hedging = Hedging::new(0.1);
        taken(&hedging, 2000, false);
        let share = taken(&hedging, 2000, false);
        assert!((1..=40).contains(&share), "{share}");
    }
}
