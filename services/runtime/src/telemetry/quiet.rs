//! Libraries that see prompts or requests, and log what they see.
//!
//! Some log the text that they work on, or whole frames and headers, at debug
//! and trace. Prompts are never logged, so no configured level reaches them.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;

/// Targets, with all that begins with them.
pub(super) const QUIET_TARGETS: [&str; 13] = [
    "axum",
    "fancy_regex",
    "h2",
    "hyper",
    "minijinja",
    "onig",
    "prost",
    "regex",
    "reqwest",
    "tokenizers",
    "tonic",
    "tower",
    "zeromq",
];

/// Lets warnings of [`QUIET_TARGETS`] pass, and everything of all others.
pub(super) fn cap() -> Targets {
    Targets::new()
        .with_default(LevelFilter::TRACE)
        .with_targets(QUIET_TARGETS.map(|target| (target, LevelFilter::WARN)))
}
