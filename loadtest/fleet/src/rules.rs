//! The published system's scorers, as it documents and configures them: each
//! part 0 to 1, added by weight, the highest sum wins, chance decides between
//! equals.

use rand::Rng as _;
use rand::rngs::SmallRng;

use router_picker::Load;

use crate::Strategy;

/// What the published estimated scorer can see and remember. Blocks are of 64
/// bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct PublishedScorer {
    /// Blocks of a prompt that it looks at.
    pub blocks: usize,
    /// Blocks that it remembers of each engine.
    pub remembered: u32,
}

impl Default for PublishedScorer {
    /// As it was configured for the published benchmark.
    fn default() -> Self {
        Self {
            blocks: 256,
            remembered: 31_250,
        }
    }
}

/// Weights of prefix, queue and cache use.
struct Weights {
    prefix: f64,
    queue: f64,
    kv: f64,
}

fn weights(strategy: Strategy) -> Weights {
    let of = |prefix, queue, kv| Weights { prefix, queue, kv };
    match strategy {
        Strategy::PublishedPrecise => of(3.0, 2.0, 2.0),
        Strategy::PublishedEstimated => of(1.0, 1.0, 1.0),
        _ => of(0.0, 1.0, 1.0),
    }
}

/// The engine with the highest score. `matched` are blocks of the prompt, out of
/// `blocks`; at least one engine is there.
pub(crate) fn choose(
    strategy: Strategy,
    matched: &[u32],
    blocks: u32,
    loads: &[Load],
    random: &mut SmallRng,
) -> usize {
    let weights = weights(strategy);
    let (fewest, most) = bounds(loads.iter().map(|load| load.waiting));
    let (least, longest) = bounds(matched.iter().copied());
    let mut best = (f64::NEG_INFINITY, 0);
    let mut equals = 0;
    for (engine, load) in loads.iter().enumerate() {
        let queue = share(most - load.waiting, most - fewest);
        let prefix = match strategy {
            Strategy::PublishedPrecise => share(matched[engine] - least, longest - least),
            Strategy::PublishedEstimated => f64::from(matched[engine]) / f64::from(blocks.max(1)),
            _ => 0.0,
        };
        let kv = 1.0 - load.kv_usage;
        let score = weights.prefix * prefix + weights.queue * queue + weights.kv * kv;
        if score > best.0 {
            (best, equals) = ((score, engine), 1);
        } else if score >= best.0 {
            equals += 1;
            if random.random_range(0..equals) == 0 {
                best.1 = engine;
            }
        }
    }
    best.1
}

fn bounds(numbers: impl Iterator<Item = u32> + Clone) -> (u32, u32) {
    let (least, most) = (numbers.clone().min(), numbers.max());
    (least.unwrap_or(0), most.unwrap_or(0))
}

/// 1 where all are alike.
fn share(part: u32, of: u32) -> f64 {
    if of == 0 {
        1.0
    } else {
        f64::from(part) / f64::from(of)
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    fn load(waiting: u32, kv_usage: f64) -> Load {
        Load {
            waiting,
            running: 0,
            kv_usage,
        }
    }

    #[test]
    fn a_prefix_outweighs_a_fuller_cache_but_not_a_queue_and_a_fuller_cache() {
        let mut random = SmallRng::seed_from_u64(1);
        let mut of = |loads: &[Load]| {
            choose(
                Strategy::PublishedEstimated,
                &[256, 0],
                256,
                loads,
                &mut random,
            )
        };
        assert_eq!(of(&[load(0, 0.9), load(0, 0.0)]), 0);
        assert_eq!(of(&[load(1, 0.9), load(0, 0.0)]), 1);
    }

    #[test]
    fn chance_decides_between_equals() {
        let mut random = SmallRng::seed_from_u64(1);
        let loads = [load(0, 0.0); 4];
        let mut picked = [0; 4];
        for _ in 0..4_000 {
            picked[choose(Strategy::PublishedLoad, &[0; 4], 1, &loads, &mut random)] += 1;
        }
        assert!(
            picked.iter().all(|times| (850..1_150).contains(times)),
            "{picked:?}"
        );
    }
}
