//! Where a recorded prompt's images lie.

/// The token that stands for one image patch in the recorded media prompts.
const IMAGE_PATCH: u32 = 4098;

/// The images of the recorded prompts, as the engine identified them.
const RED: &str = "64488f7330769036e7e2b74e285eb6bfd0440fa5c078db0fb3446d2e382ce40b";
const BLUE: &str = "b52493b8eff83c2c83d603bef75832806c340c53f829dcc4bd0d4804b85c3594";
const LATER: &str = "c71058b4065cafcfd8d7f109ba2be8cfaa863887fedc05ebc996b324cc2d76a7";

/// The identifiers of a recorded prompt's images, in order, from the recording's
/// note. Requests as recorded do not carry them; the events do.
#[must_use]
pub fn media_identifiers(note: &str) -> &'static [&'static str] {
    match note {
        "one red image first" | "same again" => &[RED],
        "blue image, same text" => &[BLUE],
        "red + blue" => &[RED, BLUE],
        "red twice" => &[RED, RED],
        _ if note.starts_with("text before, image later") => &[LATER],
        _ => &[],
    }
}

/// One image in a recorded prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MediaSpan {
    /// Position of its first token.
    pub offset: u32,
    /// Tokens that it takes.
    pub length: u32,
}

/// The runs of image tokens in a recorded prompt, in order.
///
/// The engine counts an image from its first patch token on, without the marker
/// tokens around it.
#[must_use]
pub fn media_spans(token_ids: &[u32]) -> Vec<MediaSpan> {
    let mut spans: Vec<MediaSpan> = Vec::new();
    for (position, _) in token_ids
        .iter()
        .enumerate()
        .filter(|(_, id)| **id == IMAGE_PATCH)
    {
        let position = u32::try_from(position).unwrap_or(u32::MAX);
        match spans.last_mut() {
            Some(last) if last.offset + last.length == position => last.length += 1,
            _ => spans.push(MediaSpan {
                offset: position,
                length: 1,
            }),
        }
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_separate_images() {
        let spans = media_spans(&[1, 4098, 4098, 4097, 4096, 4098, 2]);
        let found: Vec<_> = spans
            .iter()
            .map(|span| (span.offset, span.length))
            .collect();
        assert_eq!(found, [(1, 2), (5, 1)]);
    }
}
