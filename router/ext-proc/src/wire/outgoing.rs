//! Answers as messages to the gateway.

use std::collections::HashMap;

use envoy_types::pb::envoy::config::core::v3::header_value_option::HeaderAppendAction;
use envoy_types::pb::envoy::config::core::v3::{HeaderValue, HeaderValueOption};
use envoy_types::pb::envoy::service::ext_proc::v3::body_mutation::Mutation as BodyChange;
use envoy_types::pb::envoy::service::ext_proc::v3::processing_response::Response;
use envoy_types::pb::envoy::service::ext_proc::v3::{
    BodyMutation, BodyResponse, CommonResponse, HeaderMutation, HeadersResponse, ImmediateResponse,
    ProcessingResponse, StreamedBodyResponse, TrailersResponse,
};
use envoy_types::pb::envoy::r#type::v3::HttpStatus;
use envoy_types::pb::google::protobuf::value::Kind;
use envoy_types::pb::google::protobuf::{Struct, Value};

use super::{DESTINATION, LB_NAMESPACE};
use crate::Refused;
use crate::refusal::Immediate;
use crate::stream::{Answer, Mutation};

/// Tells conformance tests who served.
const TEST_SERVED: &str = "x-conformance-test-served-endpoint";

/// An answer as a message.
pub(crate) fn write(answer: Answer) -> ProcessingResponse {
    match answer {
        Answer::RequestHeaders(mutation) => request_headers(mutation),
        Answer::RequestBody {
            bytes,
            end_of_stream,
        } => plain(Response::RequestBody(body(bytes.into(), end_of_stream))),
        Answer::RequestTrailers => plain(Response::RequestTrailers(TrailersResponse::default())),
        Answer::ResponseHeaders { served } => {
            let set = served.map(|address| (TEST_SERVED, address.to_string()));
            plain(Response::ResponseHeaders(HeadersResponse {
                response: set.map(|set| CommonResponse {
                    header_mutation: Some(mutation([set], Vec::new())),
                    ..CommonResponse::default()
                }),
            }))
        }
        Answer::ResponseBody {
            bytes,
            end_of_stream,
        } => plain(Response::ResponseBody(body(bytes, end_of_stream))),
        Answer::ResponseTrailers => plain(Response::ResponseTrailers(TrailersResponse::default())),
        Answer::Immediate(refused) => immediate(&refused),
    }
}

/// A refusal as a message.
pub(crate) fn immediate(refused: &Refused) -> ProcessingResponse {
    let sent = Immediate::from(refused);
    plain(Response::ImmediateResponse(ImmediateResponse {
        status: Some(HttpStatus {
            code: i32::from(sent.status),
        }),
        headers: Some(mutation(sent.headers, Vec::new())),
        body: sent.body,
        details: sent.details,
        ..ImmediateResponse::default()
    }))
}

/// The picked endpoint stands in a header and in metadata: gateways read one or
/// the other, and they must not differ.
fn request_headers(change: Mutation) -> ProcessingResponse {
    let Mutation {
        destination,
        set,
        remove,
    } = change;
    let dynamic_metadata = text_struct(DESTINATION, destination.clone());
    let set = set.into_iter().chain([(DESTINATION, destination)]);
    let remove = remove.into_iter().map(str::to_owned).collect();
    let response = Response::RequestHeaders(HeadersResponse {
        response: Some(CommonResponse {
            clear_route_cache: true,
            header_mutation: Some(mutation(set, remove)),
            ..CommonResponse::default()
        }),
    });
    ProcessingResponse {
        dynamic_metadata: Some(Struct {
            fields: HashMap::from([(
                LB_NAMESPACE.to_owned(),
                value(Kind::StructValue(dynamic_metadata)),
            )]),
        }),
        ..plain(response)
    }
}

fn body(bytes: Vec<u8>, end_of_stream: bool) -> BodyResponse {
    let streamed = StreamedBodyResponse {
        body: bytes,
        end_of_stream,
        ..StreamedBodyResponse::default()
    };
    BodyResponse {
        response: Some(CommonResponse {
            body_mutation: Some(BodyMutation {
                mutation: Some(BodyChange::StreamedResponse(streamed)),
            }),
            ..CommonResponse::default()
        }),
    }
}

fn mutation(
    set: impl IntoIterator<Item = (&'static str, String)>,
    remove_headers: Vec<String>,
) -> HeaderMutation {
    let overwrite = HeaderAppendAction::OverwriteIfExistsOrAdd;
    let set_headers = set.into_iter().map(|(key, value)| HeaderValueOption {
        header: Some(HeaderValue {
            key: key.to_owned(),
            // Text in `value` arrives empty.
            raw_value: value.into_bytes(),
            ..HeaderValue::default()
        }),
        append_action: overwrite.into(),
        ..HeaderValueOption::default()
    });
    HeaderMutation {
        set_headers: set_headers.collect(),
        remove_headers,
    }
}

fn text_struct(key: &str, text: String) -> Struct {
    Struct {
        fields: HashMap::from([(key.to_owned(), value(Kind::StringValue(text)))]),
    }
}

fn value(kind: Kind) -> Value {
    Value { kind: Some(kind) }
}

fn plain(response: Response) -> ProcessingResponse {
    ProcessingResponse {
        response: Some(response),
        ..ProcessingResponse::default()
    }
}
