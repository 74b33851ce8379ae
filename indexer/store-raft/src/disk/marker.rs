//! The marker: whose directory this is, and how much of it was acknowledged.
//!
//! sled cuts a damaged end of its log off without a word. The marker has the
//! number of the last group that was acknowledged, so a database that ends before
//! it is noticed. It is written after the group is durable and before it is
//! acknowledged, without waiting for the disk: a crash of the process loses
//! nothing, and after a loss of power the number is at most older than the truth.
//!
//! ```text
//!  0     magic (8) | format LE (4) | node LE (8) | check LE (8)
//!  4096  check LE (8) | write LE (8)      written in turn; the greater counts
//!  8192  check LE (8) | write LE (8)      both zero: the database is being made
//! ```

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::check::{CHECK, check_of, checked};
use super::error::{OpenError, io_error};
use crate::types::NodeId;

/// The format that is written. Format 2 is the same without routes: it is read,
/// and becomes format 3 at once, for what is written from then on may have some.
const FORMAT: u32 = 3;
const FORMAT_WITHOUT_ROUTES: u32 = 2;
const MAGIC: &[u8; 8] = b"KVARAFT\n";
const HEADER: usize = 28;
const HEADER_SEED: u64 = 0x6b76_7261_6d61_726b;
const SLOT_SEED: u64 = 0x6b76_7261_736c_6f74;
const SLOTS: [usize; 2] = [4096, 8192];
const SLOT: usize = 16;
const LENGTH: usize = 12_288;

/// How often a lock is tried.
pub(super) const LOCK_RETRY: Duration = Duration::from_millis(20);

/// The file's name.
pub(super) const NAME: &str = "marker";

/// The open marker; holds the directory's lock.
#[derive(Debug)]
pub(super) struct Marker {
    file: File,
    path: PathBuf,
    node: NodeId,
}

impl Marker {
    /// Makes the marker of a directory whose database is still to be made.
    pub(super) fn create(directory: &Path, node: NodeId) -> Result<Self, OpenError> {
        let path = directory.join(NAME);
        let mut bytes = vec![0; LENGTH];
        bytes[..HEADER].copy_from_slice(&header(FORMAT, node));
        // A name of its own first: a marker is there whole or not at all.
        let unfinished = directory.join("marker.new");
        std::fs::write(&unfinished, &bytes).map_err(io_error("write", &unfinished))?;
        File::open(&unfinished)
            .and_then(|file| file.sync_all())
            .map_err(io_error("write", &unfinished))?;
        std::fs::rename(&unfinished, &path).map_err(io_error("write", &path))?;
        sync_directory(directory)?;
        Self::open(directory, node)
    }

    /// Opens the marker without looking at it.
    pub(super) fn open(directory: &Path, node: NodeId) -> Result<Self, OpenError> {
        let path = directory.join(NAME);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .map_err(io_error("open", &path))?;
        Ok(Self { file, path, node })
    }

    /// Takes the directory for this process.
    pub(super) fn lock(&self, directory: &Path, wait: Duration) -> Result<(), OpenError> {
        let begin = Instant::now();
        loop {
            match self.file.try_lock() {
                Ok(()) => return Ok(()),
                Err(TryLockError::WouldBlock) if begin.elapsed() < wait => {
                    std::thread::sleep(LOCK_RETRY);
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(OpenError::Locked {
                        path: directory.to_owned(),
                        waited: wait,
                    });
                }
                Err(TryLockError::Error(error)) => return Err(io_error("lock", &self.path)(error)),
            }
        }
    }

    /// The last write acknowledged; `None` if the database was never finished.
    pub(super) fn read(&mut self) -> Result<Option<u64>, OpenError> {
        let mut bytes = Vec::with_capacity(LENGTH);
        let read = (&self.file).take(LENGTH as u64 + 1).read_to_end(&mut bytes);
        read.map_err(io_error("read", &self.path))?;
        if !bytes.starts_with(MAGIC) {
            return Err(OpenError::Foreign {
                path: self.path.clone(),
                found: "it does not begin as a marker does".to_owned(),
            });
        }
        let format = bytes.get(8..12).and_then(|bytes| bytes.try_into().ok());
        let format = format.map_or(0, u32::from_le_bytes);
        if ![FORMAT, FORMAT_WITHOUT_ROUTES].contains(&format) {
            return Err(OpenError::Format {
                path: self.path.clone(),
                seen: format,
                known: FORMAT,
            });
        }
        if bytes.len() != LENGTH {
            return Err(self.damaged(format!("it has {} bytes, not {LENGTH}", bytes.len())));
        }
        self.check_owner(&bytes, format)?;
        self.check_gaps(&bytes)?;
        if format != FORMAT {
            self.raise_format()?;
        }
        let slots = SLOTS.map(|at| &bytes[at..at + SLOT]);
        if slots.iter().all(|slot| slot.iter().all(|byte| *byte == 0)) {
            return Ok(None);
        }
        let mut last = 0;
        for slot in slots {
            let write = checked(SLOT_SEED, slot)
                .and_then(|rest| rest.try_into().ok())
                .map(u64::from_le_bytes)
                .ok_or_else(|| self.damaged("the check of a write number is wrong".to_owned()))?;
            last = last.max(write);
        }
        Ok(Some(last))
    }

