//! Opening a directory: whose it is, whether all of it is there.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{mpsc, watch};

use super::error::{OpenError, io_error};
use super::head::{self, Head};
use super::marker::{self, Marker, sync_directory};
use super::memory::Memory;
use super::slots::Slots;
use super::writer::Writer;
use super::{Disk, DiskOptions, Shared, Trees};
use crate::log::{Index, LogScan};
use crate::types::NodeId;

/// Requests that may wait for the writer.
const REQUESTS: usize = 1024;

/// Size of sled's segments: four times the largest page, so that no page is moved
/// into a file of its own.
const SEGMENT: usize = 2 << 20;

const DATABASE: &str = "sled";

pub(super) fn open(
    directory: &Path,
    options: DiskOptions,
    node: NodeId,
) -> Result<Disk, OpenError> {
    let opening = Opening {
        directory,
        database: directory.join(DATABASE),
        options: &options,
        node,
    };
    let (marker, acknowledged) = opening.marker()?;
    let trees = match acknowledged {
        Some(_) => opening.existing()?,
        None => opening.fresh(&marker)?,
    };
    let head = opening.head(&trees, acknowledged.unwrap_or(0))?;
    let (index, slots) = opening.log(&trees, &head)?;
    opening.start(trees, marker, head, index, slots)
}

struct Opening<'a> {
    directory: &'a Path,
    database: PathBuf,
    options: &'a DiskOptions,
    node: NodeId,
}

