//! Pieces against whole texts, with every tokenizer form that the proofs speak of,
//! and cut wherever the rules allow.

mod texts;
mod tokenizers;

use std::sync::Arc;

use ::tokenizers::{OffsetReferential, OffsetType, PreTokenizer, Tokenizer};
use proptest::prelude::{ProptestConfig, prop_assert, proptest};

use self::tokenizers::{Form, forms};
use super::pattern::Pattern;
use super::segments::{Segment, Segments};
use super::{Reuse, TokenReuse};
use crate::model::reuse::cuts::Stop;
use crate::token_cache::TokenCache;

/// A form's reuse, cutting everywhere it may.
fn everywhere(form: &Form) -> Option<Reuse> {
    let cache = Arc::new(TokenCache::new(64 << 10));
    let mut reuse = Reuse::of(&form.tokenizer, &cache).ok()?;
    reuse.cuts = reuse.cuts.map(super::Cuts::everywhere);
    Some(reuse)
}

fn whole(tokenizer: &Tokenizer, text: &str) -> Vec<u32> {
    let encoding = tokenizer.encode_fast(text, false).unwrap();
    encoding.get_ids().to_vec()
}

/// What the library's model is given: more telling than ids, which can be equal by
/// chance.
fn words(tokenizer: &Tokenizer, text: &str) -> Vec<String> {
    let added = tokenizer.get_added_vocabulary();
    let mut splits = added.extract_and_normalize(tokenizer.get_normalizer(), text);
    if let Some(pre_tokenizer) = tokenizer.get_pre_tokenizer() {
        pre_tokenizer.pre_tokenize(&mut splits).unwrap();
    }
    let splits = splits.get_splits(OffsetReferential::Normalized, OffsetType::None);
    splits.iter().map(|(text, ..)| (*text).to_owned()).collect()
}

fn words_of_pieces(form: &Form, reuse: &Reuse, text: &str) -> Vec<String> {
    let cuts = reuse.cuts.as_ref().unwrap();
    let mut words_so_far = Vec::new();
    for segment in reuse.segments.split(text) {
        let (from, to) = match segment {
            Segment::Text(from, to) => (from, to),
            Segment::Token(id) => {
                words_so_far.push(form.tokenizer.id_to_token(id).unwrap());
                continue;
            }
        };
        let segment = &text[from..to];
        let mut at = 0;
        while at < segment.len() {
            let end = cuts.next(segment, at);
            words_so_far.extend(words(&form.tokenizer, &segment[at..end]));
            at = end;
        }
    }
    words_so_far
}

#[test]
fn each_form_is_reused_as_far_as_is_proved() {
    for form in forms() {
        let cache = Arc::new(TokenCache::new(1 << 20));
        let extent = match Reuse::of(&form.tokenizer, &cache) {
            Ok(reuse) => reuse.extent(),
            Err(because) => TokenReuse::Nothing { because },
        };
        assert_eq!(extent, form.extent, "{}", form.name);
    }
}

#[test]
fn without_memory_nothing_is_reused() {
    let form = &forms()[0];
    let cache = Arc::new(TokenCache::new(0));
    assert!(Reuse::of(&form.tokenizer, &cache).is_err());
}

/// Long enough to have cuts, made of what is hard.
#[test]
fn hard_pairs_are_cut_without_a_trace() {
    for form in forms() {
        let Some(reuse) = everywhere(form).filter(|reuse| reuse.cuts.is_ok()) else {
            continue;
        };
        for text in texts::pairs() {
            check(form, &reuse, &text);
        }
    }
}

/// What the tests above are worth: cuts before stops that follow no letter show.
#[test]
fn texts_tell_wrong_cuts_from_right_ones() {
    let exact = forms()
        .iter()
        .filter(|form| form.extent == TokenReuse::Words);
    for form in exact.filter(|form| !form.strips) {
        let shows = |text: &String| {
            let pieces = text.split_inclusive(|c: char| !c.is_alphabetic());
            let found: Vec<_> = pieces
                .flat_map(|piece| words(&form.tokenizer, piece))
                .collect();
            found != words(&form.tokenizer, text)
        };
        assert!(texts::pairs().iter().any(shows), "{}", form.name);
    }
}

