//! Whether this process may be sent work, and if not, what it waits for.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use tokio_util::sync::CancellationToken;

/// All conditions of one process. Clones share them. With no conditions the
/// process is ready.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    inner: Arc<Mutex<Inner>>,
    draining: CancellationToken,
}

#[derive(Debug, Default)]
struct Inner {
    next_gate: u64,
    /// In the order of registration; the reason while not ready.
    gates: BTreeMap<u64, Gate>,
}

#[derive(Debug)]
struct Gate {
    name: String,
    waiting_for: Option<String>,
}

/// One condition. It begins closed. Dropped, it stays closed for good: who
/// should have kept it is gone.
#[derive(Debug)]
pub struct ReadyGate {
    number: u64,
    readiness: Readiness,
}

/// The answer of `/readyz`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReadinessReport {
    /// Whether nothing is awaited.
    pub ready: bool,
    /// What is awaited, in the order of registration.
    pub waiting: Vec<NotReady>,
}

/// One condition that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NotReady {
    /// The condition, by the name it was registered with.
    pub name: String,
    /// Why it does not hold.
    pub reason: String,
}

impl Readiness {
    /// No conditions yet. Not ready for good once `stop` is cancelled: probes
    /// turn away while the requests under way are finished.
    #[must_use]
    pub fn until(stop: &CancellationToken) -> Self {
        Self {
            inner: Arc::default(),
            draining: stop.child_token(),
        }
    }

    /// Registers a condition that does not hold yet.
    #[must_use]
    pub fn gate(&self, name: impl Into<String>) -> ReadyGate {
        let gate = Gate {
            name: name.into(),
            waiting_for: Some("starting".to_owned()),
        };
        let number = self.with(|inner| {
            let number = inner.next_gate;
            inner.next_gate += 1;
            inner.gates.insert(number, gate);
            number
        });
        ReadyGate {
            number,
            readiness: self.clone(),
        }
    }

    /// What is awaited now.
    #[must_use]
    pub fn report(&self) -> ReadinessReport {
        self.with(|inner| {
            let draining = self.draining.is_cancelled().then(|| NotReady {
                name: "process".to_owned(),
                reason: "draining".to_owned(),
            });
            let closed = inner.gates.values().filter_map(Gate::not_ready);
            let waiting: Vec<_> = draining.into_iter().chain(closed).collect();
            ReadinessReport {
                ready: waiting.is_empty(),
                waiting,
            }
        })
    }

    fn with<R>(&self, act: impl FnOnce(&mut Inner) -> R) -> R {
        act(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Gate {
    fn not_ready(&self) -> Option<NotReady> {
        self.waiting_for.as_ref().map(|reason| NotReady {
            name: self.name.clone(),
            reason: reason.clone(),
        })
    }
}

impl ReadyGate {
    /// The condition holds.
    pub fn ready(&self) {
        self.set(None);
    }

    /// The condition does not hold, because of `reason`.
    pub fn not_ready(&self, reason: impl Into<String>) {
        self.set(Some(reason.into()));
    }

    fn set(&self, waiting_for: Option<String>) {
        self.readiness.with(|inner| {
            if let Some(gate) = inner.gates.get_mut(&self.number) {
                gate.waiting_for = waiting_for;
            }
        });
    }
}

impl Drop for ReadyGate {
    fn drop(&mut self) {
        self.not_ready("stopped");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(readiness: &Readiness) -> Vec<(String, String)> {
        let report = readiness.report();
        assert_eq!(report.ready, report.waiting.is_empty());
        report
            .waiting
            .into_iter()
            .map(|entry| (entry.name, entry.reason))
            .collect()
    }

    fn pair(name: &str, reason: &str) -> (String, String) {
        (name.to_owned(), reason.to_owned())
    }

    #[test]
    fn every_gate_must_be_open() {
        let readiness = Readiness::default();
        assert!(readiness.report().ready);
        let watch = readiness.gate("watch");
        let model = readiness.gate("model");
        assert_eq!(
            waiting(&readiness),
            [pair("watch", "starting"), pair("model", "starting")]
        );
        watch.ready();
        model.ready();
        assert!(readiness.report().ready);
        watch.not_ready("store away");
        assert_eq!(waiting(&readiness), [pair("watch", "store away")]);
    }

    #[test]
    fn a_dropped_gate_stays_closed_and_drain_is_final() {
        let stop = CancellationToken::new();
        let readiness = Readiness::until(&stop);
        let gate = readiness.gate("watch");
        gate.ready();
        stop.cancel();
        assert_eq!(waiting(&readiness), [pair("process", "draining")]);
        drop(gate);
        assert_eq!(
            waiting(&readiness),
            [pair("process", "draining"), pair("watch", "stopped")]
        );
    }
}
