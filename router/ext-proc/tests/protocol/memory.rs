//! Everything that a stream makes the picker hold is bounded and counted.

use envoy_types::pb::envoy::service::ext_proc::v3::ProcessingRequest;
use router_ext_proc::{End, RefusedKind, Settings};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tonic::Code;

use super::messages::*;
use super::picker::*;

const HINT: &str = "envoy.lb.subset_hint";
const HINT_KEY: &str = "x-gateway-destination-endpoint-subset";

/// Refused as headers are, with nothing kept and nothing asked.
async fn headers_too_large(picker: &Picker, head: ProcessingRequest) -> String {
    let mut call = picker.call().await;
    call.send(head).await;
    let answer = call.answer().await;
    assert_eq!(status(&answer), 431);
    let sent = immediate(&answer);
    assert_eq!(sent.details, "kvatlas_headers_too_large");
    let message = String::from_utf8(sent.body.clone()).unwrap();
    call.ended().await;
    assert!(picker.books.asked.lock().unwrap().is_empty());
    until(|| picker.stats.bytes_buffered.get() == 0).await;
    message
}

#[tokio::test]
async fn headers_over_the_limit_are_431() {
    let picker = Picker::start().await;
    let long = "x".repeat(1 << 20);
    headers_too_large(&picker, request_headers(&[("x-long", &long)], true)).await;
    let far_too_long = "x".repeat(8 << 20);
    let head = request_headers(&[("x-long", &far_too_long)], false);
    let message = headers_too_large(&picker, head).await;
    assert!(message.contains("1048576"), "{message}");
    assert_eq!(picker.stats.refused(RefusedKind::HeadersTooLarge).get(), 2);
}

#[tokio::test]
async fn many_empty_headers_count_for_what_they_take() {
    let picker = Picker::start().await;
    let empty = vec![("", ""); 20_000];
    headers_too_large(&picker, request_headers(&empty, true)).await;
}

#[tokio::test]
async fn a_hint_over_the_limit_is_refused_and_never_the_whole_pool() {
    let picker = Picker::start().await;
    let hint = text(&"10.0.0.1,".repeat(32_000));
    let head = with_metadata(request_headers(&[], true), HINT, HINT_KEY, hint);
    let message = headers_too_large(&picker, head).await;
    assert!(message.contains("subset hint"), "{message}");
}

#[tokio::test]
async fn metadata_that_nobody_asked_for_is_bounded_too() {
    let picker = Picker::start().await;
    let junk = text(&"x".repeat(300_000));
    let head = with_metadata(request_headers(&[], true), "junk", "a", junk);
    headers_too_large(&picker, head).await;
    let junk = "x".repeat(300_000);
    let head = with_attribute(request_headers(&[], true), "a", &junk);
    headers_too_large(&picker, head).await;
}

#[tokio::test]
async fn headers_and_hint_count_while_the_body_comes() {
    let picker = Picker::start().await;
    let call = picker.call().await;
    let long = "x".repeat(500_000);
    let hint = text(&"10.0.0.1,".repeat(10_000));
    let head = request_headers(&[("x-long", &long)], false);
    call.send(with_metadata(head, HINT, HINT_KEY, hint)).await;
    until(|| picker.stats.bytes_buffered.get() >= 590_000).await;
    drop(call);
    until(|| picker.stats.bytes_buffered.get() == 0).await;
}

#[tokio::test]
async fn headers_beyond_the_bytes_of_all_streams_are_503() {
    let picker = Picker::with(Settings {
        body_bytes_max: 1_000,
        buffered_bytes_max: 600_000,
        ..settings()
    })
    .await;
    let long = "x".repeat(500_000);
    let head = request_headers(&[("x-long", &long)], false);
    let first = picker.call().await;
    first.send(head.clone()).await;
    until(|| picker.holds(500_000)).await;
    let mut second = picker.call().await;
    second.send(head).await;
    let answer = second.answer().await;
    assert_eq!(status(&answer), 503);
    assert_eq!(immediate(&answer).details, "kvatlas_crowded");
}

#[tokio::test]
async fn response_headers_over_the_limit_end_their_stream() {
    let picker = Picker::start().await;
    let long = "x".repeat(2 << 20);
    let mut call = picker.call().await;
    call.routed().await;
    call.send(response_headers(&[(":status", "200"), ("x", &long)], false))
        .await;
    let end = call.next().await.expect_err("an error");
    assert_eq!(end.code(), Code::ResourceExhausted);
    let end = Note::Finished(End::Cancelled, None);
    assert_eq!(picker.books.notes(), [end]);
}

#[tokio::test]
async fn a_response_that_is_not_taken_back_counts_and_is_cut_when_all_is_full() {
    let picker = Picker::with(Settings {
        body_bytes_max: 1 << 20,
        buffered_bytes_max: 3 << 20,
        ..settings()
    })
    .await;
    let mut call = picker.call().await;
    call.routed().await;
    call.send(sse_headers()).await;
    call.answer().await;
    for _ in 0..8 {
        call.try_send(response_body(&[b'x'; 1 << 20], false)).await;
    }
    until(|| picker.stats.streams_open.get() == 0).await;
    let end = Note::Finished(End::Cancelled, None);
    assert_eq!(picker.books.notes().last(), Some(&end));
    while let Ok(Some(_)) = call.next().await {}
    until(|| picker.stats.bytes_buffered.get() == 0).await;
}

#[tokio::test]
async fn a_response_in_small_parts_passes_when_all_is_full() {
    let picker = Picker::with(Settings {
        body_bytes_max: 1_000,
        buffered_bytes_max: 1_000,
        ..settings()
    })
    .await;
    let mut call = picker.call().await;
    call.routed().await;
    let other = picker.call().await;
    other.send(request_headers(&[], false)).await;
    other.send(request_body(&[b'x'; 600], false)).await;
    until(|| picker.holds(800)).await;
    call.send(sse_headers()).await;
    call.answer().await;
    for _ in 0..20 {
        call.send(response_body(&[b'x'; 4_000], false)).await;
        assert_eq!(response_part(&call.answer().await).0.len(), 4_000);
    }
}

#[tokio::test]
async fn connections_over_the_limit_are_closed() {
    let picker = Picker::with(Settings {
        connections_max: 1,
        ..settings()
    })
    .await;
    let channel = picker.channel().await;
    Call::on(channel.clone()).await.routed().await;
    let mut second = TcpStream::connect(picker.address).await.unwrap();
    let mut byte = [0];
    let read = timeout(PATIENCE, second.read(&mut byte)).await.unwrap();
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    Call::on(channel).await.routed().await;
}
