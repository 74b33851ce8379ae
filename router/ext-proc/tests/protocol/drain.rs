//! The end of a picker, seen by those who are still there.

use std::time::Duration;

use router_ext_proc::{End, Settings};
use tokio::time::timeout;
use tonic::Code;

use super::messages::*;
use super::picker::*;

async fn ended(picker: &mut Picker) {
    let serving = timeout(PATIENCE, &mut picker.serving).await;
    serving.expect("an end").unwrap().unwrap();
}

#[tokio::test]
async fn open_streams_are_served_to_their_end() {
    let mut picker = Picker::with(Settings {
        drain_timeout: PATIENCE,
        ..settings()
    })
    .await;
    let mut call = picker.call().await;
    call.send(request_headers(&[], false)).await;
    call.send(request_body(b"abc", false)).await;
    until(|| picker.stats.bytes_buffered.get() > 3).await;
    picker.shutdown.cancel();
    call.send(request_body(b"", true)).await;
    destination(&call.answer().await);
    request_part(&call.answer().await);
    call.send(response_headers(&[(":status", "200")], false))
        .await;
    call.answer().await;
    call.send(response_body(b"x", true)).await;
    call.answer().await;
    call.ended().await;
    let last = Note::Finished(End::Complete, None);
    assert_eq!(picker.books.notes().last(), Some(&last));
    ended(&mut picker).await;
}

#[tokio::test]
async fn new_streams_are_taken_until_gateways_have_noticed() {
    let picker = Picker::with(Settings {
        drain_delay: PATIENCE,
        drain_timeout: PATIENCE,
        ..settings()
    })
    .await;
    picker.shutdown.cancel();
    picker.call().await.routed().await;
}

#[tokio::test]
async fn after_the_drain_timeout_requests_get_503_and_responses_are_cut() {
    let mut picker = Picker::scripted(
        Settings {
            drain_timeout: Duration::from_millis(50),
            ..settings()
        },
        |asked, books| {
            Box::pin(async move {
                if asked.request_id == "stuck" {
                    std::future::pending::<()>().await;
                }
                Ok(routed_to(FIRST, &books))
            })
        },
    )
    .await;
    let channel = picker.channel().await;
    let mut waiting = Call::on(channel.clone()).await;
    waiting
        .send(bare_headers(&[("x-request-id", "stuck")], true))
        .await;
    let mut passing = Call::on(channel).await;
    passing.routed().await;
    passing.send(sse_headers()).await;
    passing.answer().await;
    picker.shutdown.cancel();
    let answer = waiting.answer().await;
    assert_eq!(status(&answer), 503);
    assert_eq!(immediate(&answer).details, "kvatlas_unavailable");
    let cut = passing.next().await.expect_err("no end with OK");
    assert_eq!(cut.code(), Code::Unavailable);
    let last = Note::Finished(End::Cancelled, None);
    assert_eq!(picker.books.notes().last(), Some(&last));
    ended(&mut picker).await;
}

#[tokio::test]
async fn settings_that_do_not_go_together_are_refused() {
    let mut picker = Picker::with(Settings {
        streams_max: 0,
        ..settings()
    })
    .await;
    let result = timeout(PATIENCE, &mut picker.serving)
        .await
        .unwrap()
        .unwrap();
    let error = result.expect_err("a refusal");
    let source = std::error::Error::source(&error).expect("a source");
    assert!(source.to_string().contains("streams_max"), "{source}");
}