fn check(form: &Form, reuse: &Reuse, text: &str) {
    let expected = whole(&form.tokenizer, text);
    let ids = reuse.ids(&form.tokenizer, text, None).unwrap();
    assert_eq!(ids, expected, "{}: {text:?}", form.name);
    if reuse.cuts.is_ok() && !form.strips {
        let expected = words(&form.tokenizer, text);
        let found = words_of_pieces(form, reuse, text);
        assert_eq!(found, expected, "{}: {text:?}", form.name);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn texts_that_share_parts_have_the_ids_of_whole_texts(texts in texts::family()) {
        for form in forms() {
            let Some(reuse) = everywhere(form) else {
                continue;
            };
            for text in texts.iter().chain(&texts) {
                check(form, &reuse, text);
            }
            let stats = reuse.cache.stats();
            prop_assert!(stats.hits > 0 || texts.concat().is_empty(), "{stats:?}");
        }
    }
}

#[test]
fn patterns_are_understood_or_refused() {
    let spans = |source: &str, stop| Pattern::parse(source).map(|pattern| pattern.may_span(stop));
    for source in tokenizers::PATTERNS {
        assert_eq!(
            spans(source, Stop::SpaceOrIdeographic),
            Ok(false),
            "{source}"
        );
        let pattern = Pattern::parse(source).unwrap();
        assert!(pattern.takes_each(Stop::SpaceOrIdeographic), "{source}");
    }
    for source in [
        r"\p{L}+ ?",
        r"(\p{L}| )+",
        "a b",
        r".+",
        r"[^\d]+",
        r"\p{L}\s*[\r\n]+",
        r"(?:\p{L}\n?){2}",
    ] {
        assert_eq!(spans(source, Stop::Space), Ok(true), "{source}");
    }
    assert_eq!(spans(r"\p{L}+。?|\s+", Stop::Space), Ok(false));
    assert_eq!(spans(r"\p{L}+。?|\s+", Stop::SpaceOrIdeographic), Ok(true));
    for source in [
        r"\p{L}++|\s+",
        r"\p{N}{1,3}+|\s+",
        r"\p{N}{2}?|\s+",
        r"\s+$",
        r"(?<=a)\s+",
        r"\s+(?!\s)",
        r"\\s+(?!\S)",
        r"(?m:.)|\s+",
        r"\bword|\s+",
        r"\p{L}*",
        r"(?>a)|\s+",
        r"[\S&&a]",
        r"\p{L}+[[:punct:]]?|[^\s\p{L}]+|\s+",
        r"\p{L}+[]\n--\n]?|[^\s\p{L}]+|\s+",
        r"[^]a]|\s+",
        r"[0-9]+|[ ]|\U0000000a",
        r"\x20|\p{L}",
        r"\p{^L}|\s+",
        r"\pL|\s+",
        r"\p{L}+|\R|\h",
        r"(?i:[[^\p{Lo}\p{Ll}]])\n|\s+",
        r"(?i:ﬁ)\n|\p{L}+|\s+",
    ] {
        assert!(Pattern::parse(source).is_err(), "{source}");
    }
    // A lone space is left to what follows it.
    let pattern = Pattern::parse(r"\p{L}+|\s+(?!\S)").unwrap();
    assert!(!pattern.takes_each(Stop::Space));
}

#[test]
fn segments_are_cut_as_the_library_cuts() {
    for form in forms() {
        let Ok(segments) = Segments::of(&form.tokenizer) else {
            continue;
        };
        let text = "a  <|im_start|>  b<|im_start|><|im_end|> \n<mask>  <|im_end|>x <mask>";
        let covered: usize = segments
            .split(text)
            .iter()
            .fold(0, |at, segment| match segment {
                Segment::Text(from, to) => {
                    assert!(at <= *from && from < to, "{}", form.name);
                    *to
                }
                Segment::Token(_) => at,
            });
        assert!(covered > 0, "{}", form.name);
    }
}
