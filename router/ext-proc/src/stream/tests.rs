//! The state machine, case by case.

use std::net::SocketAddr;

use super::*;
use crate::{Headers, Subset};

const RULES: Rules = Rules {
    body_bytes_max: 200_000,
    destinations_max: 1,
    test_selection: false,
};

fn stream() -> Stream {
    Stream::new(RULES, 7)
}

pub(super) fn headers(pairs: &[(&str, &str)]) -> Headers {
    let owned = |&(name, value): &(&str, &str)| (name.to_owned(), value.as_bytes().to_vec());
    Headers::new(pairs.iter().map(owned))
}

pub(super) fn head(end_of_stream: bool) -> Event {
    head_with(&[(":path", "/v1/completions?a=b")], None, end_of_stream)
}

fn head_with(pairs: &[(&str, &str)], hint: Option<&[&str]>, end_of_stream: bool) -> Event {
    Event::RequestHeaders(RequestHead {
        headers: headers(pairs),
        hint: hint.map(|texts| texts.iter().map(|&text| text.to_owned()).collect()),
        end_of_stream,
    })
}

pub(super) fn request_body(bytes: &[u8], end_of_stream: bool) -> Event {
    Event::RequestBody(Chunk {
        bytes: bytes.to_vec(),
        end_of_stream,
    })
}

pub(super) fn response_head(end_of_stream: bool) -> Event {
    Event::ResponseHeaders(ResponseHead {
        headers: headers(&[(":status", "200"), ("content-type", "text/event-stream")]),
        served: None,
        end_of_stream,
    })
}

pub(super) fn response_body(bytes: &[u8], end_of_stream: bool) -> Event {
    Event::ResponseBody(Chunk {
        bytes: bytes.to_vec(),
        end_of_stream,
    })
}

pub(super) fn decided(body: Option<&[u8]>) -> Event {
    let endpoint: SocketAddr = "10.0.0.1:8000".parse().unwrap();
    Event::Decided(Ok(Route {
        endpoints: vec![endpoint, "10.0.0.2:8000".parse().unwrap()],
        body: body.map(Bytes::copy_from_slice),
        set_headers: vec![("x-session", "a".to_owned())],
    }))
}

fn refused(kind: RefusedKind) -> Refused {
    Refused {
        kind,
        message: String::new(),
        retry_after: None,
    }
}

/// A stream whose decision is due, with a body of these bytes.
fn deciding(body: &[u8]) -> Stream {
    let mut stream = stream();
    assert!(stream.on(head(false)).is_empty());
    assert!(matches!(
        stream.on(request_body(body, true))[..],
        [Action::Decide(_)]
    ));
    stream
}

fn routed(body: &[u8]) -> Stream {
    let mut stream = deciding(body);
    assert!(!stream.on(decided(None)).is_empty());
    stream
}

fn question(actions: Vec<Action>) -> Question {
    match actions.into_iter().next() {
        Some(Action::Decide(question)) => question,
        other => panic!("not a question: {other:?}"),
    }
}

fn mutation(actions: Vec<Action>) -> Mutation {
    match actions.into_iter().next() {
        Some(Action::Send(Answer::RequestHeaders(mutation))) => mutation,
        other => panic!("not the headers: {other:?}"),
    }
}

/// What actions look like, without their contents.
fn shape(actions: &[Action]) -> String {
    format!("{actions:?}")
}

#[test]
fn a_request_without_body_is_asked_at_its_headers() {
    let asked = question(stream().on(head(true)));
    assert_eq!(asked.body, None);
    assert_eq!(asked.path, "/v1/completions");
    assert_eq!(asked.subset, Subset::Whole);
}

#[test]
fn an_empty_body_is_a_body_and_is_sent_back() {
    let mut stream = stream();
    stream.on(head(false));
    let asked = question(stream.on(request_body(b"", true)));
    assert_eq!(asked.body, Some(Bytes::new()));
    let sent = stream.on(decided(None));
    assert!(matches!(
        &sent[1],
        Action::Send(Answer::RequestBody { bytes, end_of_stream: true }) if bytes.is_empty()
    ));
    assert_eq!(sent.len(), 2);
}

#[test]
fn trailers_end_the_body_and_come_last() {
    let mut stream = stream();
    stream.on(head(false));
    stream.on(request_body(b"abc", false));
    let asked = question(stream.on(Event::RequestTrailers));
    assert_eq!(asked.body.as_deref(), Some(&b"abc"[..]));
    let sent = stream.on(decided(None));
    assert!(matches!(
        &sent[1..],
        [
            Action::Send(Answer::RequestBody {
                end_of_stream: false,
                ..
            }),
            Action::Send(Answer::RequestTrailers)
        ]
    ));
}

