//! Refusals: always an HTTP status, never a gRPC one.

use std::time::Duration;

use router_ext_proc::{Refused, RefusedKind};

use super::messages::*;
use super::picker::*;

async fn refusing(refused: Refused) -> Picker {
    Picker::scripted(settings(), move |_, _| {
        let refused = refused.clone();
        Box::pin(async move { Err(refused) })
    })
    .await
}

#[tokio::test]
async fn every_refusal_has_its_status_and_ends_the_stream_with_ok() {
    for kind in RefusedKind::ALL {
        let picker = refusing(refused(kind)).await;
        let mut call = picker.call().await;
        call.send(request_headers(&[], false)).await;
        call.send(request_body(b"{}", true)).await;
        let answer = call.answer().await;
        assert_eq!(status(&answer), i32::from(kind.status()));
        call.ended().await;
        assert_eq!(picker.stats.refused(kind).get(), 1);
        assert_eq!(picker.books.notes(), []);
    }
}

#[tokio::test]
async fn a_429_is_json_and_says_when_to_come_back() {
    let picker = refusing(Refused {
        kind: RefusedKind::Saturated,
        message: "every endpoint is busy".to_owned(),
        retry_after: Some(Duration::from_millis(1_500)),
    })
    .await;
    let mut call = picker.call().await;
    call.send(request_headers(&[], true)).await;
    let answer = call.answer().await;
    let sent = immediate(&answer);
    let headers = sent.headers.as_ref().unwrap();
    assert_eq!(
        set_header(headers, "content-type"),
        Some("application/json")
    );
    assert_eq!(set_header(headers, "retry-after"), Some("2"));
    let reason = set_header(headers, "x-llm-d-request-dropped-reason");
    assert_eq!(reason, Some("rejected-saturated"));
    assert_eq!(sent.details, "kvatlas_saturated");
    let body: serde_json::Value = serde_json::from_slice(&sent.body).unwrap();
    assert_eq!(body["error"]["message"], "every endpoint is busy");
    assert_eq!(body["error"]["type"], "rate_limit_error");
}

#[tokio::test]
async fn a_decision_without_endpoint_is_500() {
    let picker = Picker::scripted(settings(), |_, books| {
        Box::pin(async move {
            let mut routed = routed_to(FIRST, &books);
            routed.endpoints.clear();
            Ok(routed)
        })
    })
    .await;
    let mut call = picker.call().await;
    call.send(request_headers(&[], true)).await;
    assert_eq!(status(&call.answer().await), 500);
    assert_eq!(picker.books.notes(), [Note::Dropped]);
}

#[tokio::test]
async fn a_decision_that_panics_costs_its_own_request_only() {
    let picker = Picker::scripted(settings(), |asked, books| {
        assert!(asked.request_id == "one", "before the first wait");
        Box::pin(async move {
            assert!(asked.method == "POST", "after it");
            Ok(routed_to(FIRST, &books))
        })
    })
    .await;
    let channel = picker.channel().await;
    let mut good = Call::on(channel.clone()).await;
    good.routed().await;
    for pairs in [
        &[(":method", "GET"), ("x-request-id", "one")][..],
        &[(":method", "POST"), ("x-request-id", "two")],
    ] {
        let mut bad = Call::on(channel.clone()).await;
        bad.send(bare_headers(pairs, true)).await;
        assert_eq!(status(&bad.answer().await), 500);
        bad.ended().await;
    }
    assert_eq!(picker.stats.panics.get(), 2);
    good.send(sse_headers()).await;
    good.answer().await;
}
