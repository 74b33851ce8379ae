//! Statuses that the transport makes, in this API's terms.
//!
//! tonic calls a message that exceeds the limit "out of range"; gRPC's other
//! implementations, and this API, call it "resource exhausted". It calls a
//! message that is no protobuf "internal", which here means a fault of ours.

use tonic::codegen::http::{HeaderMap, HeaderValue, Response};
use tonic::{Code, Status};

/// How the message of a status begins that the protobuf decoder made.
const MALFORMED: &str = "failed to decode Protobuf message";
/// The same in a header, where blanks are escaped.
const MALFORMED_ESCAPED: &str = "failed%20to%20decode%20Protobuf%20message";

/// A message of a stream that could not be read.
pub(super) fn of_unreadable(status: Status) -> Status {
    let code = match status.code() {
        Code::OutOfRange => Code::ResourceExhausted,
        Code::Internal if status.message().starts_with(MALFORMED) => Code::InvalidArgument,
        _ => return status,
    };
    Status::new(code, status.message())
}

/// The same for a unary call, which ends before any service sees it. No service
/// here answers "out of range" itself.
pub(super) fn in_headers<B>(mut response: Response<B>) -> Response<B> {
    let malformed = is_malformed(response.headers());
    if let Some(code) = response.headers_mut().get_mut("grpc-status") {
        if code == "11" {
            *code = HeaderValue::from_static("8");
        } else if code == "13" && malformed {
            *code = HeaderValue::from_static("3");
        }
    }
    response
}

fn is_malformed(headers: &HeaderMap) -> bool {
    headers.get("grpc-message").is_some_and(|message| {
        let message = message.as_bytes();
        message.starts_with(MALFORMED.as_bytes())
            || message.starts_with(MALFORMED_ESCAPED.as_bytes())
    })
}
