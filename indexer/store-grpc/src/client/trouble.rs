//! Saying that no node can be used: soon, in words that help, and not too often.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// Said again after this at the earliest.
const AGAIN: Duration = Duration::from_secs(10);

/// Trying for so long is trouble, though not all nodes were tried yet.
pub(super) const SOON: Duration = Duration::from_millis(1500);

/// When it was said last.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    said: Mutex<Option<Instant>>,
}

impl Trouble {
    /// Warns, unless it was warned lately.
    pub(super) fn say(&self, node: &str, failure: &impl std::fmt::Display) {
        let now = Instant::now();
        let mut said = self.said.lock();
        if said.is_some_and(|last| now.saturating_duration_since(last) < AGAIN) {
            return;
        }
        *said = Some(now);
        drop(said);
        tracing::warn!(node, %failure, "the store cannot be used; trying on");
    }
}

/// What transports say when a port without TLS is spoken to with TLS.
const PLAIN: [&str; 2] = ["InvalidContentType", "corrupt message"];

/// What they say when a certificate is not accepted, here or there.
const REFUSED: [&str; 3] = ["certificate", "UnknownIssuer", "UnknownCA"];

/// What is left of a connection without TLS to a port that expects it.
const HUNG_UP: [&str; 6] = [
    "h2 protocol error",
    "http2 error",
    "frame with invalid size",
    "broken pipe",
    "connection reset",
    "connection closed",
];

/// The transport's words, and what they mean if it is about TLS.
pub(super) fn explained(text: &str, tls: bool) -> String {
    let has = |words: &[&str]| {
        let lower = text.to_lowercase();
        words
            .iter()
            .any(|word| lower.contains(&word.to_lowercase()))
    };
    let meaning = if tls && has(&PLAIN) {
        "the node speaks no TLS, but store.tls is set here"
    } else if tls && has(&REFUSED) {
        "TLS: the certificates of node and client must be of the authority in store.tls.ca, and name the host"
    } else if !tls && has(&HUNG_UP) {
        "TLS expected by the node? store.tls is not set here"
    } else {
        return text.to_owned();
    };
    format!("{text} ({meaning})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_explained_only_where_they_fit() {
        let cases = [
            (
                "received corrupt message of type InvalidContentType",
                true,
                "no TLS",
            ),
            (
                "invalid peer certificate: UnknownIssuer",
                true,
                "store.tls.ca",
            ),
            ("h2 protocol error: http2 error", false, "TLS expected"),
        ];
        for (text, tls, word) in cases {
            assert!(explained(text, tls).contains(word), "{text}");
            assert_eq!(explained(text, !tls), text);
        }
        assert_eq!(explained("connection refused", false), "connection refused");
    }

    #[tokio::test(start_paused = true)]
    async fn trouble_is_said_at_bounded_intervals() {
        let trouble = Trouble::default();
        let said = || *trouble.said.lock();
        trouble.say("a:1", &"gone");
        let first = said();
        assert!(first.is_some());
        tokio::time::advance(AGAIN / 2).await;
        trouble.say("a:1", &"gone");
        assert_eq!(said(), first);
        tokio::time::advance(AGAIN / 2).await;
        trouble.say("a:1", &"gone");
        assert_ne!(said(), first);
    }
}
