//! Request bodies: bounded bytes, then JSON, with every refusal in our shape.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use proto_api::{Failure, FailureKind, limits};
use serde::de::DeserializeOwned;

/// Longest part of the parser's own message that is passed on.
const DETAIL: usize = 200;

/// Reads a body as JSON, whatever its content type says.
pub(super) fn read<T: DeserializeOwned>(body: Result<Bytes, BytesRejection>) -> Result<T, Failure> {
    let bytes = body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            let text = format!("the body exceeds {} bytes", limits::MESSAGE_BYTES);
            Failure::of_field(FailureKind::TooLarge, "body", text)
        }
        _ => Failure::of_field(FailureKind::InvalidArgument, "body", rejection.body_text()),
    })?;
    serde_json::from_slice(&bytes).map_err(|error| {
        let detail: String = error.to_string().chars().take(DETAIL).collect();
        let text = format!("the body is not the JSON that this route takes: {detail}");
        Failure::of_field(FailureKind::InvalidArgument, "body", text)
    })
}
