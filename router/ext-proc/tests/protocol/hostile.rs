//! Gateways and clients that do what they should not.

use envoy_types::pb::envoy::config::core::v3::{HeaderMap, HeaderValue};
use envoy_types::pb::envoy::service::ext_proc::v3::processing_request::Request;
use envoy_types::pb::envoy::service::ext_proc::v3::{HttpHeaders, ProcessingRequest};
use router_ext_proc::Settings;
use tonic::Code;

use super::messages::*;
use super::picker::*;

/// What a stream of these messages ends with.
async fn failure(picker: &Picker, messages: Vec<ProcessingRequest>) -> tonic::Status {
    let mut call = picker.call().await;
    for message in messages {
        call.try_send(message).await;
    }
    loop {
        match call.next().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("an end with OK"),
            Err(status) => return status,
        }
    }
}

#[tokio::test]
async fn a_wrong_body_mode_is_failed_precondition_and_names_the_fix() {
    let picker = Picker::start().await;
    let head = ProcessingRequest {
        protocol_config: Some(protocol(2, 4)),
        ..request_headers(&[], false)
    };
    let status = failure(&picker, vec![head]).await;
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert!(
        status.message().contains("FULL_DUPLEX_STREAMED"),
        "{status}"
    );
    assert_eq!(picker.stats.violations.get(), 1);
}

#[tokio::test]
async fn no_protocol_config_is_accepted() {
    let picker = Picker::start().await;
    let mut call = picker.call().await;
    let head = ProcessingRequest {
        protocol_config: None,
        ..request_headers(&[], true)
    };
    call.send(head).await;
    assert_eq!(destination(&call.answer().await), FIRST);
}

#[tokio::test]
async fn messages_out_of_order_end_their_own_stream() {
    let picker = Picker::start().await;
    for messages in [
        vec![request_body(b"x", false)],
        vec![request_trailers()],
        vec![request_headers(&[], false), request_headers(&[], false)],
        vec![request_headers(&[], true), request_headers(&[], true)],
    ] {
        let status = failure(&picker, messages).await;
        assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    }
    picker.call().await.routed().await;
}

#[tokio::test]
async fn messages_without_content_are_ignored() {
    let picker = Picker::start().await;
    let mut call = picker.call().await;
    for _ in 0..100 {
        call.send(ProcessingRequest::default()).await;
    }
    call.routed().await;
}

#[tokio::test]
async fn a_body_in_thousands_of_tiny_parts_comes_back_whole() {
    let picker = Picker::start().await;
    let mut call = picker.call().await;
    call.send(request_headers(&[], false)).await;
    for at in 0..20_000_u32 {
        call.send(request_body(&[(at % 251) as u8], false)).await;
    }
    call.send(request_body(b"", true)).await;
    destination(&call.answer().await);
    let expected: Vec<u8> = (0..20_000_u32).map(|at| (at % 251) as u8).collect();
    assert_eq!(request_part(&call.answer().await), (&expected[..], true));
}

#[tokio::test]
async fn headers_that_are_long_or_not_text_are_no_reason_to_fail() {
    let picker = Picker::start().await;
    let header = |key: &str, raw_value: Vec<u8>| HeaderValue {
        key: key.to_owned(),
        raw_value,
        ..HeaderValue::default()
    };
    let headers = vec![
        header("x-request-id", vec![0xff, 0xfe]),
        header(":path", vec![0xc3, 0x28]),
        header("content-length", b"99999999999999999999999".to_vec()),
        header("x-huge", vec![b'x'; 512 << 10]),
        header("", Vec::new()),
    ];
    let mut call = picker.call().await;
    call.send(ProcessingRequest {
        request: Some(Request::RequestHeaders(HttpHeaders {
            headers: Some(HeaderMap { headers }),
            end_of_stream: true,
            ..HttpHeaders::default()
        })),
        ..ProcessingRequest::default()
    })
    .await;
    assert_eq!(destination(&call.answer().await), FIRST);
    let asked = picker.books.asked.lock().unwrap();
    assert_eq!(asked[0].path, "");
    assert_eq!(asked[0].request_id.len(), 36);
}

#[tokio::test]
async fn a_body_without_end_is_413_and_no_more_is_kept() {
    let picker = Picker::with(Settings {
        body_bytes_max: 1 << 20,
        ..settings()
    })
    .await;
    let mut call = picker.call().await;
    call.send(request_headers(&[], false)).await;
    let part = request_body(&[b'x'; 64 << 10], false);
    while picker.stats.streams_open.get() == 1 || picker.stats.streams.get() == 0 {
        if !call.try_send(part.clone()).await {
            break;
        }
    }
    assert_eq!(status(&call.answer().await), 413);
    assert_eq!(picker.stats.bytes_buffered.get(), 0);
}

#[tokio::test]
async fn a_message_over_the_limit_ends_its_own_stream() {
    let picker = Picker::with(Settings {
        message_bytes_max: 100_000,
        ..settings()
    })
    .await;
    let channel = picker.channel().await;
    let mut good = Call::on(channel.clone()).await;
    good.routed().await;
    let mut bad = Call::on(channel).await;
    bad.send(request_headers(&[], false)).await;
    bad.send(request_body(&[b'x'; 200_000], true)).await;
    assert_eq!(status(&bad.answer().await), 413);
    bad.ended().await;
    good.send(sse_headers()).await;
    good.answer().await;
    until(|| picker.stats.streams_open.get() == 1).await;
}
