//! Conversations that are hard on tokenizers.

use std::fs;
use std::io;
use std::path::Path;

/// Words, marks and signs of several scripts, forms that normalisers join or split,
/// spaces of every kind, control characters, code, look-alikes of special tokens.
const FRAGMENTS: [&str; 92] = [
    "the",
    " and",
    " of",
    "Don't",
    "we'LL",
    "IT'S",
    "word",
    "naïve",
    "ﬁne",
    "straße",
    "İstanbul",
    "ſ",
    "é",
    "e\u{301}",
    "\u{301}",
    "\u{338}",
    "=\u{338}",
    "Å",
    "\u{212b}",
    "q\u{323}\u{307}",
    "слово",
    " и",
    "й",
    "и\u{306}",
    "Ελλάδα",
    "中文",
    "漢字。",
    "，",
    "、",
    "！",
    "かな",
    "か\u{3099}",
    "\u{3099}",
    "カタカナー",
    "・",
    "ｆｕｌｌ",
    "ﾊﾟ",
    "한국",
    "\u{1112}\u{1161}\u{11ab}",
    "\u{11a8}",
    "שלום",
    "سلام",
    "\u{64b}",
    "हिन्दी",
    "ไทยไม่มีเว้นวรรค",
    "தமிழ்",
    "1",
    "12",
    "123",
    "4567890",
    "٣",
    "½",
    "²",
    ".",
    ",",
    "...",
    "!?",
    "—",
    "-",
    "--",
    "_",
    "(",
    ")",
    "[]",
    "{",
    "}",
    "//",
    "/*",
    "\"",
    "'",
    "`",
    "$",
    "\\n",
    "👩\u{200d}👩\u{200d}👧",
    "👍🏽",
    "🇩🇪",
    "\u{fe0f}",
    "\u{200b}",
    "\u{200d}",
    "\u{feff}",
    "\0",
    "\u{1}",
    "\u{7f}",
    "\u{85}",
    "\u{2028}",
    "\u{e000}",
    "\u{10ffff}",
    "fn main() {\n    x += 1;\n}\n",
    "<|",
    "|>",
    "[INST",
    "</s",
];
const SPACES: [&str; 10] = [
    " ", "\n", "\r\n", "\r", "\t", "\u{a0}", "\u{3000}", "\u{b}", "\u{2009}", " \n",
];
const ROLES: [&str; 3] = ["system", "user", "assistant"];

/// The added tokens of a `tokenizer.json`.
pub(crate) fn added_tokens(directory: &Path) -> io::Result<Vec<String>> {
    let bytes = fs::read(directory.join("tokenizer.json"))?;
    let tokenizer: serde_json::Value = serde_json::from_slice(&bytes)?;
    let added = tokenizer["added_tokens"].as_array().into_iter().flatten();
    let contents = added.filter_map(|token| token["content"].as_str());
    Ok(contents.map(str::to_owned).collect())
}

/// Makes texts from a seed.
pub(crate) struct Texts {
    state: u64,
    added: Vec<String>,
}

impl Texts {
    pub(crate) fn new(seed: u64, added: Vec<String>) -> Self {
        Self { state: seed, added }
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        // Half of the bits is enough, and fits everywhere.
        ((mixed ^ (mixed >> 31)) >> 33) as usize % end
    }

    /// A conversation turn after turn, then cut and changed at random places.
    pub(crate) fn conversation(&mut self) -> Vec<String> {
        let mut texts = Vec::new();
        let mut text = String::new();
        for turn in 0..2 + self.below(5) {
            self.special(&mut text);
            text.push_str(ROLES[turn.min(1 + turn % 2)]);
            text.push('\n');
            self.message(&mut text);
            self.special(&mut text);
            text.push_str(["\n", "", " "][self.below(3)]);
            texts.push(text.clone());
        }
        for _ in 0..3 {
            let (from, to) = (self.boundary(&text), self.boundary(&text));
            let mut cut = text[..from].to_owned();
            texts.push(cut.clone());
            self.message(&mut cut);
            cut.push_str(&text[to..]);
            texts.push(cut);
        }
        texts
    }

    fn boundary(&mut self, text: &str) -> usize {
        let mut at = self.below(text.len() + 1);
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    }

    fn special(&mut self, into: &mut String) {
        if self.added.is_empty() {
            return into.push_str("\n\nHuman: ");
        }
        let token = self.below(self.added.len());
        into.push_str(&self.added[token]);
    }

    /// From a few bytes to some thousand; prose, dense nonsense, or both.
    fn message(&mut self, into: &mut String) {
        let end = into.len() + [10, 300, 900, 2_000, 5_000][self.below(5)];
        let dense = [2, 6, 40][self.below(3)];
        while into.len() < end {
            match self.below(dense) {
                0 => self.oddity(into),
                1 => into.push_str(FRAGMENTS[self.below(FRAGMENTS.len())]),
                _ => self.word(into),
            }
        }
    }

    fn word(&mut self, into: &mut String) {
        for _ in 0..=self.below(9) {
            into.push(char::from(b'a' + self.below(26) as u8));
        }
        into.push_str([" ", " ", " ", ", ", ".\n", ". "][self.below(6)]);
    }

    fn oddity(&mut self, into: &mut String) {
        match self.below(8) {
            0 => into.push_str(&SPACES[self.below(SPACES.len())].repeat(1 + self.below(300))),
            1 | 2 => {
                let space = SPACES[self.below(SPACES.len())];
                into.push_str(&space.repeat(1 + self.below(3)));
            }
            // Special tokens, whole or not, in a user's text.
            3 => self.special(into),
            4 if !self.added.is_empty() => {
                let token = self.below(self.added.len());
                let token = self.added[token].clone();
                let at = self.boundary(&token);
                into.push_str(&token[..at]);
            }
            5 => into.push_str(&FRAGMENTS[self.below(FRAGMENTS.len())].repeat(1 + self.below(100))),
            6 => {
                // Any character of the lower planes.
                let scalar = self.below(0x2_0000) as u32;
                into.extend(char::from_u32(scalar));
            }
            _ => {
                // One letter before one stop: where cuts are made.
                let letters = ["x", "я", "中", "か", "한", "א", "ة"];
                into.push_str(letters[self.below(letters.len())]);
                into.push_str([" ", "\n", "。", "，", "、"][self.below(5)]);
                into.push_str(FRAGMENTS[self.below(FRAGMENTS.len())]);
            }
        }
    }
}
