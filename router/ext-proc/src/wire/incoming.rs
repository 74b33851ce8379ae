//! Messages of the gateway as events.

use std::net::SocketAddr;

use envoy_types::pb::envoy::config::core::v3::Metadata;
use envoy_types::pb::envoy::service::ext_proc::v3::processing_request::Request;
use envoy_types::pb::envoy::service::ext_proc::v3::{HttpBody, HttpHeaders, ProcessingRequest};
use envoy_types::pb::google::protobuf::value::Kind;
use envoy_types::pb::google::protobuf::{Struct, Value};

use super::LB_NAMESPACE;
use crate::Headers;
use crate::stream::{Chunk, Event, Protocol, RequestHead, ResponseHead, served_address};

const SUBSET_NAMESPACE: &str = "envoy.lb.subset_hint";
const SUBSET_KEY: &str = "x-gateway-destination-endpoint-subset";
const SERVED_KEY: &str = "x-gateway-destination-endpoint-served";

/// Where Envoy puts attributes that its `response_attributes` ask for.
const ATTRIBUTES: &str = "envoy.filters.http.ext_proc";
const UPSTREAM_ADDRESS: &str = "upstream.address";

/// One message of the gateway.
pub(crate) struct Message {
    /// How the gateway is configured: stands on the first message.
    pub(crate) protocol: Option<Protocol>,
    /// `None` for what this picker need not know, such as flow control.
    pub(crate) event: Option<Event>,
}

/// Reads a message. Nothing is copied that can be taken over.
pub(crate) fn read(message: ProcessingRequest) -> Message {
    let ProcessingRequest {
        metadata_context: metadata,
        attributes,
        protocol_config,
        request,
        ..
    } = message;
    let protocol = protocol_config.map(|config| Protocol {
        request_body: config.request_body_mode,
        response_body: config.response_body_mode,
    });
    let event = request.map(|request| match request {
        Request::RequestHeaders(head) => Event::RequestHeaders(RequestHead {
            hint: metadata.as_ref().and_then(hint),
            end_of_stream: head.end_of_stream,
            headers: headers(head),
        }),
        Request::RequestBody(body) => Event::RequestBody(chunk(body)),
        Request::RequestTrailers(_) => Event::RequestTrailers,
        Request::ResponseHeaders(head) => {
            let attributes = attributes.get(ATTRIBUTES);
            Event::ResponseHeaders(ResponseHead {
                served: served(metadata.as_ref(), attributes),
                end_of_stream: head.end_of_stream,
                headers: headers(head),
            })
        }
        Request::ResponseBody(body) => Event::ResponseBody(chunk(body)),
        Request::ResponseTrailers(_) => Event::ResponseTrailers,
    });
    Message { protocol, event }
}

fn chunk(body: HttpBody) -> Chunk {
    Chunk {
        bytes: body.body,
        end_of_stream: body.end_of_stream,
    }
}

/// Gateways put a header's text in `raw_value`; older ones in `value`.
fn headers(head: HttpHeaders) -> Headers {
    let map = head.headers.unwrap_or_default();
    Headers::new(map.headers.into_iter().map(|header| {
        let raw = header.raw_value;
        let value = if raw.is_empty() {
            header.value.into_bytes()
        } else {
            raw
        };
        (header.key, value)
    }))
}

/// The strings of the subset hint. What is not text becomes an entry that cannot
/// be read: a hint must never count for less than it says.
fn hint(metadata: &Metadata) -> Option<Vec<String>> {
    let namespace = metadata.filter_metadata.get(SUBSET_NAMESPACE)?;
    let value = namespace.fields.get(SUBSET_KEY)?;
    let entries = match &value.kind {
        Some(Kind::ListValue(list)) => list.values.iter().map(text_of).collect(),
        None | Some(Kind::NullValue(_)) => Vec::new(),
        Some(_) => vec![text_of(value)],
    };
    Some(entries)
}

fn text_of(value: &Value) -> String {
    match &value.kind {
        Some(Kind::StringValue(text)) => text.clone(),
        _ => "not a string".to_owned(),
    }
}

/// The endpoint that the response comes from: as the load balancer says, else as
/// the connection says.
fn served(metadata: Option<&Metadata>, attributes: Option<&Struct>) -> Option<SocketAddr> {
    let balancer = metadata.and_then(|metadata| metadata.filter_metadata.get(LB_NAMESPACE));
    let told = balancer.and_then(|fields| address_in(fields, SERVED_KEY));
    told.or_else(|| address_in(attributes?, UPSTREAM_ADDRESS))
}

fn address_in(fields: &Struct, key: &str) -> Option<SocketAddr> {
    match &fields.fields.get(key)?.kind {
        Some(Kind::StringValue(text)) => served_address(text),
        _ => None,
    }
}
