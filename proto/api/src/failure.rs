//! The one place where errors become statuses, and statuses errors again.

use std::borrow::Cow;
use std::time::Duration;

use tonic::metadata::MetadataValue;
use tonic::{Code, Status};

use crate::v1;

/// The metadata key that names the request field at fault.
pub(crate) const FIELD_KEY: &str = "kvatlas-field";

/// The metadata key by which gRPC's own retries are told when to try again, in
/// milliseconds.
const RETRY_KEY: &str = "grpc-retry-pushback-ms";

/// What kind of failure; decides the status, and whether to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// A field is missing or wrong; the same request will always fail.
    InvalidArgument,
    /// The model is not known.
    NotFound,
    /// Something must be configured or happen first.
    FailedPrecondition,
    /// The request is larger than a limit.
    TooLarge,
    /// Too many requests are in flight.
    Busy,
    /// Not ready yet, or shutting down.
    Unavailable,
    /// The answer was not there in time.
    DeadlineExceeded,
    /// The caller went away.
    Cancelled,
    /// A fault of ours.
    Internal,
}

impl FailureKind {
    /// The gRPC status code.
    #[must_use]
    pub fn code(self) -> Code {
        match self {
            Self::InvalidArgument => Code::InvalidArgument,
            Self::NotFound => Code::NotFound,
            Self::FailedPrecondition => Code::FailedPrecondition,
            Self::TooLarge | Self::Busy => Code::ResourceExhausted,
            Self::Unavailable => Code::Unavailable,
            Self::DeadlineExceeded => Code::DeadlineExceeded,
            Self::Cancelled => Code::Cancelled,
            Self::Internal => Code::Internal,
        }
    }

    /// The HTTP status.
    #[must_use]
    pub fn http_status(self) -> u16 {
        match self {
            Self::InvalidArgument => 400,
            Self::NotFound => 404,
            Self::FailedPrecondition => 409,
            Self::TooLarge => 413,
            Self::Busy => 429,
            Self::Cancelled => 499,
            Self::Internal => 500,
            Self::Unavailable => 503,
            Self::DeadlineExceeded => 504,
        }
    }

    /// The name in JSON answers and metrics: gRPC's, in lower case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidArgument => "invalid_argument",
            Self::NotFound => "not_found",
            Self::FailedPrecondition => "failed_precondition",
            Self::TooLarge => "too_large",
            Self::Busy => "resource_exhausted",
            Self::Unavailable => "unavailable",
            Self::DeadlineExceeded => "deadline_exceeded",
            Self::Cancelled => "cancelled",
            Self::Internal => "internal",
        }
    }

    /// Whether the same request may succeed later or elsewhere.
    #[must_use]
    pub fn retryable(self) -> bool {
        matches!(
            self,
            Self::Busy | Self::Unavailable | Self::DeadlineExceeded
        )
    }
}

/// A request that failed, as any wire will tell it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// What kind.
    pub kind: FailureKind,
    /// What was seen, and how to mend it. Never a prompt's text.
    pub message: String,
    /// The request field at fault, if one is.
    pub field: Option<Cow<'static, str>>,
    /// When to try again, where that is known.
    pub retry_after: Option<Duration>,
}

/// A status that no answer of ours has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("status {code:?} is no failure: {message}")]
pub struct InvalidFailure {
    /// The code that was seen.
    pub code: Code,
    /// The message beside it.
    pub message: String,
}

impl Failure {
    /// A failure that no single field is to blame for.
    #[must_use]
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            field: None,
            retry_after: None,
        }
    }

    /// A failure because of one field.
    #[must_use]
    pub fn of_field(kind: FailureKind, field: &'static str, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            field: Some(Cow::Borrowed(field)),
            retry_after: None,
        }
    }

    /// Says when to try again.
    #[must_use]
    pub fn with_retry_after(self, after: Duration) -> Self {
        Self {
            retry_after: Some(after),
            ..self
        }
    }

    /// Whether the same request may succeed later or elsewhere.
    #[must_use]
    pub fn retryable(&self) -> bool {
        self.kind.retryable()
    }

    /// The answer to one request of a stream that goes on.
    #[must_use]
    pub fn on_stream(&self, request_id: String) -> v1::ScoreResponse {
        let error = v1::ScoreError {
            code: self.kind.code() as i32,
            message: self.message.clone(),
            field: self.field.as_deref().unwrap_or_default().to_owned(),
        };
        v1::ScoreResponse {
            request_id,
            error: Some(error),
            ..Default::default()
        }
    }
}

