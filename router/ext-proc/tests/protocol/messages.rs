//! What a gateway sends, and how its answers are looked at.

use std::collections::HashMap;

use envoy_types::pb::envoy::config::core::v3::{HeaderMap, HeaderValue, Metadata};
use envoy_types::pb::envoy::service::ext_proc::v3::processing_request::Request;
use envoy_types::pb::envoy::service::ext_proc::v3::processing_response::Response;
use envoy_types::pb::envoy::service::ext_proc::v3::{
    BodyResponse, CommonResponse, HeaderMutation, HttpBody, HttpHeaders, HttpTrailers,
    ImmediateResponse, ProcessingRequest, ProcessingResponse, ProtocolConfiguration,
    body_mutation::Mutation,
};
use envoy_types::pb::google::protobuf::value::Kind;
use envoy_types::pb::google::protobuf::{ListValue, Struct, Value};

pub(crate) const DESTINATION: &str = "x-gateway-destination-endpoint";

fn message(request: Request) -> ProcessingRequest {
    ProcessingRequest {
        request: Some(request),
        ..ProcessingRequest::default()
    }
}

fn head(pairs: &[(&str, &str)], end_of_stream: bool) -> HttpHeaders {
    let headers = pairs.iter().map(|(key, value)| HeaderValue {
        key: (*key).to_owned(),
        raw_value: value.as_bytes().to_vec(),
        ..HeaderValue::default()
    });
    HttpHeaders {
        headers: Some(HeaderMap {
            headers: headers.collect(),
        }),
        end_of_stream,
        ..HttpHeaders::default()
    }
}

pub(crate) fn request_headers(pairs: &[(&str, &str)], end_of_stream: bool) -> ProcessingRequest {
    let mut all = vec![
        (":method", "POST"),
        (":path", "/v1/chat/completions"),
        ("x-request-id", "one"),
    ];
    all.extend(pairs);
    bare_headers(&all, end_of_stream)
}

/// With nothing but these.
pub(crate) fn bare_headers(pairs: &[(&str, &str)], end_of_stream: bool) -> ProcessingRequest {
    ProcessingRequest {
        protocol_config: Some(protocol(4, 4)),
        ..message(Request::RequestHeaders(head(pairs, end_of_stream)))
    }
}

pub(crate) fn protocol(request_body_mode: i32, response_body_mode: i32) -> ProtocolConfiguration {
    ProtocolConfiguration {
        request_body_mode,
        response_body_mode,
        ..ProtocolConfiguration::default()
    }
}

fn chunk(bytes: &[u8], end_of_stream: bool) -> HttpBody {
    HttpBody {
        body: bytes.to_vec(),
        end_of_stream,
        ..HttpBody::default()
    }
}

pub(crate) fn request_body(bytes: &[u8], end_of_stream: bool) -> ProcessingRequest {
    message(Request::RequestBody(chunk(bytes, end_of_stream)))
}

pub(crate) fn request_trailers() -> ProcessingRequest {
    message(Request::RequestTrailers(HttpTrailers::default()))
}

pub(crate) fn response_headers(pairs: &[(&str, &str)], end_of_stream: bool) -> ProcessingRequest {
    message(Request::ResponseHeaders(head(pairs, end_of_stream)))
}

/// A streamed answer of status 200.
pub(crate) fn sse_headers() -> ProcessingRequest {
    response_headers(
        &[(":status", "200"), ("content-type", "text/event-stream")],
        false,
    )
}

pub(crate) fn response_body(bytes: &[u8], end_of_stream: bool) -> ProcessingRequest {
    message(Request::ResponseBody(chunk(bytes, end_of_stream)))
}

pub(crate) fn response_trailers() -> ProcessingRequest {
    message(Request::ResponseTrailers(HttpTrailers::default()))
}

pub(crate) fn text(text: &str) -> Value {
    Value {
        kind: Some(Kind::StringValue(text.to_owned())),
    }
}

