//! What a request's path says about its body.

/// How much is known of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Path {
    /// A chat completion: scored.
    Chat,
    /// A completion: scored.
    Completion,
    /// Another body of the OpenAI kind, which names a model: routed by load.
    Named,
    /// Anything else: routed by load, and not looked at.
    Unknown,
}

/// Suffixes, because gateways and engines may serve the API below another path.
const KNOWN: [(&str, Path); 9] = [
    ("/v1/chat/completions", Path::Chat),
    ("/v1/completions", Path::Completion),
    ("/v1/responses", Path::Named),
    ("/v1/messages", Path::Named),
    ("/v1/embeddings", Path::Named),
    ("/v1/rerank", Path::Named),
    ("/v1/score", Path::Named),
    ("/v1/moderations", Path::Named),
    ("/v1/images/generations", Path::Named),
];

impl Path {
    /// Of a `:path` without its query, in any of the spellings that engines take
    /// for the same path: one that is not recognised here is routed unread, and so
    /// past the rules for its model.
    pub(super) fn of(path: &str) -> Self {
        let path = plain(path);
        let known = KNOWN.iter().find(|(suffix, _)| path.ends_with(suffix));
        known.map_or(Self::Unknown, |(_, kind)| *kind)
    }
}

/// The path without escapes (decoded once, as servers do), empty segments, and
/// segments that lead nowhere. What is not UTF-8 is no path of the API.
fn plain(path: &str) -> String {
    let decoded = decoded(path.as_bytes());
    let decoded = String::from_utf8_lossy(&decoded);
    let mut segments = Vec::new();
    for segment in decoded.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            _ => segments.push(segment),
        }
    }
    format!("/{}", segments.join("/"))
}

/// `%` and two hexadecimal digits stand for a byte; anything else for itself.
fn decoded(text: &[u8]) -> Vec<u8> {
    let digit = |at: usize| char::from(*text.get(at)?).to_digit(16);
    let mut bytes = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        let escaped = (text[at] == b'%')
            .then(|| digit(at + 1)?.checked_mul(16)?.checked_add(digit(at + 2)?))
            .flatten()
            .and_then(|byte| u8::try_from(byte).ok());
        bytes.push(escaped.unwrap_or(text[at]));
        at += if escaped.is_some() { 3 } else { 1 };
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_suffix_decides() {
        for (path, expected) in [
            ("/v1/chat/completions", Path::Chat),
            ("/team-a/v1/chat/completions", Path::Chat),
            ("/v1/completions", Path::Completion),
            ("/v1/completions/", Path::Completion),
            ("/v1/embeddings", Path::Named),
            ("/v1/chat/%63ompletions", Path::Chat),
            ("/%76%31%2Fchat%2fcompletions", Path::Chat),
            ("/v1/chat/completions//", Path::Chat),
            ("//v1///chat/completions", Path::Chat),
            ("/v1/./chat/x/../completions/.", Path::Chat),
            // Decoded once: servers do not decode what they decoded.
            ("/v1/chat/%2563ompletions", Path::Unknown),
            ("/v1/Chat/completions", Path::Unknown),
            ("/v1/chat/completions%", Path::Unknown),
            ("/v1/chat/completions%6", Path::Unknown),
            ("/v1/chat/completions%zz", Path::Unknown),
            ("/v1/chat/completions%ff", Path::Unknown),
            ("/../..", Path::Unknown),
            ("/v1/models", Path::Unknown),
            ("/v1/audio/transcriptions", Path::Unknown),
            ("/v1/chat/completionsx", Path::Unknown),
            ("/", Path::Unknown),
            ("", Path::Unknown),
        ] {
            assert_eq!(Path::of(path), expected, "{path}");
        }
    }
}
