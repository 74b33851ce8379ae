//! What a refusal looks like to the client: the one place where statuses are
//! decided.
//!
//! | kind | status | `type` | drop reason |
//! |---|---|---|---|
//! | [`BadRequest`](RefusedKind::BadRequest) | 400 | `invalid_request_error` | |
//! | [`TooLarge`](RefusedKind::TooLarge) | 413 | `invalid_request_error` | |
//! | [`HeadersTooLarge`](RefusedKind::HeadersTooLarge) | 431 | `invalid_request_error` | |
//! | [`Saturated`](RefusedKind::Saturated) | 429 | `rate_limit_error` | `rejected-saturated` |
//! | [`NoEndpoint`](RefusedKind::NoEndpoint) | 503 | `service_unavailable` | `rejected-no-endpoints` |
//! | [`Unavailable`](RefusedKind::Unavailable) | 503 | `service_unavailable` | `rejected-shutting-down` |
//! | [`Crowded`](RefusedKind::Crowded) | 503 | `service_unavailable` | `rejected-saturated` |
//! | [`Deadline`](RefusedKind::Deadline) | 503 | `service_unavailable` | `rejected-ttl-expired` |
//! | [`Internal`](RefusedKind::Internal) | 500 | `internal_error` | |

use std::time::Duration;

use serde_json::json;

use crate::{Refused, RefusedKind};

/// Says why a request was dropped, to whoever reads the response's headers.
const DROP_REASON: &str = "x-llm-d-request-dropped-reason";

/// For a 429 whose refusal does not say when to come back.
const SATURATED_RETRY: Duration = Duration::from_secs(1);

struct Row {
    status: u16,
    label: &'static str,
    error_type: &'static str,
    drop_reason: Option<&'static str>,
}

const fn row(
    status: u16,
    label: &'static str,
    error_type: &'static str,
    drop_reason: Option<&'static str>,
) -> Row {
    Row {
        status,
        label,
        error_type,
        drop_reason,
    }
}

const fn row_of(kind: RefusedKind) -> Row {
    const CLIENT: &str = "invalid_request_error";
    const SERVICE: &str = "service_unavailable";
    match kind {
        RefusedKind::BadRequest => row(400, "bad_request", CLIENT, None),
        RefusedKind::TooLarge => row(413, "too_large", CLIENT, None),
        RefusedKind::HeadersTooLarge => row(431, "headers_too_large", CLIENT, None),
        RefusedKind::Saturated => row(
            429,
            "saturated",
            "rate_limit_error",
            Some("rejected-saturated"),
        ),
        RefusedKind::NoEndpoint => row(503, "no_endpoint", SERVICE, Some("rejected-no-endpoints")),
        RefusedKind::Unavailable => {
            row(503, "unavailable", SERVICE, Some("rejected-shutting-down"))
        }
        RefusedKind::Crowded => row(503, "crowded", SERVICE, Some("rejected-saturated")),
        RefusedKind::Deadline => row(503, "deadline", SERVICE, Some("rejected-ttl-expired")),
        RefusedKind::Internal => row(500, "internal", "internal_error", None),
    }
}

impl RefusedKind {
    /// Every kind, in the order of their numbers.
    pub const ALL: [Self; 9] = [
        Self::BadRequest,
        Self::TooLarge,
        Self::Saturated,
        Self::NoEndpoint,
        Self::Unavailable,
        Self::Deadline,
        Self::Internal,
        Self::HeadersTooLarge,
        Self::Crowded,
    ];

    /// The HTTP status that the client sees.
    #[must_use]
    pub const fn status(self) -> u16 {
        row_of(self).status
    }

    /// For logs, metrics and the error's `code`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        row_of(self).label
    }
}

/// An immediate response, ready to be put on the wire.
pub(crate) struct Immediate {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
    /// For the gateway's access log, as its response code details.
    pub(crate) details: String,
}

impl From<&Refused> for Immediate {
    fn from(refused: &Refused) -> Self {
        let row = row_of(refused.kind);
        let mut headers = vec![("content-type", "application/json".to_owned())];
        if let Some(wait) = retry_after(refused) {
            headers.push(("retry-after", whole_seconds(wait).to_string()));
        }
        if let Some(reason) = row.drop_reason {
            headers.push((DROP_REASON, reason.to_owned()));
        }
        let error = json!({
            "error": {"message": refused.message, "type": row.error_type, "code": row.label}
        });
        Self {
            status: row.status,
            headers,
            body: error.to_string().into_bytes(),
            details: format!("kvatlas_{}", row.label),
        }
    }
}

fn retry_after(refused: &Refused) -> Option<Duration> {
    let by_kind = (refused.kind == RefusedKind::Saturated).then_some(SATURATED_RETRY);
    refused.retry_after.or(by_kind)
}

/// Rounded up: zero seconds would invite the client back at once.
fn whole_seconds(wait: Duration) -> u64 {
    let part = u64::from(wait.subsec_nanos() > 0);
    wait.as_secs().saturating_add(part).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn immediate(kind: RefusedKind, retry_after: Option<Duration>) -> Immediate {
        Immediate::from(&Refused {
            kind,
            message: "say \"why\"".to_owned(),
            retry_after,
        })
    }

    #[test]
    fn every_kind_has_the_status_of_the_table() {
        let statuses = RefusedKind::ALL.map(RefusedKind::status);
        assert_eq!(statuses, [400, 413, 429, 503, 503, 503, 500, 431, 503]);
    }

    #[test]
    fn the_body_is_an_openai_error() {
        let sent = immediate(RefusedKind::NoEndpoint, None);
        let body: serde_json::Value = serde_json::from_slice(&sent.body).unwrap();
        assert_eq!(body["error"]["message"], "say \"why\"");
        assert_eq!(body["error"]["type"], "service_unavailable");
        assert_eq!(body["error"]["code"], "no_endpoint");
        assert_eq!(sent.details, "kvatlas_no_endpoint");
        assert!(
            sent.headers
                .contains(&(DROP_REASON, "rejected-no-endpoints".to_owned()))
        );
    }

    #[test]
    fn retry_after_is_in_whole_seconds_and_never_zero() {
        let seconds = |kind, wait| {
            let headers = immediate(kind, wait).headers;
            let found = headers.into_iter().find(|(name, _)| *name == "retry-after");
            found.map(|(_, value)| value)
        };
        let ms = |ms| Some(Duration::from_millis(ms));
        assert_eq!(seconds(RefusedKind::Saturated, ms(1)), Some("1".into()));
        assert_eq!(seconds(RefusedKind::Saturated, ms(2_500)), Some("3".into()));
        assert_eq!(seconds(RefusedKind::Saturated, None), Some("1".into()));
        assert_eq!(seconds(RefusedKind::NoEndpoint, None), None);
    }
}
