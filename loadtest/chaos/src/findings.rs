//! What went wrong, where in the run, and what was counted.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Beyond this many, violations are counted only.
const KEPT: usize = 50;

/// Something that must not happen, and did.
#[derive(Debug, Clone)]
pub(crate) struct Violation {
    /// The invariant's name, or `hang`, `exit`, `availability`.
    pub(crate) rule: &'static str,
    pub(crate) what: String,
    /// The step of the schedule in which it was noticed.
    pub(crate) step: String,
    /// Since the run began.
    pub(crate) at: Duration,
}

/// Clones write into the same run.
#[derive(Clone)]
pub(crate) struct Findings {
    inner: Arc<Mutex<Inner>>,
    verbose: bool,
}

struct Inner {
    began: Instant,
    step: String,
    violations: Vec<Violation>,
    total: u64,
    counts: BTreeMap<&'static str, u64>,
    history_lost: bool,
}

impl Inner {
    fn new() -> Self {
        Self {
            began: Instant::now(),
            step: "start".to_owned(),
            violations: Vec::new(),
            total: 0,
            counts: BTreeMap::new(),
            history_lost: false,
        }
    }
}

/// What one run found.
pub(crate) struct Found {
    pub(crate) violations: Vec<Violation>,
    /// All of them, also those that were not kept.
    pub(crate) total: u64,
    pub(crate) counts: BTreeMap<&'static str, u64>,
    pub(crate) took: Duration,
}

impl Findings {
    pub(crate) fn new(verbose: bool) -> Self {
        Self {
            inner: Arc::new(Mutex::new(Inner::new())),
            verbose,
        }
    }

    /// A new run: everything is handed over and begins anew.
    pub(crate) fn take(&self) -> Found {
        let inner = std::mem::replace(&mut *self.lock(), Inner::new());
        Found {
            violations: inner.violations,
            total: inner.total,
            counts: inner.counts,
            took: inner.began.elapsed(),
        }
    }

    /// What the schedule does from now on.
    pub(crate) fn step(&self, step: impl Into<String>) {
        let step = step.into();
        self.say(&step);
        self.lock().step = step;
    }

    /// The schedule's present step.
    pub(crate) fn present_step(&self) -> String {
        self.lock().step.clone()
    }

    pub(crate) fn violation(&self, rule: &'static str, what: impl Into<String>) {
        let what = what.into();
        self.say(&format!("VIOLATION of {rule}: {what}"));
        let mut inner = self.lock();
        inner.total += 1;
        if inner.violations.len() < KEPT {
            let violation = Violation {
                rule,
                what,
                step: inner.step.clone(),
                at: inner.began.elapsed(),
            };
            inner.violations.push(violation);
        }
    }

    pub(crate) fn count(&self, name: &'static str, more: u64) {
        *self.lock().counts.entry(name).or_default() += more;
    }

    /// From now on the store has lost its history, as it was made to: what it says
    /// of engines begins anew, and may be less than exact.
    pub(crate) fn history_is_lost(&self) {
        self.lock().history_lost = true;
    }

    pub(crate) fn is_history_lost(&self) -> bool {
        self.lock().history_lost
    }

    #[expect(clippy::print_stderr, reason = "progress, asked for")]
    pub(crate) fn say(&self, line: &str) {
        if self.verbose {
            let at = self.lock().began.elapsed().as_secs_f64();
            eprintln!("{at:9.3} {line}");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
