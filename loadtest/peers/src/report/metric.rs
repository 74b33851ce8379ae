//! The rows of a table.

use std::cmp::Ordering;

use crate::figures::Figures;

/// One row.
pub(super) struct Metric {
    pub(super) name: &'static str,
    pub(super) of: fn(&Figures) -> Option<f64>,
    pub(super) higher_is_better: bool,
    /// Whether it is a figure to win; else it tells how others came about.
    pub(super) compared: bool,
    /// How many times as good as the best peer it should be.
    pub(super) goal: f64,
    decimals: usize,
}

/// What repeats gave.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spread {
    pub(super) least: f64,
    pub(super) median: f64,
    pub(super) most: f64,
}

const fn low(name: &'static str, decimals: usize, of: fn(&Figures) -> Option<f64>) -> Metric {
    Metric {
        name,
        of,
        higher_is_better: false,
        compared: true,
        goal: 1.0,
        decimals,
    }
}

const fn high(name: &'static str, of: fn(&Figures) -> Option<f64>) -> Metric {
    Metric {
        name,
        of,
        higher_is_better: true,
        compared: true,
        goal: 1.0,
        decimals: 2,
    }
}

/// The same row, for reading only.
const fn note(metric: Metric) -> Metric {
    Metric {
        compared: false,
        ..metric
    }
}

/// Bytes per membership: half of the best peer's.
const fn bytes(name: &'static str, of: fn(&Figures) -> Option<f64>) -> Metric {
    Metric {
        goal: 2.0,
        ..low(name, 1, of)
    }
}

fn per(bytes: u64, memberships: u64) -> Option<f64> {
    (memberships > 0).then(|| bytes as f64 / memberships as f64)
}

/// All rows, in order.
pub(super) const METRICS: &[Metric] = &[
    low("lookup p50 after load, us", 2, |f| {
        Some(f.loaded.lookup.p50 / 1e3)
    }),
    low("lookup p99 after load, us", 2, |f| {
        Some(f.loaded.lookup.p99 / 1e3)
    }),
    low("lookup p50 after churn, us", 2, |f| {
        Some(f.churned.lookup.p50 / 1e3)
    }),
    low("lookup p99 after churn, us", 2, |f| {
        Some(f.churned.lookup.p99 / 1e3)
    }),
    low("lookup p50 beside writer, us", 2, |f| {
        f.beside.map(|beside| beside.lookup.p50 / 1e3)
    }),
    low("lookup p99 beside writer, us", 2, |f| {
        f.beside.map(|beside| beside.lookup.p99 / 1e3)
    }),
    note(high("that writer, M block events/s", |f| {
        f.beside.map(|beside| beside.rate / 1e6)
    })),
    note(low("its backlog at the end, ms", 1, |f| {
        f.beside.map(|beside| beside.lag_ms)
    })),
    high("load, M stores/s", |f| Some(f.store_rate / 1e6)),
    high("churn, M block events/s", |f| Some(f.churn_rate / 1e6)),
    high("evict only, M removals/s", |f| Some(f.remove_rate / 1e6)),
    low("restart applied, ms", 3, |f| Some(f.restart_ms[0])),
    low("longest restart, ms", 3, |f| Some(f.restart_ms[1])),
    bytes("bytes per membership, loaded", |f| {
        per(f.loaded.bytes, f.loaded.memberships)
    }),
    bytes("bytes per membership, churned", |f| {
        per(f.churned.bytes, f.churned.memberships)
    }),
    bytes("bytes per membership, drained", |f| {
        per(f.ended_bytes, f.ended_memberships)
    }),
];

impl Metric {
    /// The better one first.
    pub(super) fn order(&self, a: f64, b: f64) -> Ordering {
        if self.higher_is_better {
            b.total_cmp(&a)
        } else {
            a.total_cmp(&b)
        }
    }

    pub(super) fn text(&self, spread: &Spread) -> String {
        let decimals = self.decimals;
        let Spread {
            least,
            median,
            most,
        } = spread;
        if least == most {
            return format!("{median:.decimals$}");
        }
        format!("{median:.decimals$} [{least:.decimals$} to {most:.decimals$}]")
    }
}

impl Spread {
    /// Of at least one value.
    pub(super) fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_unstable_by(f64::total_cmp);
        Some(Self {
            least: *values.first()?,
            median: values[values.len() / 2],
            most: *values.last()?,
        })
    }
}
