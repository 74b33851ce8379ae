//! The journal thread: the only writer of the directory and, on a disk, of the
//! state.
//!
//! ```text
//!  append ──▶ queue ──▶ take all that wait ──▶ one write, one fsync
//!                                                 └─▶ apply, tell watchers, answer
//! ```
//!
//! A batch is applied only when it is durable, so no watcher and no snapshot ever
//! shows a revision that a crash could take back.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::Mutex;
use proto_model::{Batch, Revision};
use tokio::sync::{mpsc, oneshot};

use super::compact::Compactor;
use super::journal::Journal;
use super::load::load;
use super::{OpenError, files, io_error};
use crate::history::Shared;
use crate::options::{DiskOptions, EmbeddedOptions};
use crate::seam::{AppendError, Appended};

/// Bytes after which a group takes no further batch.
const GROUP_BYTES: usize = 16 << 20;

/// The way into the journal thread.
#[derive(Debug)]
pub(crate) struct Journaled {
    jobs: mpsc::Sender<Job>,
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
}

/// What the journal thread is asked for.
#[derive(Debug)]
enum Job {
    Append {
        batch: Batch,
        encoded: Vec<u8>,
        answer: oneshot::Sender<Result<Appended, AppendError>>,
    },
    Close,
}

impl Journaled {
    pub(crate) fn open(
        directory: &Path,
        options: EmbeddedOptions,
        disk: DiskOptions,
    ) -> Result<(Arc<Shared>, Self), OpenError> {
        let lock = files::lock(directory)?;
        let loaded = load(directory, &options.history)?;
        let shared = Arc::new(Shared::new(loaded.core, options.history));
        let (jobs, queue) = mpsc::channel(disk.queue.max(1));
        let mut writer = Writer {
            directory: directory.to_owned(),
            shared: Arc::clone(&shared),
            journal: loaded.journal,
            compactor: Compactor::default(),
            journal_bytes: disk.journal_bytes,
        };
        let work = move || {
            writer.run(queue);
            drop(lock);
        };
        let thread = std::thread::Builder::new()
            .name("kva-journal".to_owned())
            .spawn(work)
            .map_err(io_error("start the journal thread of", directory))?;
        Ok((
            shared,
            Self {
                jobs,
                thread: Arc::new(Mutex::new(Some(thread))),
            },
        ))
    }

    pub(crate) async fn append(&self, batch: &Batch) -> Result<Appended, AppendError> {
        let encoded = postcard::to_stdvec(batch).map_err(|error| AppendError::Closed {
            reason: format!("cannot encode: {error}"),
        })?;
        let (answer, answered) = oneshot::channel();
        let job = Job::Append {
            batch: batch.clone(),
            encoded,
            answer,
        };
        let gone = || AppendError::Closed {
            reason: "the journal is closed".to_owned(),
        };
        self.jobs.send(job).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }

    /// Waits until what was asked for before is done and the directory is free.
    pub(crate) async fn close(&self) {
        // An error means that the thread is gone already.
        let _ = self.jobs.send(Job::Close).await;
        let thread = Arc::clone(&self.thread);
        let join = move || thread.lock().take().map(JoinHandle::join);
        if let Ok(Some(Err(_))) = tokio::task::spawn_blocking(join).await {
            tracing::error!("the store's journal thread failed");
        }
    }
}

struct Writer {
    directory: PathBuf,
    shared: Arc<Shared>,
    journal: Journal,
    compactor: Compactor,
    journal_bytes: u64,
}

/// Batches that share one fsync.
#[derive(Default)]
struct Group {
    batches: Vec<Batch>,
    encoded: Vec<Vec<u8>>,
    answers: Vec<oneshot::Sender<Result<Appended, AppendError>>>,
    bytes: usize,
}

impl Writer {
    fn run(&mut self, mut queue: mpsc::Receiver<Job>) {
        let mut closing = false;
        while !closing {
            let mut group = Group::default();
            let mut next = queue.blocking_recv();
            while let Some(job) = next {
                let Job::Append {
                    batch,
                    encoded,
                    answer,
                } = job
                else {
                    closing = true;
                    break;
                };
                group.push(batch, encoded, answer);
                next = if group.bytes < GROUP_BYTES {
                    queue.try_recv().ok()
                } else {
                    None
                };
            }
            if group.batches.is_empty() {
                break;
            }
            if let Err(reason) = self.commit(group) {
                self.shared.close(&reason);
                break;
            }
        }
        self.shared.close("the store was shut down");
        self.compactor.wait();
    }

    /// Writes, applies and answers. After an error nothing more may be written.
    fn commit(&mut self, group: Group) -> Result<(), String> {
        let first = Revision(self.shared.core.lock().ring.head().0 + 1);
        let encoded = group.encoded.iter().map(Vec::as_slice);
        if let Err(error) = self.journal.append(first, encoded) {
            let reason = format!(
                "writing the journal in {} failed: {error}",
                self.directory.display()
            );
            for answer in group.answers {
                // A caller that has gone needs no answer.
                let _ = answer.send(Err(AppendError::Closed {
                    reason: reason.clone(),
                }));
            }
            return Err(reason);
        }
        for (batch, answer) in group.batches.iter().zip(group.answers) {
            let _ = answer.send(self.shared.apply(batch));
        }
        self.compact_if_long()
    }

    /// Goes on in a new journal, and has the old ones replaced by a snapshot.
    fn compact_if_long(&mut self) -> Result<(), String> {
        if self.journal.length() < self.journal_bytes || !self.compactor.is_idle() {
            return Ok(());
        }
        let (state, revision) = {
            let core = self.shared.core.lock();
            (core.state.clone(), core.ring.head())
        };
        self.journal = Journal::create(&self.directory, revision).map_err(|error| {
            format!(
                "beginning a journal in {} failed: {error}",
                self.directory.display()
            )
        })?;
        self.compactor
            .start(&self.directory, &self.shared, state, revision);
        Ok(())
    }
}

impl Group {
    fn push(
        &mut self,
        batch: Batch,
        encoded: Vec<u8>,
        answer: oneshot::Sender<Result<Appended, AppendError>>,
    ) {
        self.bytes += encoded.len();
        self.batches.push(batch);
        self.encoded.push(encoded);
        self.answers.push(answer);
    }
}
