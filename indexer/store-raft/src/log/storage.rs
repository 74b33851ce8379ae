//! openraft's traits.

use std::fmt::Debug;
use std::ops::{Bound, RangeBounds};

use openraft::storage::{LogFlushed, LogState, RaftLogStorage};
use openraft::{
    AnyError, Entry, LogId, OptionalSend, RaftLogReader, StorageError, StorageIOError, Vote,
};

use super::{LogReader, LogStore, Tail, next_index};
use crate::disk::{DiskError, Request};
use crate::types::{NodeId, TypeConfig};

/// Bytes of entries that one read for replication gives at most.
const READ_BYTES: usize = 1 << 20;

type Result<T> = std::result::Result<T, StorageError<NodeId>>;

impl RaftLogReader<TypeConfig> for LogReader {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry<TypeConfig>>> {
        let (from, to) = ends(&range);
        self.entries(from, to, usize::MAX).await.map_err(reading)
    }

    async fn limited_get_log_entries(
        &mut self,
        start: u64,
        end: u64,
    ) -> Result<Vec<Entry<TypeConfig>>> {
        self.entries(start, end, READ_BYTES).await.map_err(reading)
    }
}

impl RaftLogReader<TypeConfig> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry<TypeConfig>>> {
        self.reader().try_get_log_entries(range).await
    }

    async fn limited_get_log_entries(
        &mut self,
        start: u64,
        end: u64,
    ) -> Result<Vec<Entry<TypeConfig>>> {
        self.reader().limited_get_log_entries(start, end).await
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = LogReader;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>> {
        let memory = self.disk.shared.memory.lock();
        Ok(LogState {
            last_purged_log_id: memory.purged,
            last_log_id: memory.last,
        })
    }

    async fn get_log_reader(&mut self) -> LogReader {
        self.reader()
    }

    async fn save_vote(&mut self, vote: &Vote<NodeId>) -> Result<()> {
        let vote = *vote;
        let saved = self.disk.request(|done| Request::Vote(vote, done)).await;
        saved.map_err(|error| StorageIOError::write_vote(AnyError::new(&error)))?;
        self.disk.shared.memory.lock().vote = Some(vote);
        Ok(())
    }

    async fn read_vote(&mut self) -> Result<Option<Vote<NodeId>>> {
        Ok(self.disk.shared.memory.lock().vote)
    }

    /// Kept in memory and written with the next group: it only spares time at the
    /// next start.
    async fn save_committed(&mut self, committed: Option<LogId<NodeId>>) -> Result<()> {
        self.disk.shared.memory.lock().committed = committed;
        Ok(())
    }

    async fn read_committed(&mut self) -> Result<Option<LogId<NodeId>>> {
        Ok(self.disk.shared.memory.lock().committed)
    }

    async fn append<I>(&mut self, entries: I, callback: LogFlushed<TypeConfig>) -> Result<()>
    where
        I: IntoIterator<Item = Entry<TypeConfig>> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let purged = self.disk.shared.memory.lock().purged;
        // What a snapshot has is committed, and needs no place in the log.
        let wanted = |entry: &Entry<TypeConfig>| entry.log_id.index >= next_index(purged.as_ref());
        let entries: Vec<_> = entries.into_iter().filter(wanted).collect();
        self.remember(&entries).map_err(writing)?;
        let sent = self.disk.send(Request::Append(entries, callback)).await;
        sent.map_err(writing)
    }

    async fn truncate(&mut self, log_id: LogId<NodeId>) -> Result<()> {
        let from = log_id.index;
        let last = self.id_before(from).await.map_err(writing)?;
        {
            let mut memory = self.disk.shared.memory.lock();
            memory.tail.truncate(from);
            memory.last = last;
        }
        let request = |done| Request::Truncate { from, last, done };
        self.disk.request(request).await.map_err(writing)
    }

    async fn purge(&mut self, log_id: LogId<NodeId>) -> Result<()> {
        {
            let mut memory = self.disk.shared.memory.lock();
            if memory.purged.is_some_and(|purged| purged >= log_id) {
                return Ok(());
            }
            let end = next_index(Some(&log_id));
            memory.purged = Some(log_id);
            if memory.last <= Some(log_id) {
                // Even entries with higher indices: their term is earlier.
                memory.tail = Tail::default();
                memory.first = end;
                memory.last = Some(log_id);
            } else {
                memory.tail.purge(end);
                memory.first = memory.first.max(end);
            }
        }
        let request = |done| Request::Purge(log_id, done);
        self.disk.request(request).await.map_err(writing)
    }
}

impl LogStore {
    /// Makes entries readable. They must follow the last one.
    fn remember(&self, entries: &[Entry<TypeConfig>]) -> std::result::Result<(), DiskError> {
        let mut memory = self.disk.shared.memory.lock();
        for entry in entries {
            // Only the very first entry may have any index.
            let expected = next_index(memory.last.as_ref());
            if memory.last.is_some() && entry.log_id.index != expected {
                return Err(DiskError::Damaged {
                    what: format!("entry {} after {:?}", entry.log_id, memory.last),
                });
            }
            if memory.last.is_none() {
                memory.first = entry.log_id.index;
            }
            memory.last = Some(entry.log_id);
            memory.tail.push(entry.clone());
        }
        Ok(())
    }

    /// The id of the entry before `index`.
    async fn id_before(&self, index: u64) -> std::result::Result<Option<LogId<NodeId>>, DiskError> {
        let Some(before) = index.checked_sub(1) else {
            return Ok(None);
        };
        {
            let memory = self.disk.shared.memory.lock();
            if memory.first >= index {
                return Ok(memory.purged);
            }
        }
        let found = self.reader().entries(before, index, usize::MAX).await?;
        found
            .first()
            .map(|entry| Some(entry.log_id))
            .ok_or_else(|| DiskError::Damaged {
                what: format!("there is no log entry {before}"),
            })
    }
}

fn ends(range: &impl RangeBounds<u64>) -> (u64, u64) {
    let from = match range.start_bound() {
        Bound::Included(from) => *from,
        Bound::Excluded(before) => before.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let to = match range.end_bound() {
        Bound::Included(last) => last.saturating_add(1),
        Bound::Excluded(to) => *to,
        Bound::Unbounded => u64::MAX,
    };
    (from, to)
}

fn reading(error: DiskError) -> StorageError<NodeId> {
    StorageIOError::read_logs(AnyError::new(&error)).into()
}

fn writing(error: DiskError) -> StorageError<NodeId> {
    StorageIOError::write_logs(AnyError::new(&error)).into()
}
