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

/// Libraries that say the same thing over and over while another process is away;
/// whoever uses them says it once. Heard if `log_level` names them.
const REPEATING: &str = "openraft=off,kube_client=off";

/// The configured directives, below which [`REPEATING`] keep still.
pub(super) fn directives(log_level: &str) -> String {
    format!("{REPEATING},{log_level}")
}

/// Lets warnings of [`QUIET_TARGETS`] pass, and everything of all others.
pub(super) fn cap() -> Targets {
    Targets::new()
        .with_default(LevelFilter::TRACE)
        .with_targets(QUIET_TARGETS.map(|target| (target, LevelFilter::WARN)))
}