impl Opening<'_> {
    /// Finds or makes the marker, and takes the directory.
    fn marker(&self) -> Result<(Marker, Option<u64>), OpenError> {
        let directory = self.directory;
        fs::create_dir_all(directory).map_err(io_error("create", directory))?;
        let mut found = Vec::new();
        for entry in fs::read_dir(directory).map_err(io_error("list", directory))? {
            let entry = entry.map_err(io_error("list", directory))?;
            found.push(entry.file_name().to_string_lossy().into_owned());
        }
        if !found.iter().any(|name| name == marker::NAME) {
            // A disk's root has `lost+found`; a start that was cut short `marker.new`.
            found.retain(|name| name != "lost+found" && name != "marker.new");
            if let Some(name) = found.first() {
                return Err(OpenError::Foreign {
                    path: directory.to_owned(),
                    found: format!("it has {name} and no {}", marker::NAME),
                });
            }
            drop(Marker::create(directory, self.node)?);
        }
        let mut marker = Marker::open(directory, self.node)?;
        marker.lock(directory, self.options.lock_wait)?;
        let acknowledged = marker.read()?;
        Ok((marker, acknowledged))
    }

    /// Makes the database. What an earlier attempt left was never used.
    fn fresh(&self, marker: &Marker) -> Result<Trees, OpenError> {
        if self.database.exists() {
            fs::remove_dir_all(&self.database).map_err(io_error("remove", &self.database))?;
        }
        let trees = self.trees()?;
        let head = Head::of(self.node).encode();
        let head = head.map_err(|error| self.damaged(error.to_string()))?;
        let written = trees.node.insert(head::KEY, head);
        let flushed = written.and_then(|_| trees.db.flush());
        flushed.map_err(|error| self.refused(&error))?;
        for name in ["conf", "db"] {
            let path = self.database.join(name);
            let synced = fs::File::open(&path).and_then(|file| file.sync_all());
            synced.map_err(io_error("sync", &path))?;
        }
        sync_directory(&self.database)?;
        sync_directory(self.directory)?;
        marker.finish()?;
        Ok(trees)
    }

    fn existing(&self) -> Result<Trees, OpenError> {
        for name in ["conf", "db"] {
            // sled would make it anew.
            let length = fs::metadata(self.database.join(name)).map(|found| found.len());
            if length.unwrap_or(0) == 0 {
                return Err(self.damaged(format!("the file {name} is missing or empty")));
            }
        }
        self.trees()
    }

    fn trees(&self) -> Result<Trees, OpenError> {
        let begin = Instant::now();
        let config = sled::Config::new()
            .path(&self.database)
            .segment_size(SEGMENT)
            .cache_capacity(self.options.cache_bytes)
            .flush_every_ms(None);
        let open = || -> sled::Result<Trees> {
            let db = config.open()?;
            Ok(Trees {
                node: db.open_tree("node")?,
                log: db.open_tree("log")?,
                snapshots: [db.open_tree("snapshot-0")?, db.open_tree("snapshot-1")?],
                db,
            })
        };
        loop {
            match self.guarded(open)? {
                Ok(trees) => return Ok(trees),
                // Threads of a database that was just closed may still hold it.
                Err(sled::Error::Io(error)) if is_lock(&error) => {
                    if begin.elapsed() > self.options.lock_wait {
                        return Err(OpenError::Locked {
                            path: self.directory.to_owned(),
                            waited: self.options.lock_wait,
                        });
                    }
                    std::thread::sleep(marker::LOCK_RETRY);
                }
                Err(error) => return Err(self.refused(&error)),
            }
        }
    }

    /// sled reports some kinds of damage by panicking.
    fn guarded<T>(&self, read: impl FnOnce() -> T) -> Result<T, OpenError> {
        catch_unwind(AssertUnwindSafe(read))
            .map_err(|_| self.damaged("the database cannot be read".to_owned()))
    }

    fn head(&self, trees: &Trees, acknowledged: u64) -> Result<Head, OpenError> {
        let read = self.guarded(|| trees.node.get(head::KEY))?;
        let bytes = read.map_err(|error| self.refused(&error))?;
        let bytes = bytes.ok_or_else(|| self.damaged("the head is missing".to_owned()))?;
        let head = Head::decode(&bytes)
            .ok_or_else(|| self.damaged("the check of the head is wrong".to_owned()))?;
        if head.node != self.node {
            return Err(OpenError::Node {
                path: self.database.clone(),
                seen: head.node,
                expected: self.node,
            });
        }
        if head.write < acknowledged {
            return Err(OpenError::Behind {
                path: self.database.clone(),
                seen: head.write,
                acknowledged,
                node: self.node,
            });
        }
        self.check_purged(&head)?;
        Ok(head)
    }

    /// What is no longer in the log must be in the snapshot.
    fn check_purged(&self, head: &Head) -> Result<(), OpenError> {
        let snapshot = head
            .snapshot
            .as_ref()
            .and_then(|stored| stored.meta.last_log_id);
        if head.purged <= snapshot {
            return Ok(());
        }
        Err(self.damaged(format!(
            "the log begins after {:?}, the snapshot ends at {snapshot:?}",
            head.purged
        )))
    }

    fn log(&self, trees: &Trees, head: &Head) -> Result<(Index, Slots), OpenError> {
        let scan = self.guarded(|| LogScan::read(&trees.log, head))?;
        let scan = scan.map_err(|what| self.damaged(what))?;
        for slot in &scan.unacknowledged {
            let removed = trees.log.remove(slot.to_be_bytes());
            removed.map_err(|error| self.refused(&error))?;
        }
        if !scan.unacknowledged.is_empty() {
            tracing::info!(
                pieces = scan.unacknowledged.len(),
                "cut off what was being written when the process ended"
            );
        }
        let present = scan.present.iter().copied();
        Ok((scan.index, Slots::new(present, &scan.used)))
    }

    fn start(
        self,
        trees: Trees,
        marker: Marker,
        head: Head,
        index: Index,
        slots: Slots,
    ) -> Result<Disk, OpenError> {
        let path = self.database.join("db");
        let file = fs::OpenOptions::new().write(true).open(&path);
        let file = file.map_err(io_error("open", &path))?;
        let identity = head.identity;
        let memory = Arc::new(Memory::new(&head, index));
        let (failed, watching) = watch::channel(None);
        let (requests, receiver) = mpsc::channel(REQUESTS);
        let writer = Writer {
            trees: trees.clone(),
            file,
            marker,
            head,
            slots,
            memory: Arc::clone(&memory),
            tail_bytes: self.options.tail_bytes,
            failed,
        };
        std::thread::Builder::new()
            .name("raft-disk".to_owned())
            .spawn(move || writer.run(receiver))
            .map_err(io_error("start a thread for", self.directory))?;
        Ok(Disk {
            shared: Arc::new(Shared {
                directory: self.directory.to_owned(),
                node: self.node,
                identity,
                options: self.options.clone(),
                trees,
                memory,
                requests,
                failed: watching,
                saving: Arc::default(),
            }),
        })
    }

    /// What sled's word means.
    fn refused(&self, error: &sled::Error) -> OpenError {
        if is_full(error) {
            let path = self.directory.to_owned();
            return OpenError::Full { path };
        }
        self.damaged(error.to_string())
    }

    fn damaged(&self, what: String) -> OpenError {
        OpenError::Damaged {
            path: self.database.clone(),
            what,
            node: self.node,
        }
    }
}

/// sled wraps some of the system's errors, and keeps their text.
fn is_full(error: &sled::Error) -> bool {
    match error {
        sled::Error::Io(error) => {
            error.kind() == io::ErrorKind::StorageFull
                || error.to_string().contains("No space left")
        }
        _ => false,
    }
}

fn is_lock(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock || error.to_string().contains("lock")
}

/// Bytes that the files of a directory take.
pub(super) fn bytes_of(directory: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => bytes += bytes_of(&entry.path())?,
            Ok(metadata) => bytes += metadata.blocks() * 512,
            // It was removed meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(bytes)
}
