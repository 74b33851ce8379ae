//! Where a recorded prompt's images lie.

/// The token that stands for one image patch in the recorded media prompts.
const IMAGE_PATCH: u32 = 4098;

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
