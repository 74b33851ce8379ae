//! The lines that users look for. Never a prompt, never a header beyond the
//! request's id; what clients choose is cut to a bound, and escaped by the logger.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use router_discovery::{Criticality, PoolEndpoint};

use crate::{End, Usage};

use super::stats::Mode;

/// The most that is printed of a text that a client chose, in bytes.
const TEXT_BYTES: usize = 256;

/// Labels printed of one endpoint.
const LABELS: usize = 32;

/// What there is to say of a decision.
pub(super) struct Handled<'a> {
    pub(super) request_id: &'a str,
    pub(super) model: &'a str,
    pub(super) target: &'a str,
    pub(super) criticality: Criticality,
    pub(super) endpoint: &'a PoolEndpoint,
    pub(super) mode: Mode,
    pub(super) fallback: Option<&'static str>,
    pub(super) reason: &'static str,
    pub(super) prompt_tokens: u32,
    pub(super) predicted: u32,
    pub(super) scoring: Option<Duration>,
    pub(super) decision: Duration,
}

/// What there is to say at a request's end.
pub(super) struct Finished<'a> {
    pub(super) request_id: &'a str,
    pub(super) mode: Mode,
    pub(super) status: Option<u16>,
    pub(super) served: SocketAddr,
    pub(super) predicted: Option<u32>,
    pub(super) usage: Option<Usage>,
    pub(super) end: End,
}

/// One line per routed request.
pub(super) fn handled(line: &Handled<'_>) {
    let endpoint = Described(line.endpoint).to_string();
    tracing::info!(
        "x-request-id" = cut(line.request_id),
        model = cut(line.model),
        resolvedTargetModel = cut(line.target),
        criticality = criticality(line.criticality),
        endpoint = endpoint,
        mode = line.mode.as_str(),
        fallback = line.fallback,
        reason = line.reason,
        prompt_tokens = line.prompt_tokens,
        predicted_cached_tokens = line.predicted,
        scorer_ms = line.scoring.map(millis),
        decision_ms = millis(line.decision),
        "Request handled"
    );
}

/// One line per request whose prompt was recognised.
pub(super) fn prefix_aware(request_id: &str, ratio: f64, threshold: f64) {
    let compared = matching_ratio(ratio, threshold);
    tracing::info!(
        "x-request-id" = cut(request_id),
        "matching ratio" = compared,
        "Do prefix-aware routing!"
    );
}

/// As users know it, with the space in front.
fn matching_ratio(ratio: f64, threshold: f64) -> String {
    format!(" {ratio:.2} > {threshold:.2}")
}

/// One line at the end of a routed request.
pub(super) fn finished(line: &Finished<'_>) {
    tracing::debug!(
        "x-request-id" = cut(line.request_id),
        mode = line.mode.as_str(),
        status = line.status,
        served = %line.served,
        predicted_cached_tokens = line.predicted,
        cached_tokens = line.usage.and_then(|usage| usage.cached_tokens),
        prompt_tokens = line.usage.map(|usage| usage.prompt_tokens),
        completion_tokens = line.usage.map(|usage| usage.completion_tokens),
        end = match line.end {
            End::Complete => "complete",
            End::Cancelled => "cancelled",
        },
        "Request finished"
    );
}

fn criticality(criticality: Criticality) -> &'static str {
    match criticality {
        Criticality::Sheddable => "Sheddable",
        Criticality::Standard => "Standard",
        Criticality::Critical => "Critical",
    }
}

fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

/// The beginning of a text, whole characters only.
pub(super) fn cut(text: &str) -> &str {
    cut_to(text, TEXT_BYTES)
}

/// The beginning of a text, at most so many bytes, whole characters only.
pub(super) fn cut_to(text: &str, bytes: usize) -> &str {
    if text.len() <= bytes {
        return text;
    }
    let mut end = bytes;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// An endpoint as other pickers print it, so that the same searches find it.
struct Described<'a>(&'a PoolEndpoint);

impl fmt::Display for Described<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(endpoint) = self;
        // Endpoints of files and flags may be named without a namespace.
        let namespace = if endpoint.name.contains('/') {
            ""
        } else {
            "default/"
        };
        write!(
            f,
            "{{NamespacedName:{namespace}{} Address:{} Labels:map[",
            endpoint.name, endpoint.address
        )?;
        for (at, (name, value)) in endpoint.labels.iter().take(LABELS).enumerate() {
            let space = if at == 0 { "" } else { " " };
            write!(f, "{space}{name}:{value}")?;
        }
        f.write_str("]}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_reads_as_in_other_pickers() {
        let endpoint = PoolEndpoint {
            name: "default/qwen-0".to_owned(),
            address: "10.0.0.1:8000".parse().unwrap(),
            labels: [("app", "qwen"), ("zone", "b")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
        };
        assert_eq!(
            Described(&endpoint).to_string(),
            "{NamespacedName:default/qwen-0 Address:10.0.0.1:8000 Labels:map[app:qwen zone:b]}"
        );
        let flag = PoolEndpoint {
            name: "10.0.0.1:8000".to_owned(),
            labels: Default::default(),
            ..endpoint
        };
        assert_eq!(
            Described(&flag).to_string(),
            "{NamespacedName:default/10.0.0.1:8000 Address:10.0.0.1:8000 Labels:map[]}"
        );
    }

    #[test]
    fn ratios_read_as_users_know_them() {
        assert_eq!(matching_ratio(0.54, 0.5), " 0.54 > 0.50");
        assert_eq!(matching_ratio(1.0, 0.0), " 1.00 > 0.00");
    }

    #[test]
    fn long_texts_are_cut_at_a_character() {
        assert_eq!(cut("short"), "short");
        let long = "é".repeat(300);
        assert_eq!(cut(&long).len(), 256);
        assert_eq!(cut_to("aé", 2), "a");
    }
}
