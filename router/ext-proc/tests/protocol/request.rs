//! The request's half.

use bytes::Bytes;
use envoy_types::pb::envoy::config::core::v3::header_value_option::HeaderAppendAction;
use envoy_types::pb::envoy::service::ext_proc::v3::processing_response::Response;
use router_ext_proc::Settings;

use super::messages::*;
use super::picker::*;

#[tokio::test]
async fn destination_header_and_metadata_are_equal() {
    let picker = Picker::start().await;
    let mut call = picker.call().await;
    call.send(request_headers(&[], true)).await;
    let answer = call.answer().await;
    assert_eq!(destination(&answer), FIRST);
    assert_eq!(metadata_destination(&answer), FIRST);
    assert!(common(&answer).clear_route_cache);
}

#[tokio::test]
async fn headers_overwrite_what_the_client_sent() {
    let picker = Picker::start().await;
    let mut call = picker.call().await;
    let forged = (DESTINATION, "169.254.169.254:80");
    call.send(request_headers(&[forged], true)).await;
    let answer = call.answer().await;
    let mutation = common(&answer).header_mutation.as_ref().unwrap();
    let actions: Vec<i32> = mutation
        .set_headers
        .iter()
        .map(|set| set.append_action)
        .collect();
    assert_eq!(actions, [HeaderAppendAction::OverwriteIfExistsOrAdd as i32]);
    assert_eq!(destination(&answer), FIRST);
}

#[tokio::test]
async fn fallbacks_are_named_only_as_far_as_is_set() {
    for (most, expected) in [(1, "[2001:db8::1]:80"), (2, "[2001:db8::1]:80,10.0.0.2:81")] {
        let settings = Settings {
            destinations_max: most,
            ..settings()
        };
        let picker = Picker::scripted(settings, |_, books| {
            Box::pin(async move {
                let mut routed = routed_to("[2001:db8::1]:80", &books);
                routed.endpoints.push("10.0.0.2:81".parse().unwrap());
                Ok(routed)
            })
        })
        .await;
        let mut call = picker.call().await;
        call.send(request_headers(&[], true)).await;
        let answer = call.answer().await;
        assert_eq!(destination(&answer), expected);
        assert_eq!(metadata_destination(&answer), expected);
    }
}

#[tokio::test]
async fn a_request_id_is_made_only_where_there_is_none() {
    let picker = Picker::start().await;
    let mut call = picker.call().await;
    call.send(request_headers(&[], true)).await;
    let answer = call.answer().await;
    let mutation = common(&answer).header_mutation.as_ref().unwrap();
    assert_eq!(set_header(mutation, "x-request-id"), None);

    let mut call = picker.call().await;
    call.send(bare_headers(&[(":path", "/")], true)).await;
    let answer = call.answer().await;
    let mutation = common(&answer).header_mutation.as_ref().unwrap();
    let made = set_header(mutation, "x-request-id")
        .expect("a new id")
        .to_owned();
    let asked = picker.books.asked.lock().unwrap();
    let ids: Vec<&str> = asked
        .iter()
        .map(|asked| asked.request_id.as_str())
        .collect();
    assert_eq!(ids, ["one", &made]);
}

#[tokio::test]
async fn control_headers_are_kept_from_the_engine() {
    let picker = Picker::start().await;
    let mut call = picker.call().await;
    let control = [
        ("x-gateway-inference-objective", "fast"),
        ("x-gateway-inference-fairness-id", "me"),
        ("x-keep", "this"),
    ];
    call.send(request_headers(&control, true)).await;
    let answer = call.answer().await;
    let mut removed = common(&answer)
        .header_mutation
        .as_ref()
        .unwrap()
        .remove_headers
        .clone();
    removed.sort();
    let expected = [
        "x-gateway-inference-fairness-id",
        "x-gateway-inference-objective",
    ];
    assert_eq!(removed, expected);
    let asked = picker.books.asked.lock().unwrap();
    assert_eq!(
        asked[0].headers.get("x-gateway-inference-objective"),
        Some("fast")
    );
}

