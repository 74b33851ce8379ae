//! Quantiles of times.

use serde::Serialize;

/// What is told of many times, in microseconds.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Quantiles {
    pub(crate) count: usize,
    pub(crate) min_us: f64,
    pub(crate) p50_us: f64,
    pub(crate) p90_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) p999_us: f64,
}

impl Quantiles {
    /// Of times in nanoseconds.
    pub(crate) fn of(mut nanos: Vec<u64>) -> Self {
        nanos.sort_unstable();
        let at = |share: f64| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a share of a length"
            )]
            let rank = (share * nanos.len() as f64).ceil() as usize;
            let value = nanos.get(rank.saturating_sub(1)).or_else(|| nanos.last());
            value.copied().unwrap_or(0) as f64 / 1_000.0
        };
        Self {
            count: nanos.len(),
            min_us: at(0.0),
            p50_us: at(0.5),
            p90_us: at(0.9),
            p99_us: at(0.99),
            p999_us: at(0.999),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_occurred() {
        let found = Quantiles::of((1..=1_000).rev().map(|n| n * 1_000).collect());
        assert_eq!(
            [
                found.min_us,
                found.p50_us,
                found.p90_us,
                found.p99_us,
                found.p999_us
            ],
            [1.0, 500.0, 900.0, 990.0, 999.0]
        );
        assert_eq!(Quantiles::of(Vec::new()).p99_us, 0.0);
    }
}
