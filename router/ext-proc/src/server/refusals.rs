//! What the server refuses itself, with the words that clients read.

use std::time::Duration;

use super::messages::Unread;
use crate::stream::{Event, Violation};
use crate::{Refused, RefusedKind};

/// What follows from a stream that cannot be read on. A request is refused; a
/// response that has begun can only be cut.
pub(super) fn unread(reason: Unread, request_over: bool) -> Event {
    let refused = match (reason, request_over) {
        (Unread::Left, _) => return Event::Reset,
        (Unread::Crowded, true) => return Event::Overrun(Violation::Crowded),
        (_, true) => return Event::Overrun(Violation::TooLong),
        (Unread::Crowded, false) => full(),
        (Unread::Message(most), false) => too_long(
            RefusedKind::TooLarge,
            format!("one message of the request is longer than {most} bytes: send smaller parts"),
        ),
        (Unread::Headers(most), false) => too_long(
            RefusedKind::HeadersTooLarge,
            format!("the request's headers are longer than {most} bytes: send fewer or shorter"),
        ),
        (Unread::Metadata(most), false) => too_long(
            RefusedKind::HeadersTooLarge,
            format!(
                "the gateway's metadata and attributes are longer than {most} bytes: \
                 a subset hint must be shorter"
            ),
        ),
    };
    Event::Refused(refused)
}

fn too_long(kind: RefusedKind, message: String) -> Refused {
    Refused {
        kind,
        message,
        retry_after: None,
    }
}

pub(super) fn full() -> Refused {
    Refused {
        kind: RefusedKind::Crowded,
        message: "this endpoint picker holds as many bytes of requests as it may".to_owned(),
        retry_after: Some(Duration::from_secs(1)),
    }
}

/// In the middle of a decision, or of a request.
pub(super) fn late(deciding: bool) -> Refused {
    let message = if deciding {
        "no endpoint was found in time: send the request again"
    } else {
        "the request did not come in time: send it faster"
    };
    Refused {
        kind: RefusedKind::Deadline,
        message: message.to_owned(),
        retry_after: None,
    }
}

pub(super) fn nowhere() -> Refused {
    internal("the decision named no endpoint")
}

pub(super) fn broken() -> Refused {
    internal("the decision failed")
}

fn internal(message: &str) -> Refused {
    Refused {
        kind: RefusedKind::Internal,
        message: message.to_owned(),
        retry_after: None,
    }
}
