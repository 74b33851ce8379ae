//! Made-up conversations.

use serde_json::{Value, json};

/// How a conversation grows.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shape {
    /// By messages, as chats do.
    Turns,
    /// At the end of its only long message.
    Document,
}

impl Shape {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Turns => "turns",
            Self::Document => "one message",
        }
    }
}

/// Words of one message, where there are many.
const MESSAGE: usize = 150;
const SYLLABLES: [&str; 32] = [
    "ba", "con", "der", "en", "for", "gra", "her", "in", "ken", "la", "ment", "na", "or", "pro",
    "qui", "re", "sta", "ter", "un", "ver", "wor", "ex", "you", "zen", "th", "ing", "ed", "s",
    "al", "ous", "pre", "tion",
];

/// Messages, and what the next ones are made from.
pub(crate) struct Conversation {
    shape: Shape,
    random: u64,
    messages: Vec<(&'static str, String)>,
}

impl Conversation {
    pub(crate) fn new(shape: Shape, seed: u64, words: usize) -> Self {
        let mut new = Self {
            shape,
            random: seed ^ 0x9e37_79b9_7f4a_7c15,
            messages: Vec::new(),
        };
        let system = new.text(MESSAGE.min(words));
        new.messages.push(("system", system));
        let rest = words.saturating_sub(MESSAGE);
        match shape {
            Shape::Turns => new.add(rest),
            Shape::Document => {
                let text = new.text(rest);
                new.messages.push(("user", text));
            }
        }
        new
    }

    /// Adds so many words.
    pub(crate) fn grow(&mut self, words: usize) {
        match self.shape {
            Shape::Turns => self.add(words),
            Shape::Document => {
                let more = self.text(words);
                if let Some((_, text)) = self.messages.last_mut() {
                    text.push(' ');
                    text.push_str(&more);
                }
            }
        }
    }

    pub(crate) fn body(&self) -> String {
        let messages = self.messages.iter();
        let messages = messages.map(|(role, text)| json!({"role": role, "content": text}));
        let messages: Vec<Value> = messages.collect();
        json!({"model": "m", "messages": messages, "temperature": 0.7}).to_string()
    }

    fn add(&mut self, mut words: usize) {
        while words > 0 {
            let now = words.min(MESSAGE);
            let text = self.text(now);
            let asks = self.messages.len() % 2 == 1;
            self.messages
                .push((if asks { "user" } else { "assistant" }, text));
            words -= now;
        }
    }

    /// Words of which few are common and most are rare, with stops and line ends.
    fn text(&mut self, words: usize) -> String {
        let mut text = String::new();
        for word in 0..words {
            if word > 0 {
                text.push_str(match self.below(14) {
                    0 => ", ",
                    1 => ". ",
                    2 if self.below(4) == 0 => ".\n\n",
                    _ => " ",
                });
            }
            let rank = self.below(64) * self.below(64) * self.below(4);
            let mut word = rank * 31 + 7;
            while word > 0 {
                text.push_str(SYLLABLES[word as usize % SYLLABLES.len()]);
                word /= SYLLABLES.len() as u64;
            }
        }
        text
    }

    /// SplitMix64.
    fn below(&mut self, bound: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}
