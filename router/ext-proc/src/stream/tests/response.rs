//! The response's half, and the ends of streams.

use super::*;

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
fn where_nothing_is_shown_a_reset_says_nothing() {
    let mut stream = stream();
    stream.on(Event::Protocol(Protocol {
        request_body: 4,
        response_body: 0,
    }));
    stream.on(head(true));
    stream.on(decided(None));
    let actions = stream.on(Event::Reset);
    assert!(matches!(actions[..], [Action::Forget, Action::Close]));
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
