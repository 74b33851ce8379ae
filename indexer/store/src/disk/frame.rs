//! Frames: how bytes lie in a file so that damage shows.
//!
//! ```text
//!  file   = magic (8) | format LE (4) | revision LE (8) | check of these LE (8) | frame*
//!  frame  = length LE (4) | check of length LE (4) | check of payload LE (8) | payload
//! ```
//!
//! The length has a check of its own: a damaged length must not look like a file
//! that merely ends early.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use proto_model::Revision;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::{OpenError, io_error};

/// The format that is written. Format 1 is the same without routes, so it is read
/// too.
pub(super) const FORMAT: u32 = 2;

/// The oldest format that is read.
const FORMAT_MIN: u32 = 1;

/// Bytes before the first frame.
pub(super) const FILE_HEADER: usize = 28;

/// Of which these are checked by the rest.
const FILE_HEADER_CHECKED: usize = 20;

const FRAME_HEADER: usize = 16;

/// Longest payload, 1 GiB: far more than a group of batches may have.
const PAYLOAD_MAX: usize = 1 << 30;

const HEADER_SEED: u64 = 0x6b76_6865_6164;
const LENGTH_SEED: u64 = 0x6b76_6c65_6e00;
const PAYLOAD_SEED: u64 = 0x6b76_7061_7900;

/// The first bytes of a file that goes on from `revision`.
pub(super) fn file_header(magic: &[u8; 8], revision: Revision) -> Vec<u8> {
    let mut bytes = magic.to_vec();
    bytes.extend_from_slice(&FORMAT.to_le_bytes());
    bytes.extend_from_slice(&revision.0.to_le_bytes());
    bytes.extend_from_slice(&xxh3_64_with_seed(&bytes, HEADER_SEED).to_le_bytes());
    bytes
}

/// Adds one frame to `out`.
///
/// # Errors
/// If the payload is longer than a frame may be.
pub(super) fn write_frame(out: &mut Vec<u8>, payload: &[u8]) -> io::Result<()> {
    let too_long = || io::Error::other(format!("frame of {} bytes is too long", payload.len()));
    let length = u32::try_from(payload.len()).map_err(|_| too_long())?;
    if payload.len() > PAYLOAD_MAX {
        return Err(too_long());
    }
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&length_check(length));
    out.extend_from_slice(&xxh3_64_with_seed(payload, PAYLOAD_SEED).to_le_bytes());
    out.extend_from_slice(payload);
    Ok(())
}

fn length_check(length: u32) -> [u8; 4] {
    let [a, b, c, d, ..] = xxh3_64_with_seed(&length.to_le_bytes(), LENGTH_SEED).to_le_bytes();
    [a, b, c, d]
}

/// Reads the frames of one file in order.
pub(super) struct FrameReader {
    path: PathBuf,
    file: BufReader<File>,
    format: u32,
    revision: Revision,
    offset: u64,
    length: u64,
}

/// What comes next in a file.
pub(super) enum Frame {
    /// A whole payload.
    Payload(Vec<u8>),
    /// The file ends between frames.
    End,
    /// The file ends within a frame, or in zeros: what a crash while the last
    /// frame was being written leaves behind.
    Torn,
}