#[test]
fn trailers_without_a_body_have_no_body_sent_back() {
    let mut stream = stream();
    stream.on(head(false));
    assert_eq!(question(stream.on(Event::RequestTrailers)).body, None);
    let sent = stream.on(decided(Some(b"not wanted")));
    assert_eq!(sent.len(), 2);
    assert!(matches!(sent[1], Action::Send(Answer::RequestTrailers)));
}

#[test]
fn a_second_end_of_the_request_is_ignored() {
    let mut stream = deciding(b"abc");
    assert!(stream.on(request_body(b"", true)).is_empty());
    stream.on(decided(None));
    assert!(stream.on(request_body(b"x", true)).is_empty());
    assert!(stream.on(Event::RequestTrailers).is_empty());
}

#[test]
fn a_body_over_the_limit_is_413_and_the_rest_is_not_read() {
    let mut stream = stream();
    stream.on(head(false));
    stream.on(request_body(&[b'x'; 200_000], false));
    let sent = stream.on(request_body(b"x", false));
    assert!(matches!(
        &sent[..],
        [Action::Send(Answer::Immediate(refused)), Action::Close]
            if refused.kind == RefusedKind::TooLarge
    ));
    assert!(stream.on(request_body(b"x", true)).is_empty());
}

#[test]
fn an_announced_body_over_the_limit_is_413_before_it_comes() {
    let sent = stream().on(head_with(&[("content-length", "200001")], None, false));
    assert!(shape(&sent).contains("TooLarge"), "{sent:?}");
    let exact = stream().on(head_with(&[("content-length", "200000")], None, false));
    assert!(exact.is_empty());
    let nonsense = stream().on(head_with(&[("content-length", "-1")], None, false));
    assert!(nonsense.is_empty());
}

#[test]
fn only_what_changes_is_set() {
    let known = head_with(
        &[("x-request-id", "mine"), ("x-slo-ttft-ms", "5")],
        None,
        true,
    );
    let mut first = stream();
    assert_eq!(question(first.on(known)).request_id, "mine");
    let change = mutation(first.on(decided(None)));
    assert_eq!(change.destination, "10.0.0.1:8000");
    assert_eq!(change.set, [("x-session", "a".to_owned())]);
    assert_eq!(change.remove, ["x-slo-ttft-ms"]);

    let mut second = stream();
    let made_up = question(second.on(head(true))).request_id;
    let change = mutation(second.on(decided(None)));
    assert_eq!(made_up, "00000000-0000-4000-8000-000000000007");
    assert!(change.set.contains(&("x-request-id", made_up)));
    assert!(change.remove.is_empty());
}

