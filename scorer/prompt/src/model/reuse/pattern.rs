//! What a pre-tokenizer's pattern can match, as far as cuts must know it.
//!
//! Patterns are written for Oniguruma, and read here as the `regex` crate reads them,
//! over-estimating what they match. Where the two dialects differ, the pattern is
//! not understood, and there are no cuts.

use regex_syntax::hir::{Class, Hir, HirKind};

use super::cuts::{LETTERS, Stop};

/// A pattern that is understood.
#[derive(Debug)]
pub(super) struct Pattern(Hir);

/// What can stand at the ends of what a part of a pattern matches.
#[derive(Debug, Clone, Copy)]
struct Ends {
    can_be_empty: bool,
    begins_with_stop: bool,
    ends_with_letter: bool,
    /// Somewhere inside, a letter can be followed by a stop.
    spans: bool,
}

/// "Spaces up to the last one", in nearly every pattern: the only look-ahead that is
/// understood. It asks about the character after a space, and never about the one
/// after a letter.
const BEFORE_LAST_SPACE: &str = r"\s+(?!\S)";
/// Matches at least what that matches, and never a lone space: whether that one is
/// matched depends on what follows.
const SPACES: &str = r"\s\s+";

impl Pattern {
    pub(super) fn parse(source: &str) -> Result<Self, &'static str> {
        const UNKNOWN: &str = "its pattern is not understood";
        let plain = plain(source).ok_or(UNKNOWN)?;
        let hir = regex_syntax::parse(&plain).map_err(|_| UNKNOWN)?;
        if !is_plain(&hir) || ends(&hir, Stop::Space).can_be_empty {
            return Err(UNKNOWN);
        }
        Ok(Self(hir))
    }

    /// Whether a letter followed by a stop can be inside a match, or inside what is
    /// tried for one.
    pub(super) fn may_span(&self, stop: Stop) -> bool {
        ends(&self.0, stop).spans
    }

    /// Whether each stop can be matched alone, whatever stands around it: then it
    /// is always part of some match.
    pub(super) fn takes_each(&self, stop: Stop) -> bool {
        stop.chars().iter().all(|c| matches_alone(&self.0, *c))
    }
}

/// The pattern without its look-aheads, if it has only what means the same in
/// Oniguruma: no possessive or doubled repetitions, no flags but `(?i:`, no named
/// groups, no operations on classes and no classes in classes (POSIX ones have other
/// characters there), no escapes but those of [`escape_bytes`].
fn plain(source: &str) -> Option<String> {
    // Without regard to case, `ﬁ` is also two letters there.
    if source.contains("(?i:") && !source.is_ascii() {
        return None;
    }
    let mut plain = String::with_capacity(source.len());
    let mut in_class = false;
    let mut rest = source;
    while let Some(c) = rest.chars().next() {
        if !in_class && rest.starts_with(BEFORE_LAST_SPACE) {
            plain.push_str(SPACES);
            rest = &rest[BEFORE_LAST_SPACE.len()..];
            continue;
        }
        let after = &rest[c.len_utf8()..];
        let mut taken = c.len_utf8();
        match (c, in_class) {
            ('\\', _) => taken += escape_bytes(after)?,
            ('[', true) => return None,
            ('[', false) if begins_with_bracket(after) => return None,
            ('[', false) => in_class = true,
            (']', true) => in_class = false,
            ('-' | '&' | '~', true) if after.starts_with(c) => return None,
            ('*' | '+' | '?', false) if after.starts_with('+') => return None,
            ('{', false) if is_count_with_sign(after) => return None,
            ('(', false) if after.starts_with('?') && !is_plain_group(after) => return None,
            _ => {}
        }
        plain.push_str(&rest[..taken]);
        rest = &rest[taken..];
    }
    Some(plain)
}

/// Bytes of an escape after its backslash, if it means the same in Oniguruma: others
/// (`\U`, `\h`, `\R`) are a character in one dialect and a class or nothing in the other.
fn escape_bytes(rest: &str) -> Option<usize> {
    match rest.chars().next()? {
        'p' | 'P' => {
            let name = rest[1..].strip_prefix('{')?;
            let end = name.find('}')?;
            let is_name = |c: char| c.is_ascii_alphabetic() || c == '_';
            let known = end > 0 && name[..end].chars().all(is_name);
            known.then_some("p{}".len() + end)
        }
        's' | 'S' | 'd' | 'w' | 'r' | 'n' | 't' => Some(1),
        c if c.is_ascii_punctuation() => Some(1),
        _ => None,
    }
}

/// Whether a class has `]` first, from after its `[`: a character in one dialect,
/// and sometimes the class's end in the other.
fn begins_with_bracket(rest: &str) -> bool {
    rest.strip_prefix('^').unwrap_or(rest).starts_with(']')
}