#[tokio::test]
async fn a_request_without_body_is_routed_at_its_headers() {
    let picker = Picker::start().await;
    let mut call = picker.call().await;
    call.routed().await;
    assert_eq!(last_body(&picker.books), None);
}

#[tokio::test]
async fn an_empty_last_part_ends_the_body() {
    let picker = Picker::start().await;
    let mut call = picker.call().await;
    call.send(request_headers(&[], false)).await;
    call.send(request_body(b"{\"a\":1}", false)).await;
    call.send(request_body(b"", true)).await;
    destination(&call.answer().await);
    assert_eq!(
        request_part(&call.answer().await),
        (&b"{\"a\":1}"[..], true)
    );
    assert_eq!(
        last_body(&picker.books),
        Some(Bytes::from_static(b"{\"a\":1}"))
    );
}

#[tokio::test]
async fn an_empty_body_is_sent_back_as_one_empty_part() {
    let picker = Picker::start().await;
    let mut call = picker.call().await;
    call.send(request_headers(&[], false)).await;
    call.send(request_body(b"", true)).await;
    destination(&call.answer().await);
    assert_eq!(request_part(&call.answer().await), (&b""[..], true));
    assert_eq!(last_body(&picker.books), Some(Bytes::new()));
}

#[tokio::test]
async fn trailers_end_the_body() {
    let picker = Picker::start().await;
    let mut call = picker.call().await;
    call.send(request_headers(&[], false)).await;
    call.send(request_body(b"abc", false)).await;
    call.send(request_trailers()).await;
    destination(&call.answer().await);
    assert_eq!(request_part(&call.answer().await), (&b"abc"[..], false));
    let last = call.answer().await.response;
    assert!(
        matches!(last, Some(Response::RequestTrailers(_))),
        "{last:?}"
    );
}

#[tokio::test]
async fn a_body_of_8_mb_comes_back_whole_in_parts_of_at_most_62000_bytes() {
    let picker = Picker::start().await;
    let mut call = picker.call().await;
    let body: Vec<u8> = (0..8_000_000_u32).map(|at| (at % 251) as u8).collect();
    call.send(request_headers(&[], false)).await;
    for part in body.chunks(1 << 20) {
        call.send(request_body(part, false)).await;
    }
    call.send(request_body(b"", true)).await;
    destination(&call.answer().await);
    let mut back = Vec::new();
    loop {
        let answer = call.answer().await;
        let (bytes, end) = request_part(&answer);
        assert!(bytes.len() <= 62_000);
        back.extend_from_slice(bytes);
        assert_eq!(end, back.len() == body.len());
        if end {
            break;
        }
    }
    assert!(back == body);
}

#[tokio::test]
async fn a_changed_body_is_sent_with_its_length() {
    let picker = Picker::scripted(settings(), |_, books| {
        Box::pin(async move {
            let mut routed = routed_to(FIRST, &books);
            routed.body = Some(Bytes::from_static(b"another"));
            routed.set_headers = vec![("x-model", "m".to_owned())];
            Ok(routed)
        })
    })
    .await;
    let mut call = picker.call().await;
    call.send(request_headers(&[("content-length", "3")], false))
        .await;
    call.send(request_body(b"one", true)).await;
    let answer = call.answer().await;
    let mutation = common(&answer).header_mutation.as_ref().unwrap();
    assert_eq!(set_header(mutation, "content-length"), Some("7"));
    assert_eq!(set_header(mutation, "x-model"), Some("m"));
    assert_eq!(request_part(&call.answer().await), (&b"another"[..], true));
}

#[tokio::test]
async fn a_second_end_of_stream_is_ignored() {
    let picker = Picker::start().await;
    let mut call = picker.call().await;
    call.send(request_headers(&[], false)).await;
    call.send(request_body(b"abc", true)).await;
    call.send(request_body(b"", true)).await;
    destination(&call.answer().await);
    assert_eq!(request_part(&call.answer().await), (&b"abc"[..], true));
    call.send(request_body(b"", true)).await;
    call.send(response_headers(&[(":status", "200")], true))
        .await;
    let next = call.answer().await.response;
    assert!(
        matches!(next, Some(Response::ResponseHeaders(_))),
        "{next:?}"
    );
}