    fn check_owner(&self, bytes: &[u8], format: u32) -> Result<(), OpenError> {
        let (checked, check) = bytes[..HEADER].split_at(HEADER - CHECK);
        if check != check_of(HEADER_SEED, checked) {
            return Err(self.damaged("the check of its header is wrong".to_owned()));
        }
        if bytes[..HEADER] == header(format, self.node) {
            return Ok(());
        }
        let seen = checked[12..].try_into().map_or(0, u64::from_le_bytes);
        Err(OpenError::Node {
            path: self.path.parent().unwrap_or(&self.path).to_owned(),
            seen,
            expected: self.node,
        })
    }

    fn check_gaps(&self, bytes: &[u8]) -> Result<(), OpenError> {
        let gaps = [
            &bytes[HEADER..SLOTS[0]],
            &bytes[SLOTS[0] + SLOT..SLOTS[1]],
            &bytes[SLOTS[1] + SLOT..],
        ];
        if gaps.iter().all(|gap| gap.iter().all(|byte| *byte == 0)) {
            Ok(())
        } else {
            Err(self.damaged("there is something where nothing is written".to_owned()))
        }
    }

    /// Says that the directory is of this version's format from now on. The header
    /// lies within one sector, which a disk writes whole or not at all.
    fn raise_format(&self) -> Result<(), OpenError> {
        let written = self.file.write_all_at(&header(FORMAT, self.node), 0);
        written
            .and_then(|()| self.file.sync_all())
            .map_err(io_error("write", &self.path))
    }

    /// Says that the database is made.
    pub(super) fn finish(&self) -> Result<(), OpenError> {
        let write = || -> io::Result<()> {
            self.write_slot(0, 0)?;
            self.write_slot(1, 0)?;
            self.file.sync_all()
        };
        write().map_err(io_error("write", &self.path))
    }

    /// Says that `write` is durable. Does not wait for the disk.
    pub(super) fn advance(&self, write: u64) -> io::Result<()> {
        self.write_slot((write % 2) as usize, write)
    }

    fn write_slot(&self, slot: usize, write: u64) -> io::Result<()> {
        let mut bytes = [0; SLOT];
        let number = write.to_le_bytes();
        bytes[..CHECK].copy_from_slice(&check_of(SLOT_SEED, &number));
        bytes[CHECK..].copy_from_slice(&number);
        self.file.write_all_at(&bytes, SLOTS[slot] as u64)
    }

    fn damaged(&self, what: String) -> OpenError {
        OpenError::Damaged {
            path: self.path.clone(),
            what,
            node: self.node,
        }
    }
}

fn header(format: u32, node: NodeId) -> [u8; HEADER] {
    let mut bytes = [0; HEADER];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..12].copy_from_slice(&format.to_le_bytes());
    bytes[12..20].copy_from_slice(&node.to_le_bytes());
    let check = check_of(HEADER_SEED, &bytes[..20]);
    bytes[20..].copy_from_slice(&check);
    bytes
}

/// Makes names in the directory durable.
pub(super) fn sync_directory(directory: &Path) -> Result<(), OpenError> {
    File::open(directory)
        .and_then(|file| file.sync_all())
        .map_err(io_error("sync", directory))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_format(format: u32) -> (tempfile::TempDir, Marker) {
        let directory = tempfile::tempdir().expect("a directory");
        let marker = Marker::create(directory.path(), 7).expect("made");
        marker.finish().expect("finished");
        marker.advance(5).expect("written");
        let header = header(format, 7);
        marker.file.write_all_at(&header, 0).expect("written");
        (directory, marker)
    }

    #[test]
    fn a_marker_without_routes_is_read_and_becomes_one_with() {
        let (directory, mut marker) = with_format(FORMAT_WITHOUT_ROUTES);
        assert_eq!(marker.read().expect("read"), Some(5));
        let mut again = Marker::open(directory.path(), 7).expect("opened");
        assert_eq!(again.read().expect("read"), Some(5));
        let bytes = std::fs::read(directory.path().join(NAME)).expect("read");
        assert_eq!(bytes[..HEADER], header(FORMAT, 7));
    }

    #[test]
    fn markers_of_other_formats_are_refused_and_stay() {
        for seen in [1, FORMAT + 1] {
            let (directory, mut marker) = with_format(seen);
            let error = marker.read().expect_err("another format");
            assert!(
                matches!(error, OpenError::Format { seen: found, .. } if found == seen),
                "{error}"
            );
            let bytes = std::fs::read(directory.path().join(NAME)).expect("read");
            assert_eq!(bytes[..HEADER], header(seen, 7));
        }
    }
}
