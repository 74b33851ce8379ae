//! Bytes to whole messages. Pure: no socket, no clock.

use bytes::{Buf, Bytes, BytesMut};

use super::ZmtpError;

const MORE: u8 = 0b001;
const LONG: u8 = 0b010;
const COMMAND: u8 = 0b100;

/// Bytes of one command. A READY with its metadata is the longest.
const COMMAND_BYTES: usize = 8 * 1024;

/// What one message may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Bytes of all frames of a message together.
    pub(crate) message_bytes: usize,
    /// Frames of one message.
    pub(crate) frames: usize,
}

/// One thing that a peer said.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Item {
    /// A whole message, frame by frame.
    Message(Vec<Bytes>),
    /// A command, still encoded.
    Command(Bytes),
}

/// Cuts a byte stream into messages. Lengths are checked when they are
/// announced, before anything is allocated for them.
#[derive(Debug)]
pub(crate) struct Decoder {
    limits: Limits,
    frames: Vec<Bytes>,
    held: usize,
    announced: usize,
    greeted: bool,
}

struct Header {
    flags: u8,
    length: u64,
    size: usize,
}

impl Decoder {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            frames: Vec::new(),
            held: 0,
            announced: 0,
            greeted: false,
        }
    }

    /// From now on messages are taken too; before, only commands.
    pub(crate) fn greeted(&mut self) {
        self.greeted = true;
    }

    /// Bytes of the unfinished message as far as its frames are announced.
    pub(crate) fn announced(&self) -> usize {
        self.announced
    }

    /// Whether the stream stands between two messages.
    pub(crate) fn at_boundary(&self) -> bool {
        self.frames.is_empty()
    }

    /// The next whole item in `buffer`, or `None` until more bytes are there.
    pub(crate) fn next(&mut self, buffer: &mut BytesMut) -> Result<Option<Item>, ZmtpError> {
        while let Some(header) = read_header(buffer) {
            let length = self.admit(&header)?;
            if buffer.len() < header.size + length {
                self.announced = self.held + length;
                return Ok(None);
            }
            buffer.advance(header.size);
            let body = buffer.split_to(length).freeze();
            if header.flags & COMMAND != 0 {
                self.announced = self.held;
                return Ok(Some(Item::Command(body)));
            }
            self.held += length;
            self.announced = self.held;
            self.frames.push(body);
            if header.flags & MORE == 0 {
                (self.held, self.announced) = (0, 0);
                return Ok(Some(Item::Message(std::mem::take(&mut self.frames))));
            }
        }
        Ok(None)
    }

    /// Checks an announced frame against the limits.
    fn admit(&self, header: &Header) -> Result<usize, ZmtpError> {
        if header.flags & !(MORE | LONG | COMMAND) != 0
            || header.flags & (COMMAND | MORE) == (COMMAND | MORE)
        {
            return Err(ZmtpError::Flags {
                flags: header.flags,
            });
        }
        let command = header.flags & COMMAND != 0;
        if !command && !self.greeted {
            return Err(ZmtpError::Command);
        }
        if self.frames.len() >= self.limits.frames {
            return Err(ZmtpError::TooManyFrames {
                limit: self.limits.frames,
            });
        }
        let (limit, held) = match command {
            true => (COMMAND_BYTES, 0),
            false => (self.limits.message_bytes, self.held),
        };
        let too_large = ZmtpError::TooLarge {
            bytes: header.length,
            limit,
        };
        let Ok(length) = usize::try_from(header.length) else {
            return Err(too_large);
        };
        if length > limit.saturating_sub(held) {
            return Err(too_large);
        }
        Ok(length)
    }
}

fn read_header(buffer: &BytesMut) -> Option<Header> {
    let flags = *buffer.first()?;
    if flags & LONG == 0 {
        let length = u64::from(*buffer.get(1)?);
        return Some(Header {
            flags,
            length,
            size: 2,
        });
    }
    let length = <[u8; 8]>::try_from(buffer.get(1..9)?).ok()?;
    Some(Header {
        flags,
        length: u64::from_be_bytes(length),
        size: 9,
    })
}

/// Appends a message to `out` in wire form.
pub(crate) fn encode_message(frames: &[&[u8]], out: &mut BytesMut) {
    for (index, frame) in frames.iter().enumerate() {
        let more = if index + 1 < frames.len() { MORE } else { 0 };
        encode_frame(more, frame, out);
    }
}

