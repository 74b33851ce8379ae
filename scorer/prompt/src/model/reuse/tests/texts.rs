//! Texts made of what tells a right cut from a wrong one.

use proptest::prelude::Strategy;
use proptest::sample::select;

/// Letters, marks, spaces, stops, emoji, ends of lines, digits and look-alikes of
/// special tokens, in several scripts.
const FRAGMENTS: [&str; 76] = [
    "a",
    "the",
    " the",
    "The",
    "word",
    "'s",
    "'S",
    "'ll",
    "\u{17f}",
    "'\u{17f}",
    "ß",
    "ﬁ",
    "don't",
    " ",
    "  ",
    "   ",
    "\n",
    "\n\n",
    "\r\n",
    "\r",
    "\t",
    "\u{a0}",
    "\u{3000}",
    "\u{85}",
    "\u{2028}",
    "\u{200b}",
    "1",
    "123",
    "2024",
    "٣",
    "½",
    ".",
    ",",
    "...",
    "!",
    "?!",
    "-",
    "_",
    "(",
    ")",
    "/",
    "\"",
    "'",
    "é",
    "e\u{301}",
    "\u{301}",
    "\u{338}",
    "=\u{338}",
    "Å",
    "\u{212b}",
    "слово",
    " и",
    "й",
    "и\u{306}",
    "中文",
    "。",
    "，",
    "、",
    "かな",
    "か\u{3099}",
    "\u{3099}",
    "カタカナ",
    "・",
    "한국",
    "\u{1112}\u{1161}\u{11ab}",
    "\u{11ab}",
    "שלום",
    "سلام",
    "हिन्दी",
    "ไทย",
    "👩\u{200d}👩\u{200d}👧",
    "<|im_start|>",
    "<|im_end|>",
    "<|im_",
    "|>",
    "<mask>",
];

/// Every fragment before every other, between words.
pub(super) fn pairs() -> Vec<String> {
    let around = |middle: String| format!("a {middle} b{middle}x");
    let pairs = FRAGMENTS.iter().map(|first| {
        let pairs = FRAGMENTS
            .iter()
            .map(|second| around(format!("{first}{second}")));
        pairs.collect::<Vec<_>>().join("y ")
    });
    pairs.collect()
}

/// Texts of which each shares a beginning, cut at any character, with the first.
pub(super) fn family() -> impl Strategy<Value = Vec<String>> {
    let text = proptest::collection::vec(select(&FRAGMENTS[..]), 0..60);
    let text = text.prop_map(|fragments| fragments.concat());
    let tails = proptest::collection::vec((0..=60_usize, select(&FRAGMENTS[..])), 1..4);
    (text, tails).prop_map(|(text, tails)| {
        let grown = tails.into_iter().map(|(kept, tail)| {
            let kept: String = text.chars().take(kept * 4).collect();
            format!("{kept}{tail}{kept}{tail}")
        });
        let grown: Vec<_> = grown.collect();
        [vec![text], grown].concat()
    })
}
