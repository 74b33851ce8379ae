//! The subset hint.

use envoy_types::pb::envoy::service::ext_proc::v3::ProcessingRequest;
use envoy_types::pb::google::protobuf::Value;
use envoy_types::pb::google::protobuf::value::Kind;
use router_ext_proc::Settings;

use super::messages::*;
use super::picker::*;

fn hinted(value: Value) -> ProcessingRequest {
    with_metadata(
        request_headers(&[], true),
        "envoy.lb.subset_hint",
        "x-gateway-destination-endpoint-subset",
        value,
    )
}

/// Where a bodiless request with this hint goes.
async fn picked(picker: &Picker, value: Value) -> String {
    let mut call = picker.call().await;
    call.send(hinted(value)).await;
    destination(&call.answer().await).to_owned()
}

#[tokio::test]
async fn subset_absent_is_the_whole_pool() {
    let picker = Picker::start().await;
    let mut call = picker.call().await;
    let other_key = with_metadata(
        request_headers(&[], true),
        "envoy.lb.subset_hint",
        "something-else",
        text("10.0.0.2"),
    );
    call.send(other_key).await;
    assert_eq!(destination(&call.answer().await), FIRST);
}

#[tokio::test]
async fn subset_as_list_and_as_string_is_obeyed() {
    let picker = Picker::start().await;
    let second = "10.0.0.2:8000";
    assert_eq!(
        picked(&picker, list(&["10.0.0.2", "10.0.0.9"])).await,
        second
    );
    assert_eq!(
        picked(&picker, text("10.0.0.9:1, 10.0.0.2:8000")).await,
        second
    );
    let third = "[2001:db8::1]:8000";
    assert_eq!(picked(&picker, list(&["[2001:db8::1]:8000"])).await, third);
    assert_eq!(picked(&picker, text("2001:db8::1")).await, third);
}

#[tokio::test]
async fn subset_compares_ports() {
    let picker = Picker::start().await;
    let mut call = picker.call().await;
    call.send(hinted(list(&["10.0.0.1:8001", "10.0.0.2:8001"])))
        .await;
    assert_eq!(status(&call.answer().await), 503);
}

#[tokio::test]
async fn subset_present_and_empty_is_503() {
    let picker = Picker::start().await;
    let null = Value {
        kind: Some(Kind::NullValue(0)),
    };
    for value in [list(&[]), text(""), null, Value::default()] {
        let mut call = picker.call().await;
        call.send(hinted(value)).await;
        assert_eq!(status(&call.answer().await), 503);
        call.ended().await;
    }
}

#[tokio::test]
async fn subset_that_nobody_can_read_is_503_and_counted() {
    let picker = Picker::start().await;
    let number = Value {
        kind: Some(Kind::NumberValue(10.1)),
    };
    for value in [list(&["pod-a", "pod-b"]), number] {
        let mut call = picker.call().await;
        call.send(hinted(value)).await;
        assert_eq!(status(&call.answer().await), 503);
    }
    assert_eq!(picker.stats.subset_entries_ignored.get(), 3);
}

#[tokio::test]
async fn the_conformance_header_limits_the_pick_where_switched_on() {
    let header = ("test-epp-endpoint-selection", "10.0.0.2,10.0.0.3");
    for (on, expected) in [(false, FIRST), (true, "10.0.0.2:8000")] {
        let picker = Picker::with(Settings {
            test_endpoint_selection: on,
            ..settings()
        })
        .await;
        let mut call = picker.call().await;
        call.send(request_headers(&[header], true)).await;
        assert_eq!(destination(&call.answer().await), expected);
    }
}
