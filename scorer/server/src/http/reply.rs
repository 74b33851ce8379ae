//! Failures as JSON, in one shape for all routes.

use axum::Json;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use proto_api::{Failure, FailureKind};
use serde::Serialize;

const APPLICATION_JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Room that an answer begins with: a few dozen endpoints.
const FIRST_BYTES: usize = 4096;

/// `error` is what Dynamo's and Mooncake's clients read; the rest is ours.
#[derive(Serialize)]
struct ErrorBody<'a> {
    error: &'a str,
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
}

pub(super) fn failure(failure: &Failure) -> Response {
    let status = StatusCode::from_u16(failure.kind.http_status());
    let body = ErrorBody {
        error: &failure.message,
        code: failure.kind.as_str(),
        field: failure.field.as_deref(),
    };
    (
        status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        Json(body),
    )
        .into_response()
}

/// The one refusal that gRPC has no code for.
pub(super) fn method_not_allowed(text: String) -> Response {
    let body = ErrorBody {
        error: &text,
        code: "method_not_allowed",
        field: None,
    };
    (StatusCode::METHOD_NOT_ALLOWED, Json(body)).into_response()
}

/// A success. Written into a vector: axum's own JSON writes a list of numbers
/// through a buffer that costs a call for every one of them.
pub(super) fn written<T: Serialize>(value: &T) -> Response {
    let mut body = Vec::with_capacity(FIRST_BYTES);
    match serde_json::to_writer(&mut body, value) {
        Ok(()) => ([(CONTENT_TYPE, APPLICATION_JSON)], body).into_response(),
        Err(error) => failure(&Failure::new(FailureKind::Internal, error.to_string())),
    }
}

/// A handler's result.
pub(super) fn json<T: Serialize>(result: Result<T, Failure>) -> Response {
    match result {
        Ok(value) => written(&value),
        Err(error) => failure(&error),
    }
}
