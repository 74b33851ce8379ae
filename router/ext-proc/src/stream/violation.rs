//! What ends a stream with a gRPC status: only what no client can cause.

/// Why a stream cannot go on. A client's mistakes never come here: they are
/// answered with an immediate response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Violation {
    #[error(
        "the gateway's processing_mode.request_body_mode is {0}, but it must be \
         FULL_DUPLEX_STREAMED (4): otherwise no request can be routed by its prompt"
    )]
    RequestBodyMode(i32),
    #[error(
        "the gateway's processing_mode.response_body_mode is {0}, but it must be \
         FULL_DUPLEX_STREAMED (4) or NONE (0)"
    )]
    ResponseBodyMode(i32),
    #[error(
        "a part of the request came before its headers: set the gateway's \
         processing_mode.request_header_mode to SEND"
    )]
    NoHeaders,
    #[error("the request's headers came twice: one stream carries one request")]
    HeadersTwice,
    #[error(
        "a message of the response is too long: lower the gateway's \
         per_connection_buffer_limit_bytes, or raise the picker's limits"
    )]
    TooLong,
    #[error("the picker holds as many bytes as it may")]
    Crowded,
    #[error("the picker has stopped")]
    Stopped,
}
