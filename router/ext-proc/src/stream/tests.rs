//! The state machine, case by case.

mod request;
mod response;

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
