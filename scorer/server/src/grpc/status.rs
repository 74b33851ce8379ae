//! Statuses that the transport makes, in this API's terms.

use tonic::codegen::http::{HeaderValue, Response};
use tonic::{Code, Status};

/// tonic calls a message that exceeds the limit "out of range"; gRPC's other
/// implementations, and this API, call it "resource exhausted".
pub(super) fn of_too_large(status: Status) -> Status {
    match status.code() {
        Code::OutOfRange => Status::new(Code::ResourceExhausted, status.message()),
        _ => status,
    }
}

/// The same for a unary call, which ends before any service sees it. No service
/// here answers "out of range" itself.
pub(super) fn in_headers<B>(mut response: Response<B>) -> Response<B> {
    if let Some(code) = response.headers_mut().get_mut("grpc-status")
        && code == "11"
    {
        *code = HeaderValue::from_static("8");
    }
    response
}
