//! The response's half: pass on at once, look while it passes.

use std::net::SocketAddr;

use super::request::Request;
use super::usage::UsageTap;
use super::{Action, Answer, Chunk, ResponseHead, Stream};
use crate::{End, Usage};

/// How far the response has come. Its end is the stream's end.
pub(super) enum Response {
    Awaited,
    Passing(UsageTap),
}

impl Response {
    pub(super) fn usage(&mut self) -> Option<Usage> {
        match self {
            Self::Passing(tap) => tap.finish(),
            Self::Awaited => None,
        }
    }
}

impl Stream {
    pub(super) fn response_headers(&mut self, head: &ResponseHead, out: &mut Vec<Action>) {
        self.response_began(UsageTap::for_response(&head.headers), out);
        if self.ticketed {
            let status = head
                .headers
                .get(":status")
                .and_then(|text| text.parse().ok());
            out.push(Action::Responded(status.unwrap_or(0), head.served));
        }
        let served = head.served.filter(|_| self.rules.test_selection);
        self.pass(Answer::ResponseHeaders { served }, head.end_of_stream, out);
    }

    pub(super) fn response_body(&mut self, chunk: Chunk, out: &mut Vec<Action>) {
        self.response_began_without_headers(out);
        let Chunk {
            bytes,
            end_of_stream,
        } = chunk;
        if self.ticketed && !bytes.is_empty() {
            if let Response::Passing(tap) = &mut self.response {
                tap.feed(&bytes);
            }
            out.push(Action::Progressed);
        }
        let answer = Answer::ResponseBody {
            bytes,
            end_of_stream,
        };
        self.pass(answer, end_of_stream, out);
    }

    pub(super) fn response_trailers(&mut self, out: &mut Vec<Action>) {
        self.response_began_without_headers(out);
        self.pass(Answer::ResponseTrailers, true, out);
    }

    /// The books are closed before the last answer: the gateway leaves as soon as
    /// it has that one.
    fn pass(&mut self, answer: Answer, last: bool, out: &mut Vec<Action>) {
        if last {
            self.finish(End::Complete, out);
        }
        out.push(Action::Send(answer));
        if last {
            self.close(out);
        }
    }

    /// A gateway may be set up not to show a response's headers.
    fn response_began_without_headers(&mut self, out: &mut Vec<Action>) {
        if matches!(self.response, Response::Awaited) {
            self.response_began(UsageTap::off(), out);
        }
    }

    /// A response before the request has been sent on is the gateway's own: nobody
    /// waits for the decision any more.
    fn response_began(&mut self, tap: UsageTap, out: &mut Vec<Action>) {
        self.response = Response::Passing(tap);
        if let Request::Deciding(_) = std::mem::replace(&mut self.request, Request::Over) {
            out.push(Action::Abandon);
        }
    }
}

/// `ip:port` as gateways write it, if it can be read.
pub(crate) fn served_address(text: &str) -> Option<SocketAddr> {
    let first = text.split(',').next()?;
    first.trim().parse().ok()
}
