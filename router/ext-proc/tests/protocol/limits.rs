//! Every wait and every buffer has a bound.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use router_ext_proc::{RefusedKind, Settings};
use tonic::transport::Channel;

use super::messages::*;
use super::picker::*;

const SOON: Duration = Duration::from_millis(50);

/// What the headers of [`request_headers`] count for, at least.
const HEADERS: u64 = 3 * 64;

/// Says when it is dropped.
struct Flag(Arc<AtomicBool>);

impl Drop for Flag {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// A picker whose decisions never come, and whether one has been given up.
async fn undecided(settings: Settings) -> (Picker, Arc<AtomicBool>) {
    let dropped = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&dropped);
    let picker = Picker::scripted(settings, move |asked, books| {
        let flag = Flag(Arc::clone(&dropped));
        Box::pin(async move {
            books.asked.lock().unwrap().push(asked);
            let _flag = flag;
            std::future::pending().await
        })
    })
    .await;
    (picker, seen)
}

#[tokio::test]
async fn a_late_decision_is_503_and_given_up() {
    let (picker, dropped) = undecided(Settings {
        decision_timeout: SOON,
        ..settings()
    })
    .await;
    let mut call = picker.call().await;
    call.send(request_headers(&[], true)).await;
    let answer = call.answer().await;
    assert_eq!(status(&answer), 503);
    assert_eq!(immediate(&answer).details, "kvatlas_deadline");
    call.ended().await;
    assert!(dropped.load(Ordering::SeqCst));
    assert_eq!(picker.stats.decisions_late.get(), 1);
}

#[tokio::test]
async fn a_decision_nobody_waits_for_is_given_up() {
    let (picker, dropped) = undecided(settings()).await;
    let call = picker.call().await;
    call.send(request_headers(&[], true)).await;
    until(|| !picker.books.asked.lock().unwrap().is_empty()).await;
    drop(call);
    until(|| dropped.load(Ordering::SeqCst)).await;
    until(|| picker.stats.streams_open.get() == 0).await;
    assert_eq!(picker.stats.abandoned.get(), 1);
}

#[tokio::test]
async fn a_body_that_stops_coming_is_503() {
    let picker = Picker::with(Settings {
        body_idle_timeout: SOON,
        ..settings()
    })
    .await;
    let mut call = picker.call().await;
    call.send(request_headers(&[], false)).await;
    call.send(request_body(b"abc", false)).await;
    assert_eq!(status(&call.answer().await), 503);
    call.ended().await;
    assert_eq!(picker.stats.bytes_buffered.get(), 0);
}

