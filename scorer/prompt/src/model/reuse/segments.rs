//! The first cut: at added tokens that are matched in the raw text.
//!
//! The library (`tokenizers` 0.22, `AddedVocabulary::extract_and_normalize`) first
//! looks for the added tokens with `normalized: false` in the whole text, leftmost
//! and longest. Every later step (normaliser, tokens with `normalized: true`,
//! pre-tokenizer, model) is given one text between two matches at a time, and ends
//! up with the same ids if that text comes alone, for alone it holds no match: what
//! lies between leftmost matches holds none. Of the pre-tokenizers only `Metaspace`
//! asks where in the prompt a text stands (see [`later`](super::later)).
//!
//! Here the same search is made, and refused where it could differ from the
//! library's.

use aho_corasick::{AhoCorasick, MatchKind};
use tokenizers::{AddedToken, NormalizedString, Normalizer, Tokenizer};

/// How a tokenizer's added tokens cut raw text.
#[derive(Debug)]
pub(super) struct Segments {
    finder: AhoCorasick,
    /// In the order of the finder's patterns.
    tokens: Vec<Found>,
}

#[derive(Debug)]
struct Found {
    id: u32,
    /// Takes the spaces before it.
    lstrip: bool,
    /// Takes the spaces after it.
    rstrip: bool,
}

/// A part of a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Segment {
    /// An added token.
    Token(u32),
    /// The bytes between two of them, never empty.
    Text(usize, usize),
}

impl Segments {
    pub(super) fn of(tokenizer: &Tokenizer) -> Result<Self, &'static str> {
        if tokenizer.get_encode_special_tokens() {
            return Err("special tokens are read as text");
        }
        let added = tokenizer.get_added_tokens_decoder();
        if added.len() != tokenizer.get_added_vocabulary().get_vocab().len() {
            return Err("two added tokens have the same id");
        }
        for token in added.values() {
            if is_raw(tokenizer, token) == token.normalized {
                return Err("an added token is listed twice, with and without normalized");
            }
        }
        let raw: Vec<_> = added
            .into_values()
            .filter(|token| !token.normalized)
            .collect();
        if raw.iter().any(|token| token.single_word) {
            return Err("an added token is matched as a single word only");
        }
        let spaces_first = |token: &AddedToken| token.content.starts_with(char::is_whitespace);
        if raw.iter().any(|token| token.rstrip) && raw.iter().any(spaces_first) {
            return Err("added tokens take spaces that other added tokens begin with");
        }
        let finder = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(raw.iter().map(|token| &token.content))
            .map_err(|_| "there are too many added tokens")?;
        let tokens = raw.iter().map(|token| {
            let id = tokenizer.token_to_id(&token.content);
            Some(Found {
                id: id?,
                lstrip: token.lstrip,
                rstrip: token.rstrip,
            })
        });
        let tokens: Option<Vec<_>> = tokens.collect();
        Ok(Self {
            finder,
            tokens: tokens.ok_or("an added token has no id")?,
        })
    }

    /// The text's parts, in order.
    pub(super) fn split(&self, text: &str) -> Vec<Segment> {
        let mut parts = Vec::new();
        let mut from = 0;
        for found in self.finder.find_iter(text) {
            let token = &self.tokens[found.pattern()];
            let (mut start, mut end) = (found.start(), found.end());
            if token.lstrip {
                start = text[..start].trim_end().len().max(from);
            }
            if token.rstrip {
                end = text.len() - text[end..].trim_start().len();
            }
            if from < start {
                parts.push(Segment::Text(from, start));
            }
            parts.push(Segment::Token(token.id));
            from = end;
        }
        if from < text.len() {
            parts.push(Segment::Text(from, text.len()));
        }
        parts
    }
}

/// Whether the library matches the token before it normalises: asked with a
/// normaliser that leaves nothing to match afterwards.
fn is_raw(tokenizer: &Tokenizer, token: &AddedToken) -> bool {
    let added = tokenizer.get_added_vocabulary();
    let splits = added.extract_and_normalize(Some(&Eraser), &token.content);
    let splits = splits.get_splits(
        tokenizers::OffsetReferential::Original,
        tokenizers::OffsetType::None,
    );
    splits.iter().any(|(_, _, tokens)| tokens.is_some())
}

struct Eraser;

impl Normalizer for Eraser {
    fn normalize(&self, normalized: &mut NormalizedString) -> tokenizers::Result<()> {
        normalized.clear();
        Ok(())
    }
}