/// `{2}+` and `{2}?`, from after the brace.
fn is_count_with_sign(rest: &str) -> bool {
    let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == ',');
    rest.starts_with("}+") || rest.starts_with("}?")
}

fn is_plain_group(rest: &str) -> bool {
    rest.starts_with("?:") || rest.starts_with("?i:")
}

/// No anchors and no bytes.
fn is_plain(hir: &Hir) -> bool {
    match hir.kind() {
        HirKind::Empty => true,
        HirKind::Literal(literal) => std::str::from_utf8(&literal.0).is_ok(),
        HirKind::Class(class) => matches!(class, Class::Unicode(_)),
        HirKind::Look(_) => false,
        HirKind::Repetition(repetition) => is_plain(&repetition.sub),
        HirKind::Capture(capture) => is_plain(&capture.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => parts.iter().all(is_plain),
    }
}

fn has_any(class: &Class, ranges: impl IntoIterator<Item = (char, char)>) -> bool {
    let Class::Unicode(class) = class else {
        return true;
    };
    let overlaps = |(from, to)| {
        let ranges = class.ranges().iter();
        ranges
            .clone()
            .any(|range| range.start() <= to && from <= range.end())
    };
    ranges.into_iter().any(overlaps)
}

fn has_letter(class: &Class) -> bool {
    has_any(class, LETTERS)
}

fn has_stop(class: &Class, stop: Stop) -> bool {
    has_any(class, stop.chars().iter().map(|c| (*c, *c)))
}

impl Ends {
    const EMPTY: Self = Self {
        can_be_empty: true,
        begins_with_stop: false,
        ends_with_letter: false,
        spans: false,
    };

    fn then(self, next: Self) -> Self {
        Self {
            can_be_empty: self.can_be_empty && next.can_be_empty,
            begins_with_stop: self.begins_with_stop || self.can_be_empty && next.begins_with_stop,
            ends_with_letter: next.ends_with_letter || next.can_be_empty && self.ends_with_letter,
            spans: self.spans || next.spans || self.ends_with_letter && next.begins_with_stop,
        }
    }

    fn or(self, other: Self) -> Self {
        Self {
            can_be_empty: self.can_be_empty || other.can_be_empty,
            begins_with_stop: self.begins_with_stop || other.begins_with_stop,
            ends_with_letter: self.ends_with_letter || other.ends_with_letter,
            spans: self.spans || other.spans,
        }
    }

    fn of_class(class: &Class, stop: Stop) -> Self {
        Self {
            can_be_empty: false,
            begins_with_stop: has_stop(class, stop),
            ends_with_letter: has_letter(class),
            spans: false,
        }
    }
}

fn ends(hir: &Hir, stop: Stop) -> Ends {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Ends::EMPTY,
        HirKind::Literal(literal) => {
            let text = String::from_utf8_lossy(&literal.0);
            let chars = text.chars().map(|c| {
                let class = regex_syntax::hir::ClassUnicodeRange::new(c, c);
                let class = regex_syntax::hir::ClassUnicode::new([class]);
                Ends::of_class(&Class::Unicode(class), stop)
            });
            chars.fold(Ends::EMPTY, Ends::then)
        }
        HirKind::Class(class) => Ends::of_class(class, stop),
        HirKind::Capture(capture) => ends(&capture.sub, stop),
        HirKind::Concat(parts) => {
            let parts = parts.iter().map(|part| ends(part, stop));
            parts.fold(Ends::EMPTY, Ends::then)
        }
        HirKind::Alternation(parts) => {
            let parts = parts.iter().map(|part| ends(part, stop));
            parts.reduce(Ends::or).unwrap_or(Ends::EMPTY)
        }
        HirKind::Repetition(repetition) => {
            let once = ends(&repetition.sub, stop);
            let many = if repetition.max == Some(1) {
                once
            } else {
                once.then(once)
            };
            Ends {
                can_be_empty: once.can_be_empty || repetition.min == 0,
                ..many
            }
        }
    }
}

fn matches_alone(hir: &Hir, c: char) -> bool {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => false,
        HirKind::Literal(literal) => *literal.0 == *c.encode_utf8(&mut [0; 4]).as_bytes(),
        HirKind::Class(class) => has_any(class, [(c, c)]),
        HirKind::Capture(capture) => matches_alone(&capture.sub, c),
        HirKind::Repetition(repetition) => repetition.min <= 1 && matches_alone(&repetition.sub, c),
        HirKind::Alternation(parts) => parts.iter().any(|part| matches_alone(part, c)),
        HirKind::Concat(parts) => (0..parts.len()).any(|alone| {
            matches_alone(&parts[alone], c)
                && parts
                    .iter()
                    .enumerate()
                    .all(|(index, part)| index == alone || ends(part, Stop::Space).can_be_empty)
        }),
    }
}
