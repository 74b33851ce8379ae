//! Who asks what, and when.
//!
//! As the published load generator does it: every stage sends `rate x seconds`
//! requests and ends when the last of them has ended; each stage goes through the
//! users from the first one on, in one shuffled order. Arrivals are Poisson by the
//! second: a count is drawn for each second, then the moments within it.

use std::str::FromStr;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};

/// Token ids are below this: Qwen3's text tokens.
const VOCABULARY: u64 = 151_643;

/// One step of the ladder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Stage {
    /// Requests per second.
    pub rate: u32,
    /// For so long.
    pub seconds: u32,
}

/// A stage that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("stage {text:?} is not RATExSECONDS, both from 1 to 1000000; write 20x38, say")]
pub struct StageError {
    text: String,
}

impl FromStr for Stage {
    type Err = StageError;

    fn from_str(text: &str) -> Result<Self, StageError> {
        let number = |part: &str| {
            let number = part.parse().ok();
            number.filter(|number| (1..=1_000_000).contains(number))
        };
        let parts = text.split_once('x');
        let stage = parts.and_then(|(rate, seconds)| {
            Some(Self {
                rate: number(rate)?,
                seconds: number(seconds)?,
            })
        });
        stage.ok_or_else(|| StageError {
            text: text.chars().take(64).collect(),
        })
    }
}

impl Stage {
    /// Requests that it sends.
    #[must_use]
    pub fn requests(self) -> usize {
        self.rate as usize * self.seconds as usize
    }
}

/// The load.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Workload {
    /// Each with a context of its own.
    pub customers: u32,
    /// Of each customer, with a question of their own.
    pub users: u32,
    /// Tokens of a customer's context.
    pub context_tokens: u32,
    /// Tokens of a question; it is the same whenever its user asks.
    pub question_tokens: u32,
    /// Every question is new, so that only contexts are found again.
    pub new_questions: bool,
    /// Share of the requests, 0 to 1, that users of the first customer send.
    pub hot_share: f64,
    /// Tokens of every reply.
    pub reply_tokens: u32,
    /// Not measured: brings every prompt into the caches.
    pub warm_up: Stage,
    /// Measured.
    pub stages: Vec<Stage>,
    /// Pause between stages.
    pub pause: Duration,
    /// Each request waits for the end of the one before it, and a second more:
    /// for comparing predictions with caches. Rates do not count then.
    pub one_by_one: bool,
}

impl Workload {
    /// The published benchmark.
    #[must_use]
    pub fn published() -> Self {
        const STAGES: [(u32, u32); 16] = [
            (3, 20),
            (10, 20),
            (15, 20),
            (20, 38),
            (22, 34),
            (25, 30),
            (30, 25),
            (35, 21),
            (40, 38),
            (43, 36),
            (46, 33),
            (49, 30),
            (52, 29),
            (55, 27),
            (57, 26),
            (60, 25),
        ];
        Self {
            customers: 150,
            users: 5,
            context_tokens: 6_000,
            question_tokens: 1_200,
            new_questions: false,
            hot_share: 0.0,
            reply_tokens: 1_000,
            warm_up: Stage {
                rate: 15,
                seconds: 50,
            },
            stages: STAGES
                .map(|(rate, seconds)| Stage { rate, seconds })
                .to_vec(),
            pause: Duration::from_secs(2),
            one_by_one: false,
        }
    }

    /// Tokens of every prompt.
    #[must_use]
    pub fn prompt_tokens(&self) -> u32 {
        self.context_tokens + self.question_tokens
    }

    /// The order in which users ask.
    pub(crate) fn order(&self, seed: u64) -> Vec<u32> {
        let mut order: Vec<u32> = (0..self.customers * self.users).collect();
        order.shuffle(&mut SmallRng::seed_from_u64(seed));
        order
    }

    /// The prompt of a user, always the same.
    pub(crate) fn prompt(&self, user: u32) -> Vec<u32> {
        let context = u64::from(user / self.users);
        let question = u64::from(self.customers) + u64::from(user);
        self.text(context, question)
    }

