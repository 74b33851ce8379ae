//! The choice itself.

use crate::candidate::{Ask, Candidate, share};
use crate::overload::Eligible;
use crate::parts::{Blend, Unknown};
use crate::policy::Policy;
use crate::ranking::{Entry, Ranking};
use crate::saturation;
use crate::spread::Spread;

/// Where a request should go.
#[derive(Debug, Clone, PartialEq)]
pub struct Pick {
    /// Positions in the candidates, best first, as many as were asked for and
    /// there are. Endpoints that are too busy for this request follow those
    /// that are not.
    pub ranked: Vec<usize>,
    /// Why the first is the first.
    pub reason: Reason,
    /// The scores, 0 to 1, in the order of `ranked`. Near-ties and the overload
    /// rule make the order differ from that of the scores.
    pub scores: Vec<f64>,
    /// How saturated the pool is, 0 to 1; at 1 every endpoint whose load is
    /// known is beyond a limit.
    pub saturation: f64,
}

/// Why an endpoint comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It has more of the prompt than another candidate.
    Prefix,
    /// All have the same of the prompt, or it has none of it.
    Load,
    /// The candidate at `from` has more of the prompt and the better score, but
    /// too much work before it.
    Spill {
        /// Position in the candidates.
        from: usize,
    },
    /// There is no other.
    Only,
}

/// Why nothing was picked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There was nothing to pick from.
    #[error("no endpoint is ready: wait until the pool has one")]
    NoCandidates,
    /// The request may be shed, and every endpoint is saturated.
    #[error(
        "every endpoint is saturated: try again later, or give the request a priority of 0 or more"
    )]
    Saturated,
}

/// Ranks the candidates for one request.
///
/// Takes time in proportion to the candidates, and memory to the choices. Any
/// input is safe: what is not a number counts as 0.
pub fn pick(policy: &Policy, ask: &Ask, candidates: &[Candidate]) -> Result<Pick, Refusal> {
    if candidates.is_empty() {
        return Err(Refusal::NoCandidates);
    }
    let policy = policy.in_range();
    let saturation = saturation::of_pool(&policy.saturation, candidates);
    if ask.priority < 0 && saturation >= 1.0 {
        return Err(Refusal::Saturated);
    }
    let rule = Eligible::new(&policy, ask, candidates);
    let (favourite, ranking) = rank(&policy, ask, &rule, candidates);
    let first = ranking[0].index;
    let reason = if candidates.len() == 1 {
        Reason::Only
    } else if rule.reusable(&candidates[favourite]) > rule.reusable(&candidates[first]) {
        Reason::Spill { from: favourite }
    } else if policy.weights.prefix > 0.0 && has_more_than_another(first, candidates) {
        Reason::Prefix
    } else {
        Reason::Load
    };
    Ok(Pick {
        ranked: ranking.iter().map(|entry| entry.index).collect(),
        reason,
        scores: ranking.iter().map(|entry| entry.score).collect(),
        saturation,
    })
}

/// Who would be first without the overload rule, and the ranking with it.
fn rank(
    policy: &Policy,
    ask: &Ask,
    rule: &Eligible<'_>,
    candidates: &[Candidate],
) -> (usize, Vec<Entry>) {
    let blend = Blend::new(&policy.weights);
    let unknown = Unknown::among(candidates);
    let spread = Spread::new(ask.seed);
    let mut ranking = Ranking::new(ask.choices, candidates.len());
    let mut favourite: Option<Entry> = None;
    for (index, candidate) in candidates.iter().enumerate() {
        let score = blend.score(candidate, &unknown);
        let drawn = spread.of(index);
        let entry = Entry {
            index,
            eligible: rule.covers(candidate),
            key: score + policy.near_tie * drawn,
            drawn,
            score,
        };
        if favourite.is_none_or(|held| entry.by_key(&held).is_lt()) {
            favourite = Some(entry);
        }
        ranking.offer(entry);
    }
    (favourite.map_or(0, |entry| entry.index), ranking.finish())
}

fn has_more_than_another(first: usize, candidates: &[Candidate]) -> bool {
    let has = share(candidates[first].prefix);
    candidates.iter().any(|other| share(other.prefix) < has)
}
