//! The journal: groups of batches, each group one frame and one fsync.
//!
//! ```text
//!  payload = first revision LE (8) | (length LE (4) | batch)*      batch: postcard
//! ```

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use proto_model::{Batch, Revision};

use super::files::{self, Kind};
use super::frame::{FILE_HEADER, FORMAT, Frame, FrameReader, file_header, write_frame};
use super::{OpenError, io_error};

pub(super) const MAGIC: &[u8; 8] = b"KVAJRNL\n";

/// The journal that is being written.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    length: u64,
    frame: Vec<u8>,
}

impl Journal {
    /// Begins a journal for what comes after `revision`, durably.
    pub(super) fn create(directory: &Path, revision: Revision) -> io::Result<Self> {
        let path = files::path(directory, Kind::Journal, revision);
        let mut file = OpenOptions::new()
            .create_new(true)
            .append(true)
            .open(path)?;
        let header = file_header(MAGIC, revision);
        file.write_all(&header)?;
        file.sync_data()?;
        files::sync_directory(directory)?;
        Ok(Self {
            file,
            length: header.len() as u64,
            frame: Vec::new(),
        })
    }

    /// Goes on with a journal of `length` good bytes; what is behind them is the
    /// rest of a torn frame, and is cut off.
    pub(super) fn resume(path: &Path, length: u64) -> Result<Self, OpenError> {
        let file = OpenOptions::new()
            .append(true)
            .open(path)
            .map_err(io_error("open", path))?;
        let there = file
            .metadata()
            .map_err(io_error("read the size of", path))?
            .len();
        if there > length {
            file.set_len(length)
                .map_err(io_error("cut the torn end off", path))?;
            file.sync_all().map_err(io_error("flush", path))?;
        }
        Ok(Self {
            file,
            length,
            frame: Vec::new(),
        })
    }

    /// Bytes so far.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Writes one group of encoded batches, durably.
    pub(super) fn append<'a>(
        &mut self,
        first: Revision,
        batches: impl Iterator<Item = &'a [u8]>,
    ) -> io::Result<()> {
        let mut payload = first.0.to_le_bytes().to_vec();
        for batch in batches {
            let length = u32::try_from(batch.len()).map_err(io::Error::other)?;
            payload.extend_from_slice(&length.to_le_bytes());
            payload.extend_from_slice(batch);
        }
        self.frame.clear();
        write_frame(&mut self.frame, &payload)?;
        self.file.write_all(&self.frame)?;
        self.file.sync_data()?;
        self.length += self.frame.len() as u64;
        Ok(())
    }
}

/// How far a journal could be read.
pub(super) struct Read {
    /// The format of its header.
    pub(super) format: u32,
    /// Bytes up to the end of the last whole frame.
    pub(super) length: u64,
    /// Whether something unfinished follows them.
    pub(super) torn: bool,
}

/// Gives every batch of the journal to `apply`, which says what revision it got.
pub(super) fn read(
    path: &Path,
    base: Revision,
    expected: Revision,
    mut apply: impl FnMut(&Batch) -> Revision,
) -> Result<Read, OpenError> {
    if is_unfinished_header(path)? {
        return Ok(Read {
            format: FORMAT,
            length: 0,
            torn: true,
        });
    }
    let mut frames = FrameReader::open(path, MAGIC, base)?;
    let format = frames.format();
    let read = |length, torn| Read {
        format,
        length,
        torn,
    };
    let mut at = frames.revision();
    if at != expected {
        let (path, expected, found) = (path.to_owned(), expected.0, at.0);
        return Err(OpenError::Hole {
            path,
            expected,
            found,
        });
    }
    loop {
        let begin = frames.offset();
        match frames.next()? {
            Frame::Payload(payload) => {
                at = read_group(&payload, at, &mut apply).map_err(|what| OpenError::Damaged {
                    path: path.to_owned(),
                    offset: begin,
                    what,
                })?;
            }
            Frame::End => return Ok(read(begin, false)),
            Frame::Torn => return Ok(read(begin, true)),
        }
    }
}

/// A crash may come between a journal's creation and its header.
fn is_unfinished_header(path: &Path) -> Result<bool, OpenError> {
    let length = std::fs::metadata(path)
        .map_err(io_error("read the size of", path))?
        .len();
    Ok(length < FILE_HEADER as u64)
}

fn read_group(
    payload: &[u8],
    mut at: Revision,
    apply: &mut impl FnMut(&Batch) -> Revision,
) -> Result<Revision, String> {
    let (first, mut rest) = payload
        .split_first_chunk::<8>()
        .ok_or_else(|| "a group has no revision".to_owned())?;
    let first = u64::from_le_bytes(*first);
    if first != at.0 + 1 {
        return Err(format!(
            "a group begins with revision {first} after revision {}",
            at.0
        ));
    }
    while let Some((length, behind)) = rest.split_first_chunk::<4>() {
        let length = u32::from_le_bytes(*length) as usize;
        let (bytes, behind) = behind
            .split_at_checked(length)
            .ok_or_else(|| "a batch is longer than its group".to_owned())?;
        let batch: Batch = postcard::from_bytes(bytes)
            .map_err(|error| format!("a batch cannot be read: {error}"))?;
        at = apply(&batch);
        rest = behind;
    }
    if rest.is_empty() {
        Ok(at)
    } else {
        Err("a group ends within a length".to_owned())
    }
}
