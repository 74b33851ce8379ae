//! The second cut: at word ends inside a text without added tokens.
//!
//! A cut lies between a letter and the space, line end or stop after it, of a few
//! that are the same in every Unicode version and regex engine ([`is_letter`],
//! [`Stop`]). It changes no id if each step of the tokenizer does the same with the
//! text as with its two sides:
//!
//! - **Normaliser:** none, or NFC. NFC joins no character with a stop and no letter
//!   of [`is_letter`] with the character before it, so both stand as they are and
//!   everything else is composed on one side alone.
//! - **Added tokens that are matched in normalised text:** none of them has a letter
//!   before a stop in it, none takes spaces, none looks at the text around it; so
//!   leftmost-longest matching finds the same ones.
//! - **Pre-tokenizer:** steps that split by a pattern of which no match, nor any part
//!   of one that is tried, has a letter before a stop (`pattern.rs`): no match
//!   spans the cut. Patterns look ahead only to ask what follows a space, and
//!   before the cut stands a letter; they look back not at all. So each side's matches are
//!   those of the whole. One of the steps takes every stop into a match, and so one
//!   match begins at the cut. `Digits` splits at digits, of which the cut has none;
//!   `ByteLevel` without a prefix space rewrites bytes one by one.
//! - **Model:** is given what the pre-tokenizer made, piece by piece.

use tokenizers::normalizers::NormalizerWrapper;
use tokenizers::pre_tokenizers::split::SplitPattern;
use tokenizers::tokenizer::SplitDelimiterBehavior;
use tokenizers::{NormalizedString, Normalizer, PreTokenizerWrapper, Tokenizer};

use super::pattern::Pattern;

/// Bytes of a piece, at least. Less means less to do again when a text grew; more
/// means fewer pieces to find.
const PIECE_BYTES: usize = 512;

/// The pattern of `ByteLevel` with `use_regex`, GPT-2's.
const BYTE_LEVEL: &str =
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

/// The characters before which a text may be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// Space and line feed.
    Space,
    /// These, and the stops of Chinese and Japanese: `。`, `，` and `、`.
    SpaceOrIdeographic,
}

impl Stop {
    pub(super) const CHARS: [char; 5] = [' ', '\n', '。', '，', '、'];

    pub(super) fn chars(self) -> &'static [char] {
        match self {
            Self::Space => &Self::CHARS[..2],
            Self::SpaceOrIdeographic => &Self::CHARS,
        }
    }

    fn is(self, c: char) -> bool {
        self.chars().contains(&c)
    }
}

/// Letters in every Unicode version that matters, which NFC leaves alone whatever
/// stands before them.
pub(super) const LETTERS: [(char, char); 16] = [
    ('A', 'Z'),
    ('a', 'z'),
    ('À', 'Ö'),
    ('Ø', 'ö'),
    ('ø', 'ÿ'),
    ('Α', 'Ρ'),
    ('Σ', 'Ω'),
    ('α', 'ω'),
    ('А', 'я'),
    ('א', 'ת'),
    ('\u{621}', '\u{63a}'),
    ('\u{641}', '\u{64a}'),
    ('ぁ', 'ゖ'),
    ('ァ', 'ヺ'),
    ('一', '\u{9fa5}'),
    ('가', '\u{d7a3}'),
];

fn is_letter(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphabetic();
    }
    LETTERS.iter().any(|(from, to)| (*from..=*to).contains(&c))
}

/// Where a tokenizer's texts can be cut.
#[derive(Debug)]
pub(super) struct Cuts {
    stop: Stop,
    piece_bytes: usize,
}

#[cfg(test)]
impl Cuts {
    /// The same cuts, and as many as there can be.
    pub(super) fn everywhere(self) -> Self {
        Self {
            piece_bytes: 1,
            ..self
        }
    }
}

