//! Whether there is room for requests that may be shed.

use crate::candidate::{Candidate, Load, share};
use crate::policy::Saturation;

/// The mean saturation, 0 to 1, of the endpoints whose load is known; 0 if none
/// is. It is 1 exactly when each of them is saturated: one endpoint with a long
/// queue cannot stand for others that have room.
pub(crate) fn of_pool(limits: &Saturation, candidates: &[Candidate]) -> f64 {
    let mut known = 0u64;
    let mut sum = 0.0;
    for load in candidates.iter().filter_map(|c| c.load.as_ref()) {
        known += 1;
        sum += of_one(limits, load);
    }
    if known == 0 { 0.0 } else { sum / known as f64 }
}

/// How near an endpoint is to its limits; 1: it is beyond one of them.
fn of_one(limits: &Saturation, load: &Load) -> f64 {
    // So that standing at a limit is not yet beyond it.
    const NEARLY: f64 = 1.0 - f64::EPSILON;
    let kv_usage = share(load.kv_usage);
    if load.waiting > limits.waiting || kv_usage > limits.kv_usage {
        return 1.0;
    }
    let waiting = f64::from(load.waiting) / (f64::from(limits.waiting) + 1.0);
    let kv = if limits.kv_usage > 0.0 {
        kv_usage / limits.kv_usage
    } else {
        0.0
    };
    waiting.max(kv).min(NEARLY)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn busy(waiting: u32, kv_usage: f64) -> Candidate {
        Candidate {
            load: Some(Load {
                waiting,
                running: 0,
                kv_usage,
            }),
            ..Candidate::default()
        }
    }

    fn of(candidates: &[Candidate]) -> f64 {
        of_pool(&Saturation::default(), candidates)
    }

    #[test]
    fn the_limits_are_those_of_the_inference_extension() {
        assert!(of(&[busy(5, 0.8)]) < 1.0);
        assert_eq!(of(&[busy(6, 0.0)]), 1.0);
        assert_eq!(of(&[busy(0, 0.81)]), 1.0);
    }

    #[test]
    fn one_endpoint_with_room_is_room() {
        let mut pool = vec![busy(1_000, 1.0); 7];
        pool.push(busy(0, 0.0));
        assert_eq!(of(&pool), 7.0 / 8.0);
        pool.pop();
        assert_eq!(of(&pool), 1.0);
    }

    #[test]
    fn who_says_nothing_is_left_out() {
        assert_eq!(of(&[Candidate::default()]), 0.0);
        assert_eq!(of(&[Candidate::default(), busy(9, 0.0)]), 1.0);
        assert_eq!(of(&[]), 0.0);
    }
}
