//! Multipart messages: what engines publish, and what they answer to a replay.

use bytes::Bytes;
use proto_model::StreamId;

/// The sequence that ends a replay: -1 as a signed number.
pub const REPLAY_END: u64 = u64::MAX;

/// Longest accepted topic, in bytes.
const TOPIC_LIMIT: usize = 1024;

/// One message of a live stream: `[topic][sequence][payload]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveFrame<'a> {
    /// The topic as sent; empty where none is configured (SGLang's default).
    pub topic: &'a str,
    /// The number that the publisher gave the message, from 0.
    pub sequence: u64,
    /// The publisher's stream id, if the sequence frame has 24 bytes.
    pub stream: Option<StreamId>,
    /// The event batch, still packed.
    pub payload: Bytes,
}

/// One message of the answer to a replay request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplayFrame {
    /// A message that was published before.
    Message {
        /// The number that it had when it was live.
        sequence: u64,
        /// The publisher's stream id, if the sequence frame has 24 bytes.
        stream: Option<StreamId>,
        /// The event batch, still packed; the same bytes as when it was live.
        payload: Bytes,
    },
    /// Nothing more follows.
    End,
}

/// Why a multipart message is not what an engine sends.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A number of frames that no known engine sends.
    #[error("{message} message has {found} frames; expected {expected}")]
    FrameCount {
        /// `live` or `replay`.
        message: &'static str,
        /// The forms that are known.
        expected: &'static str,
        /// How many there are.
        found: usize,
    },
    /// The sequence frame is neither 8 nor 24 bytes.
    #[error(
        "sequence frame has {found} bytes; expected 8 (big-endian number) or 24 (number and \
         stream id)"
    )]
    SequenceLength {
        /// How many it has.
        found: usize,
    },
    /// A live message carries the sequence that is kept for the end of a replay.
    #[error("live message has sequence -1, which only ends a replay; is this a replay socket?")]
    EndInLive,
    /// The end marker of a replay carries a payload.
    #[error("replay end marker carries {bytes} bytes of payload; expected none")]
    EndWithPayload {
        /// The payload's size.
        bytes: usize,
    },
    /// The topic is too long to be one.
    #[error("topic has {bytes} bytes; at most {TOPIC_LIMIT} are accepted")]
    TopicTooLong {
        /// Its length.
        bytes: usize,
    },
    /// The topic is not UTF-8.
    #[error("topic is not UTF-8; set the engine's topic to kv@<ip[:port]>@<model>")]
    TopicNotUtf8,
    /// A frame that must be empty is not.
    #[error("replay frame {index} has {bytes} bytes; expected the empty delimiter")]
    Delimiter {
        /// The frame's position, from 0.
        index: usize,
        /// Its size.
        bytes: usize,
    },
}

/// Reads one message of a live stream.
///
/// vLLM, SGLang and Mooncake all send three frames; a topic that is not
/// configured is an empty frame, never a missing one.
pub fn parse_live(frames: &[Bytes]) -> Result<LiveFrame<'_>, FrameError> {
    let [topic, sequence, payload] = frames else {
        return Err(FrameError::FrameCount {
            message: "live",
            expected: "3: topic, sequence, payload",
            found: frames.len(),
        });
    };
    let topic = topic_text(topic)?;
    let (sequence, stream) = parse_sequence(sequence)?;
    if sequence == REPLAY_END {
        return Err(FrameError::EndInLive);
    }
    Ok(LiveFrame {
        topic,
        sequence,
        stream,
        payload: payload.clone(),
    })
}

/// Reads one message of a replay's answer.
///
/// The last two frames are always the sequence and the payload. Before them
/// stand, as versions and socket types differ:
///
/// - nothing, or the topic (a REQ socket takes the delimiter away);
/// - the empty delimiter (vLLM up to 0.25, SGLang);
/// - the empty delimiter and the topic (vLLM from 0.26 on; the topic of the
///   end marker is empty);
/// - the peer's identity before these, if a relay passes the message on.
pub fn parse_replay(frames: &[Bytes]) -> Result<ReplayFrame, FrameError> {
    let (front, sequence, payload) = match frames {
        [front @ .., sequence, payload] if front.len() <= 3 => (front, sequence, payload),
        _ => {
            return Err(FrameError::FrameCount {
                message: "replay",
                expected: "2 to 5: [identity], [delimiter], [topic], sequence, payload",
                found: frames.len(),
            });
        }
    };
    if let [.., delimiter, topic] = front {
        if !delimiter.is_empty() {
            return Err(FrameError::Delimiter {
                index: front.len() - 2,
                bytes: delimiter.len(),
            });
        }
        topic_text(topic)?;
    }
    let (sequence, stream) = parse_sequence(sequence)?;
    if sequence != REPLAY_END {
        return Ok(ReplayFrame::Message {
            sequence,
            stream,
            payload: payload.clone(),
        });
    }
    if payload.is_empty() {
        Ok(ReplayFrame::End)
    } else {
        Err(FrameError::EndWithPayload {
            bytes: payload.len(),
        })
    }
}

/// The frames that ask a replay socket for everything from `start` on, as a
/// DEALER socket must send them: without the empty delimiter vLLM never answers.
///
/// A start older than the engine's buffer is answered from the oldest message
/// on, without a word: compare the first sequence that comes.
#[must_use]
pub fn replay_request(start: u64) -> [Bytes; 2] {
    [Bytes::new(), Bytes::copy_from_slice(&start.to_be_bytes())]
}

fn topic_text(topic: &Bytes) -> Result<&str, FrameError> {
    if topic.len() > TOPIC_LIMIT {
        return Err(FrameError::TopicTooLong { bytes: topic.len() });
    }
    std::str::from_utf8(topic).map_err(|_| FrameError::TopicNotUtf8)
}

fn parse_sequence(frame: &Bytes) -> Result<(u64, Option<StreamId>), FrameError> {
    let wrong = || FrameError::SequenceLength { found: frame.len() };
    let (number, stream) = frame.split_first_chunk::<8>().ok_or_else(wrong)?;
    let stream = match stream {
        [] => None,
        stream => Some(StreamId(<[u8; 16]>::try_from(stream).map_err(|_| wrong())?)),
    };
    Ok((u64::from_be_bytes(*number), stream))
}
