//! What the time to the first token is made of.

use std::time::Duration;

use crate::request::Request;

/// Means per answered request, in seconds; together they are the mean time to the
/// first token.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize)]
pub struct TtftParts {
    /// Outside of router and engines: clients, gateways, streams. Drawn by chance,
    /// the same for every strategy.
    pub way: f64,
    /// Tokenising, between the router and the engine's queue. The same for all.
    pub admission: f64,
    /// Until the step is over that the engine is in when the request comes.
    pub running_step: f64,
    /// Further steps before the one that gives the first token: the queue, and
    /// prompts that need several steps.
    pub queue: f64,
    /// Of the step that gives the first token: computing what the engine did not
    /// find of this prompt.
    pub own_prefill: f64,
    /// The rest of that step: its constant part, requests that generate, and other
    /// prompts.
    pub step: f64,
}

/// Moments of one request, as far as they have come.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Moments {
    /// At the router.
    pub(crate) arrived: Duration,
    /// In the engine's queue.
    pub(crate) admitted: Duration,
    /// The step that the engine was in then has ended.
    pub(crate) free: Duration,
    /// The step that gave the first token has begun.
    pub(crate) begun: Duration,
    /// What the request's own prompt took of that step.
    pub(crate) own: Duration,
}

impl TtftParts {
    /// Nothing by the wall clock: there only what the client sees is known.
    pub(crate) fn of<'a>(answered: impl Iterator<Item = &'a Request>) -> Self {
        let (mut sum, mut count) = (Self::default(), 0.0);
        for request in answered.filter(|request| !request.moments.begun.is_zero()) {
            let Moments {
                arrived,
                admitted,
                free,
                begun,
                own,
            } = request.moments;
            let first = request.first.unwrap_or(request.last);
            let step = first.saturating_sub(begun);
            let own = own.min(step);
            sum.way += (arrived - request.sent).as_secs_f64();
            sum.admission += (admitted - arrived).as_secs_f64();
            sum.running_step += (free - admitted).as_secs_f64();
            sum.queue += (begun - free).as_secs_f64();
            sum.own_prefill += own.as_secs_f64();
            sum.step += (step - own).as_secs_f64();
            count += 1.0;
        }
        sum.over(count)
    }

    /// Whether they were not measured.
    pub(crate) fn are_unknown(&self) -> bool {
        *self == Self::default()
    }

    /// Weighted means of several stages.
    pub(crate) fn mean(stages: impl Iterator<Item = (f64, Self)>) -> Self {
        let (mut sum, mut all) = (Self::default(), 0.0);
        for (weight, parts) in stages {
            sum.way += weight * parts.way;
            sum.admission += weight * parts.admission;
            sum.running_step += weight * parts.running_step;
            sum.queue += weight * parts.queue;
            sum.own_prefill += weight * parts.own_prefill;
            sum.step += weight * parts.step;
            all += weight;
        }
        sum.over(all)
    }

    fn over(self, count: f64) -> Self {
        let count = if count > 0.0 { count } else { 1.0 };
        Self {
            way: self.way / count,
            admission: self.admission / count,
            running_step: self.running_step / count,
            queue: self.queue / count,
            own_prefill: self.own_prefill / count,
            step: self.step / count,
        }
    }

    /// All of it.
    #[must_use]
    pub fn sum(&self) -> f64 {
        self.without_waste() + self.queue + self.own_prefill
    }

    /// What would be left if every prompt were found and nobody waited, with the
    /// steps as they were: no router can be faster without making steps shorter.
    #[must_use]
    pub fn without_waste(&self) -> f64 {
        self.way + self.admission + self.running_step + self.step
    }
}
