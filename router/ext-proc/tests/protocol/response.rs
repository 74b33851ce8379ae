//! The response's half.

use envoy_types::pb::envoy::service::ext_proc::v3::ProcessingRequest;
use envoy_types::pb::envoy::service::ext_proc::v3::processing_response::Response;
use router_ext_proc::{End, Settings, Usage};

use super::messages::*;
use super::picker::*;

const SERVED: &str = "10.0.0.2:8000";

fn finished(end: End) -> Note {
    Note::Finished(end, None)
}

#[tokio::test]
async fn every_message_is_answered_at_once_with_the_same_bytes() {
    let picker = Picker::start().await;
    let mut call = picker.call().await;
    call.routed().await;
    call.send(sse_headers()).await;
    let head = call.answer().await.response;
    assert!(
        matches!(head, Some(Response::ResponseHeaders(_))),
        "{head:?}"
    );
    for part in [&b"data: a"[..], b"", b"\n\n", &[0xff; 300_000]] {
        call.send(response_body(part, false)).await;
        // Nothing else is sent until this has come.
        assert_eq!(response_part(&call.answer().await), (part, false));
    }
    call.send(response_body(b"", true)).await;
    assert_eq!(response_part(&call.answer().await), (&b""[..], true));
    call.ended().await;
}

#[tokio::test]
async fn set_cookie_is_never_touched() {
    let picker = Picker::start().await;
    let mut call = picker.call().await;
    call.routed().await;
    let cookies = [
        (":status", "200"),
        ("set-cookie", "a=1"),
        ("set-cookie", "b=2"),
    ];
    call.send(response_headers(&cookies, true)).await;
    match call.answer().await.response {
        Some(Response::ResponseHeaders(headers)) => assert_eq!(headers.response, None),
        other => panic!("not the headers: {other:?}"),
    }
}

#[tokio::test]
async fn the_status_is_read_from_its_pseudo_header() {
    let picker = Picker::start().await;
    let mut call = picker.call().await;
    call.routed().await;
    let pairs = [("status", "200"), (":status", "503")];
    call.send(response_headers(&pairs, true)).await;
    call.answer().await;
    let expected = [Note::Responded(503, None), finished(End::Complete)];
    assert_eq!(picker.books.notes(), expected);
}

async fn served_by(message: ProcessingRequest) -> Note {
    let picker = Picker::start().await;
    let mut call = picker.call().await;
    call.routed().await;
    call.send(message).await;
    call.answer().await;
    picker.books.notes()[0].clone()
}

#[tokio::test]
async fn the_served_endpoint_is_read_from_metadata_or_attributes() {
    let head = || response_headers(&[(":status", "200")], true);
    let key = "x-gateway-destination-endpoint-served";
    let in_metadata = |endpoint| with_metadata(head(), "envoy.lb", key, text(endpoint));
    let expected = Note::Responded(200, Some(SERVED.parse().unwrap()));
    assert_eq!(served_by(in_metadata(SERVED)).await, expected);
    let attribute = with_attribute(head(), "upstream.address", SERVED);
    assert_eq!(served_by(attribute).await, expected);
    let both = with_attribute(in_metadata(SERVED), "upstream.address", "10.9.9.9:1");
    assert_eq!(served_by(both).await, expected);
    let unreadable = with_attribute(in_metadata("?"), "upstream.address", SERVED);
    assert_eq!(served_by(unreadable).await, expected);
    assert_eq!(served_by(head()).await, Note::Responded(200, None));
}

#[tokio::test]
async fn conformance_tests_are_told_who_served() {
    let picker = Picker::with(Settings {
        test_endpoint_selection: true,
        ..settings()
    })
    .await;
    let mut call = picker.call().await;
    call.routed().await;
    let head = response_headers(&[(":status", "200")], true);
    call.send(with_attribute(head, "upstream.address", SERVED))
        .await;
    let Some(Response::ResponseHeaders(headers)) = call.answer().await.response else {
        panic!("not the headers")
    };
    let mutation = headers.response.unwrap().header_mutation.unwrap();
    let told = set_header(&mutation, "x-conformance-test-served-endpoint");
    assert_eq!(told, Some(SERVED));
}