impl Cuts {
    /// The widest set of stops that every step allows.
    pub(super) fn of(tokenizer: &Tokenizer) -> Result<Self, &'static str> {
        if !tokenizer.get_normalizer().is_none_or(keeps_words) {
            return Err("its normaliser is neither absent nor NFC");
        }
        let Some(pre_tokenizer) = tokenizer.get_pre_tokenizer() else {
            return Err("it does not split text into words");
        };
        let mut last = "";
        for stop in [Stop::SpaceOrIdeographic, Stop::Space] {
            let fits = ends_words(pre_tokenizer, stop).and_then(|()| added_tokens(tokenizer, stop));
            match fits {
                Ok(()) => {
                    return Ok(Self {
                        stop,
                        piece_bytes: PIECE_BYTES,
                    });
                }
                Err(because) => last = because,
            }
        }
        Err(last)
    }

    /// Where the piece ends that begins at `from`: depends on nothing after it but
    /// the one character that ends it.
    pub(super) fn next(&self, text: &str, from: usize) -> usize {
        let mut start = from + self.piece_bytes;
        if start >= text.len() {
            return text.len();
        }
        while !text.is_char_boundary(start) {
            start += 1;
        }
        let mut after_letter = text[from..start].chars().next_back().is_some_and(is_letter);
        for (at, c) in text[start..].char_indices() {
            if after_letter && self.stop.is(c) {
                return start + at;
            }
            after_letter = is_letter(c);
        }
        text.len()
    }
}

fn keeps_words(normalizer: &NormalizerWrapper) -> bool {
    match normalizer {
        NormalizerWrapper::NFC(_) => true,
        NormalizerWrapper::Sequence(steps) => steps.as_ref().iter().all(keeps_words),
        _ => false,
    }
}

/// Whether the pre-tokenizer always begins a new split at a cut.
fn ends_words(pre_tokenizer: &PreTokenizerWrapper, stop: Stop) -> Result<(), &'static str> {
    let mut steps = Vec::new();
    flatten(pre_tokenizer, &mut steps);
    let mut splits = false;
    for (index, step) in steps.iter().enumerate() {
        let is_last = index + 1 == steps.len();
        splits |= step_splits(step, is_last, stop)?;
    }
    if splits {
        Ok(())
    } else {
        Err("no step of its pre-tokenizer is known to end words")
    }
}

fn flatten<'a>(step: &'a PreTokenizerWrapper, into: &mut Vec<&'a PreTokenizerWrapper>) {
    match step {
        PreTokenizerWrapper::Sequence(steps) => {
            for step in steps.as_ref() {
                flatten(step, into);
            }
        }
        step => into.push(step),
    }
}

/// Whether the step itself splits at every cut; an error if it may treat the two
/// sides other than the whole.
fn step_splits(
    step: &PreTokenizerWrapper,
    is_last: bool,
    stop: Stop,
) -> Result<bool, &'static str> {
    match step {
        PreTokenizerWrapper::Digits(_) => Ok(false),
        // Afterwards a space is no space any more, so nothing may follow.
        PreTokenizerWrapper::ByteLevel(bytes) if is_last && !bytes.add_prefix_space => {
            if bytes.use_regex {
                pattern_splits(BYTE_LEVEL, stop)
            } else {
                Ok(false)
            }
        }
        PreTokenizerWrapper::Split(split)
            if !split.invert && split.behavior == SplitDelimiterBehavior::Isolated =>
        {
            match &split.pattern {
                SplitPattern::Regex(pattern) => pattern_splits(pattern, stop),
                SplitPattern::String(_) => Err("its pre-tokenizer splits at a fixed text"),
            }
        }
        _ => Err("its pre-tokenizer is not one of those known to end words"),
    }
}

fn pattern_splits(source: &str, stop: Stop) -> Result<bool, &'static str> {
    let pattern = Pattern::parse(source)?;
    if pattern.may_span(stop) {
        return Err("its pattern may match across the end of a word");
    }
    Ok(pattern.takes_each(stop))
}

/// Whether added tokens that are matched in normalised text leave cuts alone.
fn added_tokens(tokenizer: &Tokenizer, stop: Stop) -> Result<(), &'static str> {
    for token in tokenizer.get_added_tokens_decoder().into_values() {
        if !token.normalized {
            continue;
        }
        if token.single_word || token.lstrip || token.rstrip {
            return Err("an added token looks at the text around it");
        }
        let mut content = NormalizedString::from(token.content);
        if let Some(normalizer) = tokenizer.get_normalizer() {
            let normalized = normalizer.normalize(&mut content);
            normalized.map_err(|_| "an added token cannot be normalised")?;
        }
        let chars = content.get().chars();
        let mut pairs = chars.clone().zip(chars.skip(1));
        if pairs.any(|(before, after)| is_letter(before) && stop.is(after)) {
            return Err("an added token has a word end in it");
        }
    }
    Ok(())
}
