//! Time between a client and the router, drawn per request.

use std::f64::consts::TAU;
use std::time::Duration;

use rand::Rng as _;
use rand::rngs::SmallRng;

use crate::PathCalibration;

/// Nine of ten values of a standard normal distribution are below this.
const Z90: f64 = 1.281_551_565_5;

/// A log-normal distribution.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Path {
    mu: f64,
    sigma: f64,
}

impl Path {
    /// With `mean = exp(mu + sigma²/2)` and `p90 = exp(mu + z sigma)`, the smaller
    /// solution for sigma: up to `p90 = 2.27 mean` there is one.
    pub(crate) fn new(of: PathCalibration) -> Option<Self> {
        if of.mean <= 0.0 {
            return None;
        }
        let ratio = (of.p90 / of.mean).ln();
        let sigma = Z90 - (Z90 * Z90 - 2.0 * ratio).max(0.0).sqrt();
        Some(Self {
            mu: of.mean.ln() - sigma * sigma / 2.0,
            sigma,
        })
    }

    pub(crate) fn draw(&self, random: &mut SmallRng) -> Duration {
        let radius = (-2.0 * (1.0 - random.random::<f64>()).ln()).sqrt();
        let normal = radius * (TAU * random.random::<f64>()).cos();
        Duration::from_secs_f64((self.mu + self.sigma * normal).exp())
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    #[test]
    fn what_is_drawn_has_the_mean_and_the_quantile() {
        let of = PathCalibration {
            mean: 0.25,
            p90: 0.45,
        };
        let path = Path::new(of).unwrap();
        let mut random = SmallRng::seed_from_u64(7);
        let draw = |_| path.draw(&mut random).as_secs_f64();
        let mut drawn: Vec<f64> = (0..100_000).map(draw).collect();
        drawn.sort_by(f64::total_cmp);
        let mean = drawn.iter().sum::<f64>() / 1e5;
        assert!((mean - of.mean).abs() < 0.005, "{mean}");
        assert!((drawn[90_000] - of.p90).abs() < 0.01, "{}", drawn[90_000]);
        assert!(
            Path::new(PathCalibration {
                mean: 0.0,
                p90: 0.0
            })
            .is_none()
        );
    }
}
