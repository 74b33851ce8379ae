//! Multipart messages of every shape.

use bytes::Bytes;
use indexer_events::{
    FrameError, LiveFrame, REPLAY_END, ReplayFrame, parse_live, parse_replay, replay_request,
};
use proto_model::StreamId;

const END: &[u8] = &[0xff; 8];

fn frames(parts: &[&[u8]]) -> Vec<Bytes> {
    parts
        .iter()
        .map(|part| Bytes::copy_from_slice(part))
        .collect()
}

fn message(sequence: u64, stream: Option<StreamId>) -> ReplayFrame {
    ReplayFrame::Message {
        sequence,
        stream,
        payload: Bytes::from_static(b"p"),
    }
}

#[test]
fn live_message_with_topic_and_without() {
    for topic in ["kv@10.0.0.5@m", ""] {
        let frames = frames(&[topic.as_bytes(), &258_u64.to_be_bytes(), b"p"]);
        let payload = Bytes::from_static(b"p");
        let expected = LiveFrame {
            topic,
            sequence: 258,
            stream: None,
            payload,
        };
        assert_eq!(parse_live(&frames), Ok(expected));
    }
}

#[test]
fn live_sequence_of_24_bytes_carries_the_stream_id() {
    let mut sequence = 3_u64.to_be_bytes().to_vec();
    sequence.extend([9; 16]);
    let frames = frames(&[b"", &sequence, b"p"]);
    let frame = parse_live(&frames).unwrap();
    assert_eq!((frame.sequence, frame.stream), (3, Some(StreamId([9; 16]))));
}

#[test]
fn live_payload_is_shared_not_copied() {
    let frames = frames(&[b"", &[0; 8], b"payload"]);
    assert_eq!(
        parse_live(&frames).unwrap().payload.as_ptr(),
        frames[2].as_ptr()
    );
}

#[test]
fn live_messages_that_are_none() {
    let sequence = &[0_u8; 8][..];
    let long = [b'a'; 1025];
    for (parts, expected) in [
        (
            &[][..],
            FrameError::FrameCount {
                message: "live",
                expected: LIVE,
                found: 0,
            },
        ),
        (
            &[sequence, b"p"],
            FrameError::FrameCount {
                message: "live",
                expected: LIVE,
                found: 2,
            },
        ),
        (
            &[b"", b"", sequence, b"p"],
            FrameError::FrameCount {
                message: "live",
                expected: LIVE,
                found: 4,
            },
        ),
        (&[b"", b"", b"p"], FrameError::SequenceLength { found: 0 }),
        (
            &[b"", &[0; 7], b"p"],
            FrameError::SequenceLength { found: 7 },
        ),
        (
            &[b"", &[0; 23], b"p"],
            FrameError::SequenceLength { found: 23 },
        ),
        (
            &[b"", &[0; 25], b"p"],
            FrameError::SequenceLength { found: 25 },
        ),
        (&[b"", END, b""], FrameError::EndInLive),
        (&[&[0xff], sequence, b"p"], FrameError::TopicNotUtf8),
        (
            &[&long, sequence, b"p"],
            FrameError::TopicTooLong { bytes: 1025 },
        ),
    ] {
        assert_eq!(parse_live(&frames(parts)), Err(expected));
    }
}

const LIVE: &str = "3: topic, sequence, payload";

#[test]
fn replay_messages_of_every_version() {
    let sequence = &7_u64.to_be_bytes()[..];
    for parts in [
        // A REQ socket takes the delimiter away.
        &[sequence, b"p"][..],
        &[b"kv@h@m", sequence, b"p"],
        // vLLM up to 0.25 and SGLang, then vLLM from 0.26 on.
        &[b"", sequence, b"p"],
        &[b"", b"kv@h@m", sequence, b"p"],
        // With the identity that the router wrote.
        &[b"id", b"", b"kv@h@m", sequence, b"p"],
    ] {
        assert_eq!(
            parse_replay(&frames(parts)),
            Ok(message(7, None)),
            "{parts:?}"
        );
    }
}

#[test]
fn replay_sequence_of_24_bytes_carries_the_stream_id() {
    let mut sequence = 7_u64.to_be_bytes().to_vec();
    sequence.extend([9; 16]);
    let expected = message(7, Some(StreamId([9; 16])));
    assert_eq!(parse_replay(&frames(&[b"", &sequence, b"p"])), Ok(expected));
}

#[test]
fn replay_end_markers_of_every_version() {
    let with_stream = [0xff; 24];
    for parts in [
        &[END, b""][..],
        &[b"", END, b""],
        &[b"", b"", END, b""],
        &[b"", b"", b"", END, b""],
        &[b"id", b"", b"", END, b""],
        &[b"", b"kv@h@m", END, b""],
        &[b"", &with_stream, b""],
    ] {
        assert_eq!(
            parse_replay(&frames(parts)),
            Ok(ReplayFrame::End),
            "{parts:?}"
        );
    }
}

#[test]
fn replay_messages_that_are_none() {
    let sequence = &[0_u8; 8][..];
    let count = |found| FrameError::FrameCount {
        message: "replay",
        expected: "2 to 5: [identity], [delimiter], [topic], sequence, payload",
        found,
    };
    for (parts, expected) in [
        (&[][..], count(0)),
        (&[sequence], count(1)),
        (&[b"", b"", b"", b"", sequence, b"p"], count(6)),
        (&[b"", b"xx", b"p"], FrameError::SequenceLength { found: 2 }),
        (&[b"", END, b"p"], FrameError::EndWithPayload { bytes: 1 }),
        (
            &[b"x", b"t", sequence, b"p"],
            FrameError::Delimiter { index: 0, bytes: 1 },
        ),
        (
            &[b"id", b"xy", b"t", sequence, b"p"],
            FrameError::Delimiter { index: 1, bytes: 2 },
        ),
        (&[b"", b"\xff", sequence, b"p"], FrameError::TopicNotUtf8),
    ] {
        assert_eq!(parse_replay(&frames(parts)), Err(expected), "{parts:?}");
    }
}

#[test]
fn replay_request_begins_with_the_delimiter() {
    let [delimiter, start] = replay_request(0x0102);
    assert!(delimiter.is_empty());
    assert_eq!(&start[..], [0, 0, 0, 0, 0, 0, 1, 2]);
    assert_eq!(&replay_request(REPLAY_END)[1][..], END);
}
