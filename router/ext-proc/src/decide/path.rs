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
    /// Of a `:path` without its query.
    pub(super) fn of(path: &str) -> Self {
        let path = path.strip_suffix('/').unwrap_or(path);
        let known = KNOWN.iter().find(|(suffix, _)| path.ends_with(suffix));
        known.map_or(Self::Unknown, |(_, kind)| *kind)
    }
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