#[tokio::test]
async fn usage_split_across_messages_is_read() {
    let picker = Picker::start().await;
    let mut call = picker.call().await;
    call.routed().await;
    call.send(sse_headers()).await;
    call.answer().await;
    let parts = [
        "data: {\"choices\":[]}\n\ndata: {\"usage\":{\"prompt_tok",
        "ens\":90,\"completion_tokens\":5,\"prompt_tokens_details\":{\"cached_tokens\":64}}}\n",
        "\ndata: [DONE]\n\n",
    ];
    for part in parts {
        call.send(response_body(part.as_bytes(), false)).await;
        call.answer().await;
    }
    call.send(response_trailers()).await;
    let last = call.answer().await.response;
    assert!(
        matches!(last, Some(Response::ResponseTrailers(_))),
        "{last:?}"
    );
    let usage = Usage {
        prompt_tokens: 90,
        cached_tokens: Some(64),
        completion_tokens: 5,
    };
    let notes = picker.books.notes();
    assert_eq!(
        notes.last(),
        Some(&Note::Finished(End::Complete, Some(usage)))
    );
    assert_eq!(picker.stats.usages.get(), 1);
}

#[tokio::test]
async fn the_books_are_closed_when_the_last_answer_arrives() {
    let picker = Picker::start().await;
    // Each answer shows the books as they were when it was sent: no waiting here.
    for _ in 0..50 {
        let mut call = picker.call().await;
        call.routed().await;
        call.send(sse_headers()).await;
        call.answer().await;
        call.send(response_body(b"x", true)).await;
        call.answer().await;
        assert_eq!(picker.books.notes().last(), Some(&finished(End::Complete)));
    }
    assert_eq!(picker.stats.completed.get(), 50);
}

#[tokio::test]
async fn a_reset_after_the_last_message_is_complete_and_before_it_cancelled() {
    let picker = Picker::start().await;
    let mut call = picker.call().await;
    call.routed().await;
    call.send(sse_headers()).await;
    call.answer().await;
    call.send(response_body(b"x", true)).await;
    call.answer().await;
    drop(call);
    assert_eq!(picker.books.notes().last(), Some(&finished(End::Complete)));

    let mut call = picker.call().await;
    call.routed().await;
    call.send(sse_headers()).await;
    call.answer().await;
    drop(call);
    until(|| picker.books.notes().last() == Some(&finished(End::Cancelled))).await;
    until(|| picker.stats.streams_open.get() == 0).await;
    assert_eq!(picker.stats.cancelled.get(), 1);
}

#[tokio::test]
async fn where_bodies_are_not_shown_the_end_of_the_stream_is_complete() {
    let picker = Picker::start().await;
    let mut call = picker.call().await;
    let head = ProcessingRequest {
        protocol_config: Some(protocol(4, 0)),
        ..request_headers(&[], true)
    };
    call.send(head).await;
    call.answer().await;
    call.send(sse_headers()).await;
    call.answer().await;
    drop(call);
    until(|| picker.books.notes().last() == Some(&finished(End::Complete))).await;
}

#[tokio::test]
async fn a_gateway_that_shows_no_response_gives_the_ticket_back() {
    let picker = Picker::start().await;
    let mut call = picker.call().await;
    call.routed().await;
    call.half_close();
    call.ended().await;
    assert_eq!(picker.books.notes(), [Note::Dropped]);
    assert_eq!(picker.stats.unseen.get(), 1);
}

#[tokio::test]
async fn a_local_reply_passes_without_a_request() {
    let picker = Picker::start().await;
    let mut call = picker.call().await;
    call.send(response_headers(&[(":status", "503")], false))
        .await;
    call.answer().await;
    call.send(response_body(b"no healthy upstream", true)).await;
    assert_eq!(
        response_part(&call.answer().await),
        (&b"no healthy upstream"[..], true)
    );
    call.ended().await;
    assert_eq!(picker.books.notes(), []);
}

#[tokio::test]
async fn a_local_reply_ends_a_request_that_is_still_coming() {
    let picker = Picker::start().await;
    let mut call = picker.call().await;
    call.send(request_headers(&[], false)).await;
    call.send(request_body(&[b'x'; 1_000], false)).await;
    call.send(response_headers(&[(":status", "408")], true))
        .await;
    let answer = call.answer().await.response;
    assert!(
        matches!(answer, Some(Response::ResponseHeaders(_))),
        "{answer:?}"
    );
    call.ended().await;
    assert_eq!(picker.stats.bytes_buffered.get(), 0);
    assert_eq!(picker.stats.streams_open.get(), 0);
}