impl FrameReader {
    /// Opens the file and checks its header, which must agree with the revision
    /// in its name.
    pub(super) fn open(path: &Path, magic: &[u8; 8], named: Revision) -> Result<Self, OpenError> {
        let file = File::open(path).map_err(io_error("open", path))?;
        let length = file
            .metadata()
            .map_err(io_error("read the size of", path))?
            .len();
        let mut reader = Self {
            path: path.to_owned(),
            file: BufReader::with_capacity(1 << 20, file),
            format: FORMAT,
            revision: Revision(0),
            offset: 0,
            length,
        };
        if length < FILE_HEADER as u64 {
            return Err(reader.damaged("the header is incomplete".to_owned()));
        }
        let header = reader.take(FILE_HEADER)?;
        let (seen_magic, rest) = header.split_at(8);
        if seen_magic != magic {
            reader.offset = 0;
            return Err(reader.damaged(format!(
                "it begins with {seen_magic:02x?}, not {magic:02x?}"
            )));
        }
        let (format, revision) = rest.split_at(4);
        let seen = le_u32(format);
        if !(FORMAT_MIN..=FORMAT).contains(&seen) {
            return Err(OpenError::Format {
                path: path.to_owned(),
                seen,
                known: FORMAT,
            });
        }
        reader.format = seen;
        reader.revision = Revision(le_u64(revision));
        let (checked, check) = header.split_at(FILE_HEADER_CHECKED);
        let sound = xxh3_64_with_seed(checked, HEADER_SEED) == le_u64(check);
        if !sound || reader.revision != named {
            reader.offset = 0;
            let seen = reader.revision.0;
            let what = format!("the header (revision {seen}) is damaged or the file was renamed");
            return Err(reader.damaged(what));
        }
        Ok(reader)
    }

    /// The format in the file's header.
    pub(super) fn format(&self) -> u32 {
        self.format
    }

    /// The revision in the file's header.
    pub(super) fn revision(&self) -> Revision {
        self.revision
    }

    /// Where the next frame begins.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// The next frame. After [`Frame::Torn`] the offset is that of the torn one.
    pub(super) fn next(&mut self) -> Result<Frame, OpenError> {
        let begin = self.offset;
        let left = self.length - begin;
        if left == 0 {
            return Ok(Frame::End);
        }
        if left < FRAME_HEADER as u64 {
            return Ok(Frame::Torn);
        }
        let header = self.take(FRAME_HEADER)?;
        let (length_bytes, rest) = header.split_at(4);
        let (check, payload_check) = rest.split_at(4);
        let length = le_u32(length_bytes);
        if check != length_check(length) {
            if header.iter().all(|byte| *byte == 0) && self.rest_is_zero()? {
                self.offset = begin;
                return Ok(Frame::Torn);
            }
            self.offset = begin;
            return Err(self.damaged("the check of a frame's length is wrong".to_owned()));
        }
        if u64::from(length) > left - FRAME_HEADER as u64 {
            self.offset = begin;
            return Ok(Frame::Torn);
        }
        let payload = self.take(length as usize)?;
        if xxh3_64_with_seed(&payload, PAYLOAD_SEED) != le_u64(payload_check) {
            self.offset = begin;
            return Err(self.damaged(format!("the check of a frame of {length} bytes is wrong")));
        }
        Ok(Frame::Payload(payload))
    }

    /// The error that something at this place cannot be.
    pub(super) fn damaged(&self, what: String) -> OpenError {
        OpenError::Damaged {
            path: self.path.clone(),
            offset: self.offset,
            what,
        }
    }

    fn take(&mut self, length: usize) -> Result<Vec<u8>, OpenError> {
        let mut bytes = vec![0; length];
        self.file
            .read_exact(&mut bytes)
            .map_err(io_error("read", &self.path))?;
        self.offset += length as u64;
        Ok(bytes)
    }

    fn rest_is_zero(&mut self) -> Result<bool, OpenError> {
        let mut bytes = [0; 4096];
        loop {
            match self
                .file
                .read(&mut bytes)
                .map_err(io_error("read", &self.path))?
            {
                0 => return Ok(true),
                count if bytes[..count].iter().any(|byte| *byte != 0) => return Ok(false),
                _ => {}
            }
        }
    }
}

/// Reads up to four bytes, lowest first.
fn le_u32(bytes: &[u8]) -> u32 {
    bytes
        .iter()
        .take(4)
        .rev()
        .fold(0, |value, byte| value << 8 | u32::from(*byte))
}

/// Reads up to eight bytes, lowest first.
fn le_u64(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .take(8)
        .rev()
        .fold(0, |value, byte| value << 8 | u64::from(*byte))
}
