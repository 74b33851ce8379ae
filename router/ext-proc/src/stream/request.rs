//! The request's half: gather, ask, send on.

use std::net::SocketAddr;

use bytes::Bytes;

use super::{Action, Answer, Chunk, Mutation, Question, RequestHead, Route, Stream, Violation};
use super::{body_answers, subset};
use crate::{Headers, Refused, RefusedKind};

const REQUEST_ID: &str = "x-request-id";
const CONTENT_LENGTH: &str = "content-length";

/// Limits the pick in conformance tests: `ip[,ip]`.
const TEST_SELECTION: &str = "test-epp-endpoint-selection";

/// Longer ids are cut: they go into every log line.
const REQUEST_ID_BYTES_MAX: usize = 128;

/// Headers for the picker, not for the engine.
const CONTROL_HEADERS: [&str; 12] = [
    "x-gateway-destination-endpoint-subset",
    "x-gateway-inference-fairness-id",
    "x-gateway-inference-objective",
    "x-gateway-model-name-rewrite",
    "x-llm-d-inference-fairness-id",
    "x-llm-d-inference-objective",
    "x-llm-d-model-name-rewrite",
    "x-llm-d-slo-tpot-ms",
    "x-llm-d-slo-ttft-ms",
    "x-prediction-based-scheduling",
    "x-slo-tpot-ms",
    "x-slo-ttft-ms",
];

/// How far the request has come.
pub(super) enum Request {
    /// Nothing yet.
    Awaited,
    /// Its body is coming.
    Gathering(Box<Gathering>),
    /// Somebody is looking for an endpoint.
    Deciding(Box<Pending>),
    /// Sent on, refused, or answered by the gateway itself.
    Over,
}

pub(super) struct Gathering {
    head: RequestHead,
    /// `None` until a body message came, be it an empty one.
    body: Option<Vec<u8>>,
}

/// What has to be known to send a request on.
pub(super) struct Pending {
    body: Option<Bytes>,
    ended_by: EndedBy,
    /// Set where the request came without one.
    new_request_id: Option<String>,
    remove: Vec<&'static str>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum EndedBy {
    EndOfStream,
    Trailers,
}

impl Stream {
    pub(super) fn request_headers(&mut self, head: RequestHead, out: &mut Vec<Action>) {
        if !matches!(self.request, Request::Awaited) {
            return self.fail(Violation::HeadersTwice, out);
        }
        if head.end_of_stream {
            return self.ask(head, None, EndedBy::EndOfStream, out);
        }
        let announced = head.headers.get(CONTENT_LENGTH);
        let announced = announced.and_then(|text| text.parse::<u64>().ok());
        let limit = u64::try_from(self.rules.body_bytes_max).unwrap_or(u64::MAX);
        if announced.is_some_and(|bytes| bytes > limit) {
            return self.refuse(too_large(self.rules.body_bytes_max), out);
        }
        self.request = Request::Gathering(Box::new(Gathering { head, body: None }));
    }

    pub(super) fn request_body(&mut self, chunk: Chunk, out: &mut Vec<Action>) {
        let limit = self.rules.body_bytes_max;
        let gathering = match &mut self.request {
            Request::Awaited => return self.fail(Violation::NoHeaders, out),
            Request::Gathering(gathering) => gathering,
            // The end has been seen: whatever follows is a repetition.
            Request::Deciding(_) | Request::Over => return,
        };
        if gathering.bytes() + chunk.bytes.len() > limit {
            return self.refuse(too_large(limit), out);
        }
        gathering.append(chunk.bytes);
        if chunk.end_of_stream {
            self.gathered(EndedBy::EndOfStream, out);
        }
    }

    pub(super) fn request_trailers(&mut self, out: &mut Vec<Action>) {
        match self.request {
            Request::Awaited => self.fail(Violation::NoHeaders, out),
            Request::Gathering(_) => self.gathered(EndedBy::Trailers, out),
            Request::Deciding(_) | Request::Over => {}
        }
    }

    fn gathered(&mut self, ended_by: EndedBy, out: &mut Vec<Action>) {
        if let Request::Gathering(gathering) = std::mem::replace(&mut self.request, Request::Over) {
            let Gathering { head, body } = *gathering;
            self.ask(head, body.map(Bytes::from), ended_by, out);
        }
    }

    fn ask(
        &mut self,
        head: RequestHead,
        body: Option<Bytes>,
        ended_by: EndedBy,
        out: &mut Vec<Action>,
    ) {
        let RequestHead { headers, hint, .. } = head;
        let (subset, subset_ignored) = self.subset_of(&headers, hint.as_deref());
        let known_id = headers.get(REQUEST_ID).filter(|id| !id.is_empty());
        let request_id = known_id.map_or_else(|| uuid_text(self.spare_id), shortened);
        let has_id = headers.get_all(REQUEST_ID).any(|id| !id.is_empty());
        self.request = Request::Deciding(Box::new(Pending {
            body: body.clone(),
            ended_by,
            new_request_id: (!has_id).then(|| request_id.clone()),
            remove: present(&headers),
        }));
        out.push(Action::Decide(Question {
            request_id,
            method: headers.get(":method").unwrap_or_default().to_owned(),
            path: path_of(&headers),
            headers,
            body,
            subset,
            subset_ignored,
        }));
    }

