//! How long the parts of a message are, before it is decoded.

use prost::DecodeError;
use prost::encoding::{DecodeContext, decode_key, skip_field};

/// Bytes of a message that is not decoded yet.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Sizes {
    /// Headers and trailers.
    pub(crate) headers: usize,
    /// Metadata, attributes, and whatever is not known.
    pub(crate) metadata: usize,
}

/// Looks at the fields of a `ProcessingRequest`, not into them.
pub(crate) fn sizes(mut message: &[u8]) -> Result<Sizes, DecodeError> {
    let mut sizes = Sizes::default();
    while !message.is_empty() {
        let (field, wire_type) = decode_key(&mut message)?;
        let before = message.len();
        skip_field(wire_type, field, &mut message, DecodeContext::default())?;
        let bytes = before - message.len();
        match field {
            // Headers and trailers, of request and response.
            2 | 3 | 6 | 7 => sizes.headers += bytes,
            // Bodies: one copy of their bytes is all that they become.
            4 | 5 => {}
            _ => sizes.metadata += bytes,
        }
    }
    Ok(sizes)
}

#[cfg(test)]
mod tests {
    use envoy_types::pb::envoy::config::core::v3::{HeaderMap, HeaderValue, Metadata};
    use envoy_types::pb::envoy::service::ext_proc::v3::processing_request::Request;
    use envoy_types::pb::envoy::service::ext_proc::v3::{
        HttpBody, HttpHeaders, HttpTrailers, ProcessingRequest,
    };
    use envoy_types::pb::google::protobuf::Struct;
    use prost::Message;

    use super::*;

    fn sizes_of(request: Request, namespace: &str) -> Sizes {
        let metadata = Metadata {
            filter_metadata: [(namespace.to_owned(), Struct::default())].into(),
            ..Metadata::default()
        };
        let message = ProcessingRequest {
            metadata_context: Some(metadata),
            request: Some(request),
            ..ProcessingRequest::default()
        };
        sizes(&message.encode_to_vec()).unwrap()
    }

    fn map() -> Option<HeaderMap> {
        let header = HeaderValue {
            raw_value: vec![b'x'; 1_000],
            ..HeaderValue::default()
        };
        Some(HeaderMap {
            headers: vec![header],
        })
    }

    #[test]
    fn headers_and_trailers_of_both_directions_are_counted_and_bodies_are_not() {
        let head = || HttpHeaders {
            headers: map(),
            ..HttpHeaders::default()
        };
        let trailers = || HttpTrailers { trailers: map() };
        for request in [
            Request::RequestHeaders(head()),
            Request::ResponseHeaders(head()),
            Request::RequestTrailers(trailers()),
            Request::ResponseTrailers(trailers()),
        ] {
            let sizes = sizes_of(request, "n");
            assert!((1_000..1_020).contains(&sizes.headers), "{sizes:?}");
            assert!(sizes.metadata < 20, "{sizes:?}");
        }
        let body = || HttpBody {
            body: vec![b'x'; 1_000],
            ..HttpBody::default()
        };
        for request in [Request::RequestBody(body()), Request::ResponseBody(body())] {
            let sizes = sizes_of(request, &"n".repeat(500));
            assert_eq!(sizes.headers, 0);
            assert!((500..530).contains(&sizes.metadata), "{sizes:?}");
        }
    }

    #[test]
    fn what_is_cut_is_an_error() {
        let message = ProcessingRequest {
            request: Some(Request::RequestTrailers(HttpTrailers { trailers: map() })),
            ..ProcessingRequest::default()
        };
        let bytes = message.encode_to_vec();
        for end in [1, 2, 500, bytes.len() - 1] {
            assert!(sizes(&bytes[..end]).is_err(), "{end}");
        }
    }
}