#[tokio::test]
async fn a_body_that_never_ends_is_503() {
    let picker = Picker::with(Settings {
        body_idle_timeout: SOON,
        body_timeout: SOON,
        ..settings()
    })
    .await;
    let mut call = picker.call().await;
    call.send(request_headers(&[], false)).await;
    while picker.stats.refused(RefusedKind::Deadline).get() == 0 {
        call.try_send(request_body(b"x", false)).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(status(&call.answer().await), 503);
}

#[tokio::test]
async fn a_body_over_the_limit_is_413() {
    let picker = Picker::with(Settings {
        body_bytes_max: 1_000,
        ..settings()
    })
    .await;
    let mut call = picker.call().await;
    call.send(request_headers(&[], false)).await;
    call.send(request_body(&[b'x'; 1_000], false)).await;
    call.send(request_body(b"x", false)).await;
    let answer = call.answer().await;
    assert_eq!(status(&answer), 413);
    assert_eq!(immediate(&answer).details, "kvatlas_too_large");
    call.ended().await;
    assert_eq!(picker.stats.bytes_buffered.get(), 0);
}

#[tokio::test]
async fn a_stream_over_the_limit_is_503_and_not_a_grpc_error() {
    let picker = Picker::with(Settings {
        streams_max: 1,
        ..settings()
    })
    .await;
    let channel = picker.channel().await;
    let mut first = Call::on(channel.clone()).await;
    first.routed().await;
    let mut second = Call::on(channel.clone()).await;
    // The answer may be there before the first message.
    second.try_send(request_headers(&[], true)).await;
    let answer = second.answer().await;
    assert_eq!(status(&answer), 503);
    let headers = immediate(&answer).headers.as_ref().unwrap();
    let reason = set_header(headers, "x-llm-d-request-dropped-reason");
    assert_eq!(reason, Some("rejected-saturated"));
    second.ended().await;
    assert_eq!(picker.stats.streams_over_limit.get(), 1);
    drop(first);
    until(|| picker.stats.streams_open.get() == 0).await;
    Call::on(channel).await.routed().await;
}

#[tokio::test]
async fn bytes_of_all_streams_are_bounded_and_given_back() {
    let picker = Picker::with(Settings {
        body_bytes_max: 1_000,
        buffered_bytes_max: 2_000,
        ..settings()
    })
    .await;
    let first = picker.call().await;
    first.send(request_headers(&[], false)).await;
    first.send(request_body(&[b'x'; 1_000], false)).await;
    until(|| picker.stats.bytes_buffered.get() >= 1_000 + HEADERS).await;

    let mut second = picker.call().await;
    second.send(request_headers(&[], false)).await;
    second.send(request_body(&[b'x'; 900], true)).await;
    let answer = second.answer().await;
    assert_eq!(status(&answer), 503);
    assert_eq!(immediate(&answer).details, "kvatlas_crowded");

    drop(first);
    until(|| picker.stats.bytes_buffered.get() == 0).await;
    let mut third = picker.call().await;
    third.send(request_headers(&[], false)).await;
    third.send(request_body(&[b'x'; 1_000], true)).await;
    destination(&third.answer().await);
}

#[tokio::test]
async fn bytes_are_given_back_once_the_request_went_on() {
    let picker = Picker::start().await;
    let mut call = picker.call().await;
    call.send(request_headers(&[], false)).await;
    call.send(request_body(b"abc", true)).await;
    destination(&call.answer().await);
    request_part(&call.answer().await);
    until(|| picker.stats.bytes_buffered.get() == 0).await;
    assert_eq!(picker.stats.streams_open.get(), 1);
}

#[tokio::test]
async fn abandoned_and_half_closed_streams_free_everything() {
    let picker = Picker::start().await;
    let channel = picker.channel().await;
    let mut calls = Vec::new();
    for _ in 0..30 {
        let call = Call::on(channel.clone()).await;
        call.send(request_headers(&[], false)).await;
        call.send(request_body(&[b'x'; 1_000], false)).await;
        calls.push(call);
    }
    until(|| picker.stats.bytes_buffered.get() >= 30 * (1_000 + HEADERS)).await;
    for call in calls.iter_mut().take(15) {
        call.half_close();
        call.ended().await;
    }
    until(|| picker.stats.streams_open.get() == 15).await;
    drop(calls);
    until(|| picker.stats.streams_open.get() == 0).await;
    assert_eq!(picker.stats.bytes_buffered.get(), 0);
}

/// A connection that can hold much of what one stream leaves unread.
async fn roomy_channel(picker: &Picker) -> Channel {
    let endpoint = Channel::from_shared(format!("http://{}", picker.address)).unwrap();
    let endpoint = endpoint.initial_connection_window_size(1 << 30);
    endpoint.connect().await.unwrap()
}

#[tokio::test]
async fn a_stream_that_is_not_read_stalls_no_other() {
    let picker = Picker::start().await;
    let channel = roomy_channel(&picker).await;
    let mut stuck = Call::on(channel.clone()).await;
    stuck.routed().await;
    stuck.send(sse_headers()).await;
    for _ in 0..200 {
        stuck.send(response_body(&[b'x'; 64_000], false)).await;
    }
    for _ in 0..20 {
        let mut other = Call::on(channel.clone()).await;
        other.send(request_headers(&[], false)).await;
        other.send(request_body(&[b'x'; 100_000], true)).await;
        destination(&other.answer().await);
        assert_eq!(request_part(&other.answer().await).0.len(), 62_000);
        assert_eq!(
            request_part(&other.answer().await),
            (&[b'x'; 38_000][..], true)
        );
    }
    stuck.answer().await;
    for _ in 0..200 {
        assert_eq!(response_part(&stuck.answer().await).0.len(), 64_000);
    }
}

#[tokio::test]
async fn a_decision_that_hangs_stalls_no_other() {
    let picker = Picker::scripted(settings(), |asked, books| {
        Box::pin(async move {
            if asked.request_id == "stuck" {
                std::future::pending::<()>().await;
            }
            Ok(routed_to(FIRST, &books))
        })
    })
    .await;
    let channel = picker.channel().await;
    let stuck = Call::on(channel.clone()).await;
    stuck
        .send(bare_headers(&[("x-request-id", "stuck")], true))
        .await;
    for _ in 0..20 {
        Call::on(channel.clone()).await.routed().await;
    }
    until(|| picker.stats.streams_open.get() == 1).await;
    assert_eq!(picker.stats.routed.get(), 20);
}
