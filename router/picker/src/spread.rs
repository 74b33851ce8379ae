//! Where near-ties fall: a number per request and endpoint.

/// Spreads one request's near-ties.
pub(crate) struct Spread(u64);

impl Spread {
    pub(crate) fn new(seed: u64) -> Self {
        Self(mix(seed))
    }

    /// 0 up to, not with, 1; independent for every candidate and seed.
    pub(crate) fn of(&self, index: usize) -> f64 {
        const STEP: f64 = 1.0 / (1u64 << 53) as f64;
        let drawn = mix(self.0.wrapping_add(index as u64)) >> 11;
        drawn as f64 * STEP
    }
}

/// The finaliser of splitmix64 (Steele, Lea, Flood 2014).
fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
