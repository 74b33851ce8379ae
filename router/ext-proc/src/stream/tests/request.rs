//! The request's half.

use super::*;

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