#[test]
fn a_changed_body_gets_its_length() {
    let mut stream = deciding(b"old");
    let sent = stream.on(decided(Some(b"a new one")));
    assert!(shape(&sent).contains(r#"("content-length", "9")"#));
    assert!(matches!(
        &sent[1],
        Action::Send(Answer::RequestBody { bytes, end_of_stream: true }) if bytes == "a new one"
    ));
}

#[test]
fn a_header_that_would_break_the_request_is_not_set() {
    let mut stream = deciding(b"");
    let Event::Decided(Ok(mut route)) = decided(None) else {
        unreachable!("a route")
    };
    route.set_headers = vec![
        ("x-model", "a\r\nb: c".to_owned()),
        ("x-ok", "ü".to_owned()),
    ];
    let change = mutation(stream.on(Event::Decided(Ok(route))));
    let names: Vec<_> = change.set.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["x-ok", "x-request-id"]);
}

#[test]
fn a_hint_that_says_nothing_allows_nothing() {
    for hint in [&[][..], &["nonsense"], &["", " "]] {
        let asked = question(stream().on(head_with(&[], Some(hint), true)));
        assert_eq!(asked.subset, Subset::Only(Vec::new()));
    }
}

#[test]
fn the_conformance_header_counts_only_where_it_is_switched_on() {
    let event = || head_with(&[("test-epp-endpoint-selection", "10.0.0.9")], None, true);
    assert_eq!(question(stream().on(event())).subset, Subset::Whole);
    let rules = Rules {
        test_selection: true,
        ..RULES
    };
    let asked = question(Stream::new(rules, 0).on(event()));
    assert!(matches!(asked.subset, Subset::Only(entries) if entries.len() == 1));
}

#[test]
fn a_gateway_that_is_set_up_wrong_is_told() {
    let protocol = |request_body, response_body| {
        let mut stream = stream();
        stream.on(Event::Protocol(Protocol {
            request_body,
            response_body,
        }))
    };
    assert!(protocol(4, 4).is_empty());
    assert!(protocol(4, 0).is_empty());
    let request = protocol(2, 4);
    assert!(shape(&request).contains("Fail(RequestBodyMode(2))"));
    let response = protocol(4, 1);
    assert!(shape(&response).contains("Fail(ResponseBodyMode(1))"));
    let early = stream().on(request_body(b"x", true));
    assert!(shape(&early).contains("Fail(NoHeaders)"));
    let twice = deciding(b"x").on(head(true));
    assert!(matches!(
        twice[..],
        [Action::Abandon, Action::Fail(Violation::HeadersTwice)]
    ));
}

#[test]
fn the_books_are_closed_before_the_last_answer() {
    let usage = br#"data: {"usage":{"prompt_tokens":3,"completion_tokens":2}}"#;
    let mut stream = routed(b"abc");
    assert!(matches!(
        stream.on(response_head(false))[..],
        [
            Action::Responded(200, None),
            Action::Send(Answer::ResponseHeaders { served: None })
        ]
    ));
    assert!(matches!(
        stream.on(response_body(usage, false))[..],
        [
            Action::Progressed,
            Action::Send(Answer::ResponseBody { .. })
        ]
    ));
    assert!(matches!(
        stream.on(response_body(b"", true))[..],
        [
            Action::Finished(End::Complete, Some(_)),
            Action::Send(Answer::ResponseBody { .. }),
            Action::Close
        ]
    ));
    assert!(stream.on(Event::Reset).is_empty());
}

#[test]
fn a_response_ends_at_its_headers_or_trailers_too() {
    let at_headers = routed(b"").on(response_head(true));
    assert!(matches!(
        at_headers[..],
        [
            Action::Responded(..),
            Action::Finished(End::Complete, None),
            Action::Send(_),
            Action::Close
        ]
    ));
    let mut stream = routed(b"");
    stream.on(response_head(false));
    let at_trailers = stream.on(Event::ResponseTrailers);
    assert!(matches!(
        at_trailers[..],
        [
            Action::Finished(End::Complete, None),
            Action::Send(Answer::ResponseTrailers),
            Action::Close
        ]
    ));
}

#[test]
fn a_reset_before_the_last_message_is_a_cancel() {
    let mut stream = routed(b"");
    stream.on(response_head(false));
    let actions = stream.on(Event::Reset);
    assert!(shape(&actions).starts_with("[Finished(Cancelled"));
    let early = routed(b"").on(Event::Reset);
    assert!(shape(&early).starts_with("[Finished(Cancelled"));
    let deciding = deciding(b"").on(Event::Reset);
    assert!(matches!(deciding[..], [Action::Abandon, Action::Close]));
}

#[test]
fn where_bodies_are_not_shown_the_headers_are_the_last_message() {
    for leave in [Event::Reset, Event::HalfClosed] {
        let mut stream = stream();
        stream.on(Event::Protocol(Protocol {
            request_body: 4,
            response_body: 0,
        }));
        stream.on(head(true));
        stream.on(decided(None));
        stream.on(response_head(false));
        let actions = stream.on(leave);
        assert!(shape(&actions).starts_with("[Finished(Complete"));
    }
}

#[test]
fn a_gateway_that_shows_no_response_leaves_the_end_unknown() {
    let after = routed(b"").on(Event::HalfClosed);
    assert!(matches!(after[..], [Action::Forget, Action::Close]));
    let mut stream = deciding(b"");
    assert!(stream.on(Event::HalfClosed).is_empty());
    let sent = stream.on(decided(None));
    assert!(matches!(sent[2..], [Action::Forget, Action::Close]));
}

#[test]
fn a_response_of_the_gateway_itself_passes_without_a_request() {
    let mut lone = stream();
    assert!(matches!(
        lone.on(response_head(false))[..],
        [Action::Send(Answer::ResponseHeaders { .. })]
    ));
    assert!(matches!(
        lone.on(response_body(b"no healthy upstream", true))[..],
        [Action::Send(Answer::ResponseBody { .. }), Action::Close]
    ));
    let mut early = deciding(b"abc");
    assert!(matches!(
        early.on(response_head(false))[..],
        [Action::Abandon, Action::Send(_)]
    ));
    assert!(early.on(decided(None)).is_empty());
    assert!(early.on(request_body(b"abc", true)).is_empty());
}

#[test]
fn a_refusal_after_the_request_went_on_changes_nothing() {
    let mut stream = routed(b"");
    let late = Event::Refused(refused(RefusedKind::Deadline));
    assert!(stream.on(late).is_empty());
    assert!(!stream.on(response_head(false)).is_empty());
}

#[test]
fn a_stop_answers_requests_and_cuts_responses() {
    let waiting = deciding(b"").on(Event::Stopped);
    assert!(shape(&waiting).contains("kind: Unavailable"));
    let mut stream = routed(b"");
    stream.on(response_head(false));
    let cut = stream.on(Event::Stopped);
    assert!(matches!(
        cut[..],
        [
            Action::Finished(End::Cancelled, None),
            Action::Fail(Violation::Stopped)
        ]
    ));
}