impl From<Failure> for Status {
    fn from(failure: Failure) -> Self {
        let mut status = Self::new(failure.kind.code(), failure.message);
        // A field name is ASCII of our own, so this fails only for what a
        // foreign server once sent us.
        if let Some(Ok(field)) = failure
            .field
            .map(|field| MetadataValue::try_from(field.as_ref()))
        {
            status.metadata_mut().insert(FIELD_KEY, field);
        }
        if let Some(after) = failure.retry_after {
            let after = MetadataValue::from(u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
            status.metadata_mut().insert(RETRY_KEY, after);
        }
        status
    }
}

impl TryFrom<&Status> for Failure {
    type Error = InvalidFailure;

    fn try_from(status: &Status) -> Result<Self, Self::Error> {
        let field = status
            .metadata()
            .get(FIELD_KEY)
            .and_then(|value| value.to_str().ok());
        let after = status.metadata().get(RETRY_KEY);
        let after = after.and_then(|value| value.to_str().ok()?.parse().ok());
        let failure = from_code(status.code(), status.message(), field)?;
        Ok(Self {
            retry_after: after.map(Duration::from_millis),
            ..failure
        })
    }
}

impl TryFrom<&v1::ScoreError> for Failure {
    type Error = InvalidFailure;

    fn try_from(error: &v1::ScoreError) -> Result<Self, Self::Error> {
        let field = (!error.field.is_empty()).then_some(error.field.as_str());
        from_code(Code::from_i32(error.code), &error.message, field)
    }
}

fn from_code(code: Code, message: &str, field: Option<&str>) -> Result<Failure, InvalidFailure> {
    let kind = match code {
        Code::Ok => {
            return Err(InvalidFailure {
                code,
                message: message.to_owned(),
            });
        }
        Code::InvalidArgument | Code::OutOfRange => FailureKind::InvalidArgument,
        Code::NotFound => FailureKind::NotFound,
        Code::FailedPrecondition | Code::Unimplemented => FailureKind::FailedPrecondition,
        // Ours names the field that is too large, and none when it is busy.
        Code::ResourceExhausted if field.is_some() => FailureKind::TooLarge,
        Code::ResourceExhausted => FailureKind::Busy,
        Code::Unavailable | Code::Aborted => FailureKind::Unavailable,
        Code::DeadlineExceeded => FailureKind::DeadlineExceeded,
        Code::Cancelled => FailureKind::Cancelled,
        _ => FailureKind::Internal,
    };
    let field = field.map(|field| Cow::Owned(field.to_owned()));
    Ok(Failure {
        kind,
        message: message.to_owned(),
        field,
        retry_after: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [(FailureKind, i32, u16); 9] = [
        (FailureKind::InvalidArgument, 3, 400),
        (FailureKind::NotFound, 5, 404),
        (FailureKind::FailedPrecondition, 9, 409),
        (FailureKind::TooLarge, 8, 413),
        (FailureKind::Busy, 8, 429),
        (FailureKind::Unavailable, 14, 503),
        (FailureKind::DeadlineExceeded, 4, 504),
        (FailureKind::Cancelled, 1, 499),
        (FailureKind::Internal, 13, 500),
    ];

    #[test]
    fn every_kind_has_its_documented_statuses_and_survives_the_wire() {
        for (kind, grpc, http) in KINDS {
            assert_eq!(kind.code() as i32, grpc, "{kind:?}");
            assert_eq!(kind.http_status(), http, "{kind:?}");
            let failure = match kind {
                FailureKind::Busy => Failure::new(kind, "what"),
                _ => Failure::of_field(kind, "model", "what"),
            };
            let status = Status::from(failure.clone());
            assert_eq!(Failure::try_from(&status), Ok(failure.clone()), "{kind:?}");
            let response = failure.on_stream("7".to_owned());
            let error = response.error.expect("set above");
            assert_eq!(Failure::try_from(&error), Ok(failure), "{kind:?}");
        }
    }

    #[test]
    fn when_to_try_again_survives_the_wire() {
        let busy = Failure::new(FailureKind::Busy, "what");
        let busy = busy.with_retry_after(Duration::from_millis(250));
        let status = Status::from(busy.clone());
        assert_eq!(
            status.metadata().get("grpc-retry-pushback-ms").unwrap(),
            "250"
        );
        assert_eq!(Failure::try_from(&status), Ok(busy));
    }

    #[test]
    fn ok_is_no_failure() {
        assert!(Failure::try_from(&Status::new(Code::Ok, "")).is_err());
    }
}
