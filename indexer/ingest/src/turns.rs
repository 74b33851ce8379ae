//! Letting other threads have a turn.
//!
//! A thread that never waits keeps its core until the system's next tick, which is
//! milliseconds. In a process that also answers questions, a thread that has just
//! been woken to answer one would wait for that.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// How long a thread works on before others have a turn. Shorter turns would leave
/// it little of a core that busy processes share.
const TURN: Duration = Duration::from_millis(1);

thread_local! {
    static BEGAN: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Gives this thread's core to others that wait for it, if its turn has been long
/// enough.
pub(crate) fn next_turn() {
    let now = Instant::now();
    if BEGAN.get().is_none_or(|began| now - began >= TURN) {
        std::thread::yield_now();
        BEGAN.set(Some(Instant::now()));
    }
}
