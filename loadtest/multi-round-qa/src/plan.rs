//! Who joins when.
//!
//! As the documented tool has it: a user asks every `users / qps` seconds, `rounds`
//! times. At the begin there are `users` of them that are taken to have come one
//! after the other, so that they stand at different rounds; from then on another one
//! joins every `(rounds - 1) / qps` seconds.

use std::time::Duration;

use crate::Options;

/// When users ask and join.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan {
    users: u32,
    rounds: u32,
    /// Between two questions of a user.
    pub gap: Duration,
    /// Between two users that join.
    pub join: Duration,
}

/// Where a user begins.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Start {
    /// Rounds that count as done.
    pub done: u32,
    /// Until the first question.
    pub wait: Duration,
}

impl Plan {
    /// Of options that are valid.
    #[must_use]
    pub fn new(options: &Options) -> Self {
        // Users of one round have no time between their rounds: then they join at
        // the rate of requests.
        let rounds_between = (options.rounds - 1).max(1);
        Self {
            users: options.users,
            rounds: options.rounds,
            gap: Duration::from_secs_f64(f64::from(options.users) / options.qps),
            join: Duration::from_secs_f64(f64::from(rounds_between) / options.qps),
        }
    }

    /// The users of the begin that still have something to ask.
    pub fn first(&self) -> impl Iterator<Item = Start> + use<> {
        let (users, rounds, gap) = (u64::from(self.users), u64::from(self.rounds), self.gap);
        // User n came `(users - n) x join` ago: that is so many gaps, in parts of a
        // gap's `users`.
        let ago = (0..users).map(move |n| (users - n) * (rounds - 1));
        ago.filter_map(move |parts| {
            let done = parts / users + 1;
            let into_gap = (parts % users) as f64 / users as f64;
            (done < rounds).then(|| Start {
                done: u32::try_from(done).unwrap_or(u32::MAX),
                wait: gap.mul_f64(1.0 - into_gap),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(users: u32, rounds: u32, qps: f64) -> Plan {
        Plan::new(&Options {
            users,
            rounds,
            qps,
            system_words: 0,
            history_words: 0,
            answer_tokens: 1,
            model: "m".to_owned(),
            first_user: 0,
            user_header: false,
            warm_up: false,
        })
    }

    /// 8 users of 15 rounds at 0.1 a second: a question each 80 s, a user each 140 s.
    #[test]
    fn the_documented_run_begins_with_users_at_different_rounds() {
        let plan = plan(8, 15, 0.1);
        assert_eq!(plan.gap, Duration::from_secs(80));
        assert_eq!(plan.join, Duration::from_secs(140));
        let first: Vec<_> = plan.first().collect();
        // The one that came 1,120 s ago is through.
        assert_eq!(first.len(), 7);
        let done: Vec<_> = first.iter().map(|start| start.done).collect();
        assert_eq!(done, [13, 11, 9, 8, 6, 4, 2]);
        // 980 s ago: its 13th question was 20 s ago.
        assert_eq!(first[0].wait, Duration::from_secs(60));
        // 840 s ago: the 11th question was 40 s ago.
        assert_eq!(first[1].wait, Duration::from_secs(40));
    }

    #[test]
    fn users_of_one_round_join_at_the_rate_of_requests() {
        let plan = plan(4, 1, 2.0);
        assert_eq!(plan.first().count(), 0);
        assert_eq!(plan.join, Duration::from_millis(500));
    }
}