pub(crate) fn list(texts: &[&str]) -> Value {
    Value {
        kind: Some(Kind::ListValue(ListValue {
            values: texts.iter().map(|one| text(one)).collect(),
        })),
    }
}

fn fields(key: &str, value: Value) -> Struct {
    Struct {
        fields: HashMap::from([(key.to_owned(), value)]),
    }
}

pub(crate) fn with_metadata(
    message: ProcessingRequest,
    namespace: &str,
    key: &str,
    value: Value,
) -> ProcessingRequest {
    ProcessingRequest {
        metadata_context: Some(Metadata {
            filter_metadata: HashMap::from([(namespace.to_owned(), fields(key, value))]),
            ..Metadata::default()
        }),
        ..message
    }
}

pub(crate) fn with_attribute(
    message: ProcessingRequest,
    key: &str,
    value: &str,
) -> ProcessingRequest {
    let attributes = fields(key, text(value));
    ProcessingRequest {
        attributes: HashMap::from([("envoy.filters.http.ext_proc".to_owned(), attributes)]),
        ..message
    }
}

/// The answer to a request's headers.
pub(crate) fn common(answer: &ProcessingResponse) -> &CommonResponse {
    match &answer.response {
        Some(Response::RequestHeaders(headers)) => headers.response.as_ref().unwrap(),
        other => panic!("not the answer to the headers: {other:?}"),
    }
}

pub(crate) fn set_header<'a>(mutation: &'a HeaderMutation, name: &str) -> Option<&'a str> {
    let options = mutation.set_headers.iter();
    let mut found = options.filter_map(|option| option.header.as_ref());
    let header = found.find(|header| header.key == name)?;
    assert_eq!(header.value, "", "text in `value` is lost");
    Some(std::str::from_utf8(&header.raw_value).unwrap())
}

/// The picked endpoint, from the header.
pub(crate) fn destination(answer: &ProcessingResponse) -> &str {
    let mutation = common(answer).header_mutation.as_ref().unwrap();
    set_header(mutation, DESTINATION).expect("a destination")
}

/// The picked endpoint, from the metadata.
pub(crate) fn metadata_destination(answer: &ProcessingResponse) -> &str {
    let metadata = answer.dynamic_metadata.as_ref().expect("metadata");
    let Some(Kind::StructValue(balancer)) = &metadata.fields["envoy.lb"].kind else {
        panic!("no struct under envoy.lb")
    };
    match &balancer.fields[DESTINATION].kind {
        Some(Kind::StringValue(text)) => text,
        other => panic!("not text: {other:?}"),
    }
}

fn streamed(body: &BodyResponse) -> (&[u8], bool) {
    let mutation = body.response.as_ref().unwrap().body_mutation.as_ref();
    match mutation.and_then(|mutation| mutation.mutation.as_ref()) {
        Some(Mutation::StreamedResponse(streamed)) => (&streamed.body, streamed.end_of_stream),
        other => panic!("not a streamed response: {other:?}"),
    }
}

/// Bytes and end of stream of a part of the request that is sent back.
pub(crate) fn request_part(answer: &ProcessingResponse) -> (&[u8], bool) {
    match &answer.response {
        Some(Response::RequestBody(body)) => streamed(body),
        other => panic!("not a part of the request: {other:?}"),
    }
}

/// The same of the response.
pub(crate) fn response_part(answer: &ProcessingResponse) -> (&[u8], bool) {
    match &answer.response {
        Some(Response::ResponseBody(body)) => streamed(body),
        other => panic!("not a part of the response: {other:?}"),
    }
}

pub(crate) fn immediate(answer: &ProcessingResponse) -> &ImmediateResponse {
    match &answer.response {
        Some(Response::ImmediateResponse(immediate)) => immediate,
        other => panic!("not an immediate response: {other:?}"),
    }
}

pub(crate) fn status(answer: &ProcessingResponse) -> i32 {
    immediate(answer).status.unwrap().code
}