    /// The prompt of this request.
    pub(crate) fn asked(&self, user: u32, request: u64) -> Vec<u32> {
        if !self.new_questions {
            return self.prompt(user);
        }
        let users = u64::from(self.customers) * u64::from(self.users);
        let question = u64::from(self.customers) + users + request;
        self.text(u64::from(user / self.users), question)
    }

    fn text(&self, context: u64, question: u64) -> Vec<u32> {
        let text = |number: u64, tokens: u32| {
            (0..u64::from(tokens)).map(move |at| token(number << 32 | at))
        };
        text(context, self.context_tokens)
            .chain(text(question, self.question_tokens))
            .collect()
    }

    /// Who asks next: the one whose turn it is, or one of the first customer's.
    pub(crate) fn asks(&self, turn: u32, random: &mut SmallRng) -> u32 {
        if self.hot_share > 0.0 && random.random_bool(self.hot_share) {
            random.random_range(0..self.users)
        } else {
            turn
        }
    }

    /// What is generated for the request of this number: like no other reply.
    pub(crate) fn reply(&self, request: u64) -> Vec<u32> {
        let number = (1 << 62) | request << 20;
        let tokens = u64::from(self.reply_tokens);
        (0..tokens).map(|at| token(number + at)).collect()
    }
}

/// Moments of a stage's requests, from its begin on.
pub(crate) fn arrivals(stage: Stage, random: &mut SmallRng) -> Vec<Duration> {
    let wanted = stage.requests();
    let mut moments = Vec::with_capacity(wanted);
    let mut second = 0.0;
    while moments.len() < wanted {
        let count = poisson(f64::from(stage.rate), random);
        let gaps: Vec<f64> = (0..count).map(|_| exponential(random)).collect();
        let all: f64 = gaps.iter().sum();
        let mut at = 0.0;
        for gap in gaps.into_iter().take(wanted - moments.len()) {
            at += gap / all;
            moments.push(Duration::from_secs_f64(second + at));
        }
        second += 1.0;
    }
    moments
}

/// Counts events of rate 1 within `mean`.
fn poisson(mean: f64, random: &mut SmallRng) -> usize {
    let mut count = 0;
    let mut passed = exponential(random);
    while passed < mean {
        count += 1;
        passed += exponential(random);
    }
    count
}

fn exponential(random: &mut SmallRng) -> f64 {
    -(1.0 - random.random::<f64>()).ln()
}

/// The finaliser of splitmix64, brought into the vocabulary.
fn token(number: u64) -> u32 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let token = (z ^ (z >> 31)) % VOCABULARY;
    u32::try_from(token).expect("below the vocabulary's size")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_sends_its_requests_at_about_its_rate() {
        let stage = Stage {
            rate: 40,
            seconds: 100,
        };
        let moments = arrivals(stage, &mut SmallRng::seed_from_u64(1));
        assert_eq!(moments.len(), 4_000);
        assert!(moments.is_sorted());
        let last = moments[3_999].as_secs_f64();
        assert!((95.0..105.0).contains(&last), "{last}");
    }

    #[test]
    fn prompts_share_what_their_customer_has() {
        let workload = Workload::published();
        let [a, b, c] = [0, 4, 5].map(|user| workload.prompt(user));
        assert_eq!(a.len(), 7_200);
        assert_eq!(a[..6_000], b[..6_000]);
        assert_ne!(a[6_000..6_064], b[6_000..6_064]);
        assert_ne!(a[..64], c[..64]);
        assert_ne!(workload.reply(1)[..64], workload.reply(2)[..64]);
    }

    #[test]
    fn stages_are_read_and_refused() {
        let stage = Stage {
            rate: 20,
            seconds: 38,
        };
        assert_eq!("20x38".parse(), Ok(stage));
        for text in ["", "20", "0x3", "3x0", "x", "1x2x3", "-1x2"] {
            assert!(text.parse::<Stage>().is_err(), "{text}");
        }
    }
}
