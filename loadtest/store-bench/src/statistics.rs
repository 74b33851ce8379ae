//! Quantiles.

/// The values, sorted. Microseconds in, milliseconds out.
pub(crate) struct Sorted(Vec<u64>);

impl Sorted {
    pub(crate) fn new(mut micros: Vec<u64>) -> Self {
        micros.sort_unstable();
        Self(micros)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The smallest value that this share of all does not exceed; 0 of none.
    pub(crate) fn quantile_ms(&self, share: f64) -> f64 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a length"
        )]
        let rank = (share * self.0.len() as f64).ceil() as usize;
        let value = self.0.get(rank.saturating_sub(1)).or_else(|| self.0.last());
        value.copied().unwrap_or(0) as f64 / 1_000.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_occurred() {
        let sorted = Sorted::new((1..=100).rev().map(|n| n * 1_000).collect());
        let found = [0.0, 0.5, 0.99, 1.0].map(|share| sorted.quantile_ms(share));
        assert_eq!(found, [1.0, 50.0, 99.0, 100.0]);
        assert_eq!(Sorted::new(Vec::new()).quantile_ms(0.5), 0.0);
    }
}
