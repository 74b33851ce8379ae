//! Numbers that look random and are the same in every run.

/// A small generator (splitmix64).
#[derive(Debug)]
pub(super) struct Random(u64);

/// Spreads a number over all 64 bits.
pub(super) fn mix(value: u64) -> u64 {
    let value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(mix(seed))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number below `bound`, or 0.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        (self.next() % (bound.max(1) as u64)) as usize
    }

    /// True once in `1 / share` times.
    pub(super) fn chance(&mut self, share: f64) -> bool {
        self.unit() < share
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Ranks drawn with Zipf's law.
#[derive(Debug)]
pub(super) struct Zipf {
    /// Chance of a rank at most this one.
    cumulative: Vec<f64>,
}

impl Zipf {
    pub(super) fn new(ranks: usize, exponent: f64) -> Self {
        let mut sum = 0.0;
        let mut cumulative: Vec<f64> = (1..=ranks.max(1))
            .map(|rank| {
                sum += (rank as f64).powf(-exponent);
                sum
            })
            .collect();
        cumulative.iter_mut().for_each(|chance| *chance /= sum);
        Self { cumulative }
    }

    pub(super) fn draw(&self, random: &mut Random) -> usize {
        let at = random.unit();
        self.cumulative
            .partition_point(|&chance| chance < at)
            .min(self.cumulative.len() - 1)
    }

    /// The chance of one rank.
    pub(super) fn share(&self, rank: usize) -> f64 {
        let before = rank.checked_sub(1).map_or(0.0, |at| self.cumulative[at]);
        self.cumulative[rank] - before
    }
}