/// Appends a command to `out` in wire form.
pub(crate) fn encode_command(body: &[u8], out: &mut BytesMut) {
    encode_frame(COMMAND, body, out);
}

fn encode_frame(flags: u8, body: &[u8], out: &mut BytesMut) {
    match u8::try_from(body.len()) {
        Ok(length) => out.extend_from_slice(&[flags, length]),
        Err(_) => {
            out.extend_from_slice(&[flags | LONG]);
            out.extend_from_slice(&(body.len() as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(body);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: Limits = Limits {
        message_bytes: 1000,
        frames: 4,
    };

    fn decode(bytes: &[u8], step: usize) -> Result<Vec<Item>, ZmtpError> {
        let mut decoder = Decoder::new(LIMITS);
        decoder.greeted();
        decode_with(decoder, bytes, step)
    }

    fn decode_with(
        mut decoder: Decoder,
        bytes: &[u8],
        step: usize,
    ) -> Result<Vec<Item>, ZmtpError> {
        let (mut buffer, mut items) = (BytesMut::new(), vec![]);
        for piece in bytes.chunks(step.max(1)) {
            buffer.extend_from_slice(piece);
            while let Some(item) = decoder.next(&mut buffer)? {
                items.push(item);
            }
        }
        Ok(items)
    }

    #[test]
    fn a_huge_length_is_refused_from_its_header_alone() {
        for length in [1001_u64, 1 << 46, u64::MAX] {
            let mut bytes = vec![LONG];
            bytes.extend_from_slice(&length.to_be_bytes());
            assert!(matches!(decode(&bytes, 9), Err(ZmtpError::TooLarge { .. })));
        }
    }

    #[test]
    fn the_limit_counts_all_frames_of_a_message() {
        let mut bytes = BytesMut::new();
        encode_message(&[&[0; 600], &[0; 600]], &mut bytes);
        assert!(matches!(decode(&bytes, 7), Err(ZmtpError::TooLarge { .. })));
        let mut bytes = BytesMut::new();
        encode_message(&[&[0; 600]], &mut bytes);
        encode_message(&[&[0; 600]], &mut bytes);
        assert_eq!(decode(&bytes, 7).map(|items| items.len()).unwrap(), 2);
    }

    #[test]
    fn endless_frames_are_refused() {
        let bytes = [MORE, 0].repeat(6);
        assert!(matches!(
            decode(&bytes, 2),
            Err(ZmtpError::TooManyFrames { limit: 4 })
        ));
    }

    #[test]
    fn impossible_flags_are_refused() {
        for flags in [0b1000_u8, 0xff, COMMAND | MORE] {
            assert!(matches!(
                decode(&[flags; 9], 9),
                Err(ZmtpError::Flags { .. })
            ));
        }
    }

    #[test]
    fn a_command_may_be_8_kib_whatever_messages_may_be() {
        let limits = Limits {
            message_bytes: 1 << 30,
            frames: 4,
        };
        let decode = |length: usize| {
            let mut bytes = BytesMut::new();
            encode_command(&vec![0; length], &mut bytes);
            decode_with(Decoder::new(limits), &bytes, 4096).map(|items| items.len())
        };
        assert_eq!(decode(COMMAND_BYTES).unwrap(), 1);
        assert!(matches!(
            decode(COMMAND_BYTES + 1),
            Err(ZmtpError::TooLarge {
                limit: COMMAND_BYTES,
                ..
            })
        ));
    }

    #[test]
    fn no_message_is_taken_before_the_handshake() {
        let error = decode_with(Decoder::new(LIMITS), &[0, 200], 2).unwrap_err();
        assert!(matches!(error, ZmtpError::Command));
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded_however_it_is_cut(
            messages in prop::collection::vec(
                prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..4), 0..6),
            step in 1_usize..400,
        ) {
            let mut bytes = BytesMut::new();
            for message in &messages {
                let frames: Vec<&[u8]> = message.iter().map(Vec::as_slice).collect();
                encode_message(&frames, &mut bytes);
            }
            let expected: Vec<Item> = messages
                .into_iter()
                .map(|m| Item::Message(m.into_iter().map(Bytes::from).collect()))
                .collect();
            prop_assert_eq!(decode(&bytes, step).unwrap(), expected);
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), step in 1_usize..50) {
            let _ = decode(&bytes, step);
        }
    }
}
