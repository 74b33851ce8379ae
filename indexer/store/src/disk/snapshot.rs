//! Snapshot files: an image, one piece per frame.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use indexer_state::{ImagePiece, Restorer, State, StateLimits};
use proto_model::Revision;

use super::files::{self, Kind};
use super::frame::{Frame, FrameReader, file_header, write_frame};
use super::{OpenError, io_error};

const MAGIC: &[u8; 8] = b"KVASNAP\n";

/// Bytes collected before they are written.
const BUFFER: usize = 1 << 20;

/// Writes the state at `revision` under another name, and renames it when it is
/// complete and durable.
pub(super) fn write(directory: &Path, state: &State, revision: Revision) -> io::Result<()> {
    let path = files::path(directory, Kind::Snapshot, revision);
    let unfinished = path.with_extension("tmp");
    let mut file = File::create(&unfinished)?;
    let mut buffer = file_header(MAGIC, revision);
    for piece in state.image() {
        let payload = postcard::to_stdvec(&piece).map_err(io::Error::other)?;
        write_frame(&mut buffer, &payload)?;
        if buffer.len() >= BUFFER {
            file.write_all(&buffer)?;
            buffer.clear();
        }
    }
    file.write_all(&buffer)?;
    file.sync_all()?;
    fs::rename(&unfinished, &path)?;
    files::sync_directory(directory)
}

/// Reads a snapshot. It was complete when it got its name, so nothing may be
/// missing from it.
pub(super) fn read(
    path: &Path,
    revision: Revision,
    limits: StateLimits,
) -> Result<State, OpenError> {
    let mut frames = FrameReader::open(path, MAGIC, revision)?;
    let mut restorer = Restorer::new(limits);
    loop {
        let begin = frames.offset();
        let damaged = |what: String| OpenError::Damaged {
            path: path.to_owned(),
            offset: begin,
            what,
        };
        match frames.next()? {
            Frame::Payload(payload) => {
                let piece: ImagePiece = postcard::from_bytes(&payload)
                    .map_err(|error| damaged(format!("a piece cannot be read: {error}")))?;
                restorer
                    .push(piece)
                    .map_err(|error| damaged(error.to_string()))?;
            }
            Frame::Torn => return Err(damaged("the file is cut off".to_owned())),
            Frame::End => {
                return restorer
                    .finish()
                    .map_err(|error| damaged(error.to_string()));
            }
        }
    }
}

/// Removes what an interrupted snapshot left behind.
pub(super) fn remove_unfinished(directory: &Path) -> Result<(), OpenError> {
    for entry in fs::read_dir(directory).map_err(io_error("list", directory))? {
        let path = entry.map_err(io_error("list", directory))?.path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        if name.starts_with("snapshot-") && name.ends_with(".tmp") {
            fs::remove_file(&path).map_err(io_error("remove", &path))?;
        }
    }
    Ok(())
}
