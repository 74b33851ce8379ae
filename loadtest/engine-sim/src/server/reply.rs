//! What a simulated engine says: words without sense, the same for the same
//! prompt.

use super::body::Asked;
use super::config::SimConfig;
use super::tokens::Tokenizer;

/// A reply, all of which is known before the first token is generated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    seed: u64,
    /// Its tokens, the one that ends it among them.
    length: usize,
    /// The token that ends it; none if its length does.
    end: Option<u32>,
}

impl Reply {
    /// The reply to a prompt of so many tokens that the model has room for.
    pub(crate) fn new(config: &SimConfig, asked: &Asked, prompt: &[u32]) -> Self {
        let room = config.engine.max_model_len.saturating_sub(prompt.len());
        let limit = asked.max_tokens.unwrap_or(config.reply_tokens).min(room);
        let natural = config.natural_tokens.filter(|_| !asked.ignore_end);
        let stops = natural.filter(|natural| *natural <= limit);
        Self {
            seed: prompt.iter().fold(0xcbf2_9ce4_8422_2325, mix),
            length: stops.unwrap_or(limit).max(1),
            end: stops.and_then(|_| config.tokenizer.end()),
        }
    }

    pub(crate) fn tokens(&self, tokenizer: &Tokenizer) -> Vec<u32> {
        let all = 0..self.length;
        all.map(|place| self.token(tokenizer, place)).collect()
    }

    pub(crate) fn token(&self, tokenizer: &Tokenizer, place: usize) -> u32 {
        match self.end {
            Some(end) if place + 1 == self.length => end,
            _ => tokenizer.word(self.number(place)).id,
        }
    }

    /// The text of the token at a place; the one that ends the reply has none.
    pub(crate) fn text<'a>(&self, tokenizer: &'a Tokenizer, place: usize) -> &'a str {
        if self.end.is_some() && place + 1 == self.length {
            return "";
        }
        &tokenizer.word(self.number(place)).text
    }

    pub(crate) fn length(&self) -> usize {
        self.length
    }

    pub(crate) fn stops(&self) -> bool {
        self.end.is_some()
    }

    pub(crate) fn finish_reason(&self) -> &'static str {
        if self.stops() { "stop" } else { "length" }
    }

    /// `SplitMix64`: any place at any time.
    fn number(&self, place: usize) -> u64 {
        let step = (place as u64).wrapping_add(1);
        let mut number = self
            .seed
            .wrapping_add(step.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        number ^ (number >> 31)
    }
}

/// FNV-1a, a token at a time.
fn mix(hash: u64, token: &u32) -> u64 {
    (hash ^ u64::from(*token)).wrapping_mul(0x0100_0000_01b3)
}
