//! What a token on each medium is worth.

use proto_api::MediumWeights;
use proto_model::Medium;

/// Weights from 0 to 1 for every medium.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weights([f64; Medium::ALL.len()]);

/// A weight outside its range.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("weight of {medium} is {weight}; expected a number from 0 to 1")]
pub struct WeightError {
    /// Whose.
    pub medium: Medium,
    /// What was given.
    pub weight: f64,
}

impl Default for Weights {
    /// GPU 1.0 and host memory 0.8 are llm-d's defaults; disk 0.5 and remote 0.3
    /// are ours: loading from there still beats computing anew, by less.
    fn default() -> Self {
        Self([1.0, 0.8, 0.5, 0.3])
    }
}

impl Weights {
    /// The weights in the order of [`Medium::ALL`].
    pub fn new(weights: [f64; Medium::ALL.len()]) -> Result<Self, WeightError> {
        for (medium, weight) in Medium::ALL.into_iter().zip(weights) {
            if !(0.0..=1.0).contains(&weight) {
                return Err(WeightError { medium, weight });
            }
        }
        Ok(Self(weights))
    }

    /// The weight of a medium.
    #[must_use]
    pub fn get(&self, medium: Medium) -> f64 {
        self.0[medium as usize]
    }

    /// These, with a request's own in their place where it has any.
    #[must_use]
    pub fn overridden(&self, by: &MediumWeights) -> Self {
        Self(Medium::ALL.map(|medium| by.get(medium).unwrap_or_else(|| self.get(medium))))
    }
}
