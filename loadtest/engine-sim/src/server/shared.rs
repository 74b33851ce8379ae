//! What the driver and the connections of one engine share.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{mpsc, watch};

use super::config::SimConfig;
use super::driver::Command;
use super::faults::Faults;
use super::statistics::Statistics;
use super::truth::{History, Truth};
use crate::engine::{Load, Totals};

pub(crate) struct Shared {
    pub(crate) config: SimConfig,
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) faults: watch::Sender<Faults>,
    /// Which lifetime of the engine this is, from 1. A change cuts connections.
    pub(crate) life: watch::Sender<u64>,
    /// Whether the subscriber that events go to has subscribed.
    pub(crate) subscribed: watch::Sender<bool>,
    pub(crate) state: Mutex<State>,
    requests: AtomicU64,
}

/// What is told about the engine.
pub(crate) struct State {
    pub(crate) load: Load,
    pub(crate) totals: Totals,
    /// The number of the next message.
    pub(crate) sequence: u64,
    pub(crate) statistics: Statistics,
    pub(crate) history: History,
}

impl Shared {
    pub(crate) fn new(config: SimConfig, commands: mpsc::Sender<Command>) -> Self {
        let state = State {
            load: Load::default(),
            totals: Totals::default(),
            sequence: 0,
            statistics: Statistics::default(),
            history: History::new(config.history),
        };
        Self {
            config,
            commands,
            faults: watch::Sender::new(Faults::default()),
            life: watch::Sender::new(1),
            subscribed: watch::Sender::new(false),
            state: Mutex::new(state),
            requests: AtomicU64::new(0),
        }
    }

    pub(crate) fn next_request(&self) -> u64 {
        self.requests.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn with_state<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.state.lock().expect("nothing panics with it"))
    }

    pub(crate) fn remember(&self, truth: Truth) {
        self.with_state(|state| state.history.add(truth));
    }

    /// Returns when the engine is not frozen.
    pub(crate) async fn thawed(&self) {
        // The sender is this struct's own, so waiting cannot fail.
        let _ = self.faults.subscribe().wait_for(|now| !now.frozen).await;
    }
}
