//! How long a step takes.

use std::time::Duration;

/// What a step costs, in seconds. Linear in all of them together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Calibration {
    /// Of a request before the engine sees it, whatever its length: HTTP, queues
    /// between processes, the way back of its first token.
    pub request: f64,
    /// Of a request before the engine sees it, per prompt token: template,
    /// tokenising, block hashes. Does not occupy the engine.
    pub request_per_token: f64,
    /// Of every step: scheduling, kernel launches, reading the weights.
    pub step: f64,
    /// Per prompt token computed.
    pub prefill: f64,
    /// Per prompt token computed and token before it: attention.
    pub prefill_attention: f64,
    /// Per sequence that generates.
    pub decode: f64,
    /// Per token in the context of a sequence that generates: reading its KV.
    pub decode_context: f64,
}

impl Calibration {
    /// Fits the published figures of one engine: a prompt of 10,000 tokens has its
    /// first token after 4.3 s when nothing of it is cached, after 0.6 s when all
    /// of it is. `docs/engine-sim.md` says where each number is from.
    pub const PUBLISHED: Self = Self {
        request: 0.020,
        request_per_token: 54.5e-6,
        step: 0.025,
        prefill: 318.0e-6,
        prefill_attention: 10.2e-9,
        decode: 0.1e-3,
        decode_context: 60.0e-9,
    };

    /// How long a request is on its way to the engine.
    #[must_use]
    pub fn admission(&self, prompt_tokens: usize) -> Duration {
        seconds(self.request + self.request_per_token * number(prompt_tokens))
    }

    pub(crate) fn step(&self, work: &Work) -> Duration {
        seconds(
            self.step
                + self.prefill * number(work.prefill)
                + self.prefill_attention * work.prefill_attention
                + self.decode * number(work.decodes)
                + self.decode_context * number(work.decode_context),
        )
    }
}

/// What one step computes.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Work {
    prefill: usize,
    /// Pairs of a token and one before it.
    prefill_attention: f64,
    decodes: usize,
    decode_context: usize,
}

impl Work {
    /// So many tokens of a prompt, after so many that are there.
    pub(crate) fn prefill(&mut self, tokens: usize, context: usize) {
        self.prefill += tokens;
        self.prefill_attention += number(tokens) * (number(context) + number(tokens) / 2.0);
    }

    /// One generated token, after so many that are there.
    pub(crate) fn decode(&mut self, context: usize) {
        self.decodes += 1;
        self.decode_context += context;
    }
}

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds.max(0.0))
}

#[expect(clippy::cast_precision_loss, reason = "counts of tokens")]
fn number(count: usize) -> f64 {
    count as f64
}