    fn subset_of(&self, headers: &Headers, hint: Option<&[String]>) -> (crate::Subset, usize) {
        let (hinted, ignored) = subset::parse(hint);
        let wanted = self.rules.test_selection.then_some(());
        let Some(wanted) = wanted.and_then(|()| headers.get(TEST_SELECTION)) else {
            return (hinted, ignored);
        };
        let (selected, unread) = subset::parse(Some(&[wanted.to_owned()]));
        (subset::intersect(hinted, selected), ignored + unread)
    }

    /// Sends the request on its way: headers, body, trailers, in this order.
    pub(super) fn routed(&mut self, route: Route, out: &mut Vec<Action>) {
        let pending = match std::mem::replace(&mut self.request, Request::Over) {
            Request::Deciding(pending) => *pending,
            other => {
                self.request = other;
                return;
            }
        };
        self.ticketed = true;
        let destination = destination(&route.endpoints, self.rules.destinations_max);
        let changed = route.body.filter(|_| pending.body.is_some());
        let mut set = route.set_headers;
        set.extend(pending.new_request_id.map(|id| (REQUEST_ID, id)));
        // Ignored by gateways that go chunked, and needed by those that do not:
        // with a wrong length the next request on that connection is misread.
        let length = changed.as_ref().map(|body| body.len().to_string());
        set.extend(length.map(|length| (CONTENT_LENGTH, length)));
        set.retain(|(_, value)| !value.bytes().any(|byte| byte < b' ' || byte == 0x7f));
        let mut remove = pending.remove;
        remove.retain(|name| !set.iter().any(|(known, _)| known == name));
        out.push(Action::Send(Answer::RequestHeaders(Mutation {
            destination,
            set,
            remove,
        })));
        let trailers = pending.ended_by == EndedBy::Trailers;
        if let Some(body) = changed.or(pending.body) {
            body_answers(body, !trailers, out);
        }
        if trailers {
            out.push(Action::Send(Answer::RequestTrailers));
        }
        if self.half_closed {
            self.leave(out);
        }
    }
}

impl Gathering {
    fn bytes(&self) -> usize {
        self.body.as_ref().map_or(0, Vec::len)
    }

    /// The first part is taken over as it is: most bodies have only one.
    fn append(&mut self, bytes: Vec<u8>) {
        match &mut self.body {
            Some(body) if !body.is_empty() => body.extend_from_slice(&bytes),
            other => *other = Some(bytes),
        }
    }
}

fn too_large(limit: usize) -> Refused {
    Refused {
        kind: RefusedKind::TooLarge,
        message: format!("the request's body is longer than {limit} bytes: send a shorter one"),
        retry_after: None,
    }
}

fn present(headers: &Headers) -> Vec<&'static str> {
    let known = CONTROL_HEADERS.into_iter();
    known
        .filter(|name| headers.get_all(name).next().is_some())
        .collect()
}

fn path_of(headers: &Headers) -> String {
    let path = headers.get(":path").unwrap_or_default();
    path.split('?').next().unwrap_or_default().to_owned()
}

fn shortened(id: &str) -> String {
    let mut end = id.len().min(REQUEST_ID_BYTES_MAX);
    while !id.is_char_boundary(end) {
        end -= 1;
    }
    id[..end].to_owned()
}

/// `ip:port` or `[ip]:port`, separated by commas, without scope ids.
fn destination(endpoints: &[SocketAddr], most: usize) -> String {
    let plain = |address: &SocketAddr| SocketAddr::new(address.ip(), address.port()).to_string();
    let chosen: Vec<String> = endpoints.iter().take(most.max(1)).map(plain).collect();
    chosen.join(",")
}

/// A random UUID (version 4, RFC 9562) from 128 random bits.
fn uuid_text(random: u128) -> String {
    let versioned = random & !(0xf << 76) | (0x4 << 76);
    let bits = versioned & !(0b11 << 62) | (0b10 << 62);
    let hex = format!("{bits:032x}");
    let (a, b, c, d, e) = (
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    );
    format!("{a}-{b}-{c}-{d}-{e}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_made_up_id_is_a_uuid_of_version_4() {
        let (zeros, ones) = (uuid_text(0), uuid_text(u128::MAX));
        assert_eq!(zeros, "00000000-0000-4000-8000-000000000000");
        assert_eq!(ones, "ffffffff-ffff-4fff-bfff-ffffffffffff");
    }

    #[test]
    fn ipv6_endpoints_are_in_brackets_and_the_list_is_cut() {
        let endpoints: Vec<SocketAddr> = ["[2001:db8::1]:80", "10.0.0.1:81", "10.0.0.2:82"]
            .map(|text| text.parse().unwrap())
            .to_vec();
        assert_eq!(destination(&endpoints, 1), "[2001:db8::1]:80");
        assert_eq!(destination(&endpoints, 2), "[2001:db8::1]:80,10.0.0.1:81");
    }

    #[test]
    fn a_long_id_is_cut_between_characters() {
        let id = "é".repeat(100);
        assert_eq!(shortened(&id), "é".repeat(64));
        assert_eq!(shortened(&format!("x{id}")).len(), 127);
    }
}
