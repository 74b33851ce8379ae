//! What nodes say to each other, to and from bytes.
//!
//! Batches travel as they lie in the log; everything else is postcard of
//! openraft's types, which is why the version is part of every message.

use bytes::Bytes;
use openraft::raft::AppendEntriesRequest;
use openraft::{Entry, EntryPayload, LogId, Membership, SnapshotMeta, Vote};
use proto_api::v1;
use proto_model::Revision;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tonic::Status;

use crate::types::{ClusterId, NodeId, Proposal, RaftNode, TypeConfig};

/// Of everything that is postcard here. Nodes of different versions refuse each
/// other.
pub(crate) const VERSION: u32 = 3;

/// The largest message taken: a largest batch, and room for the rest.
pub(crate) const MESSAGE_BYTES_MAX: usize = BATCH_BYTES_MAX + (8 << 20);

/// The largest batch that may be allowed.
pub(crate) const BATCH_BYTES_MAX: usize = 32 << 20;

/// Bytes of entries in one message, unless one entry alone is larger.
pub(crate) const APPEND_BYTES: usize = 4 << 20;

/// An append request without its batches.
#[derive(Debug, Serialize, Deserialize)]
struct AppendHead {
    vote: Vote<NodeId>,
    prev_log_id: Option<LogId<NodeId>>,
    leader_commit: Option<LogId<NodeId>>,
    entries: Vec<EntryHead>,
}

#[derive(Debug, Serialize, Deserialize)]
struct EntryHead {
    log_id: LogId<NodeId>,
    kind: EntryKind,
}

#[derive(Debug, Serialize, Deserialize)]
enum EntryKind {
    Blank,
    Membership(Membership<NodeId, RaftNode>),
    Begin {
        cluster: ClusterId,
        revision: Revision,
    },
    /// As many of the message's batches as this.
    Batches(u32),
}

/// Which snapshot it is whose pieces follow.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SnapshotHead {
    pub(crate) vote: Vote<NodeId>,
    pub(crate) meta: SnapshotMeta<NodeId, RaftNode>,
    pub(crate) cluster: Option<ClusterId>,
    pub(crate) revision: Revision,
}

/// An append request as a message, with as many entries as fit into `bytes` and
/// at least one. Also the last entry that did, if not all did.
pub(crate) fn append_request(
    header: v1::RaftHeader,
    request: AppendEntriesRequest<TypeConfig>,
    bytes: usize,
    quorum_age_ms: Option<u64>,
) -> (v1::RaftAppendRequest, Option<LogId<NodeId>>) {
    let mut entries = Vec::with_capacity(request.entries.len());
    let mut batches = Vec::new();
    let (mut size, mut cut) = (0, None);
    for entry in request.entries {
        let entry_bytes = entry_bytes(&entry);
        if size > 0 && size + entry_bytes > bytes {
            cut = entries.last().map(|entry: &EntryHead| entry.log_id);
            break;
        }
        size += entry_bytes;
        let kind = match entry.payload {
            EntryPayload::Blank => EntryKind::Blank,
            EntryPayload::Membership(membership) => EntryKind::Membership(membership),
            EntryPayload::Normal(Proposal::Begin { cluster, revision }) => {
                EntryKind::Begin { cluster, revision }
            }
            EntryPayload::Normal(Proposal::Batches(mut of_entry)) => {
                let count = u32::try_from(of_entry.len()).unwrap_or(u32::MAX);
                batches.append(&mut of_entry);
                EntryKind::Batches(count)
            }
        };
        entries.push(EntryHead {
            log_id: entry.log_id,
            kind,
        });
    }
    let head = AppendHead {
        vote: request.vote,
        prev_log_id: request.prev_log_id,
        leader_commit: request.leader_commit,
        entries,
    };
    let message = v1::RaftAppendRequest {
        header: Some(header),
        payload: encode(&head),
        batches,
        quorum_age_ms,
        acknowledged: None,
    };
    (message, cut)
}

/// The request in a message.
pub(crate) fn append_entries(
    payload: &[u8],
    batches: Vec<Bytes>,
) -> Result<AppendEntriesRequest<TypeConfig>, Status> {
    let head: AppendHead = decode(payload)?;
    let mut batches = batches.into_iter();
    let mut entries = Vec::with_capacity(head.entries.len());
    for entry in head.entries {
        let payload = match entry.kind {
            EntryKind::Blank => EntryPayload::Blank,
            EntryKind::Membership(membership) => EntryPayload::Membership(membership),
            EntryKind::Begin { cluster, revision } => {
                EntryPayload::Normal(Proposal::Begin { cluster, revision })
            }
            EntryKind::Batches(count) => {
                let of_entry: Vec<Bytes> = batches.by_ref().take(count as usize).collect();
                if of_entry.len() != count as usize {
                    return Err(Status::invalid_argument("fewer batches than announced"));
                }
                EntryPayload::Normal(Proposal::Batches(of_entry))
            }
        };
        entries.push(Entry {
            log_id: entry.log_id,
            payload,
        });
    }
    if batches.next().is_some() {
        return Err(Status::invalid_argument("more batches than announced"));
    }
    Ok(AppendEntriesRequest {
        vote: head.vote,
        prev_log_id: head.prev_log_id,
        leader_commit: head.leader_commit,
        entries,
    })
}

/// What an entry weighs in a log or a message, about.
pub(crate) fn entry_bytes(entry: &Entry<TypeConfig>) -> usize {
    const OVERHEAD: usize = 64;
    match &entry.payload {
        EntryPayload::Normal(Proposal::Batches(batches)) => {
            OVERHEAD + batches.iter().map(|batch| batch.len() + 8).sum::<usize>()
        }
        _ => OVERHEAD,
    }
}

pub(crate) fn encode<T: Serialize>(value: &T) -> Bytes {
    // Types of our own and openraft's, all of known length: postcard cannot fail.
    let bytes = postcard::to_allocvec(value).expect("plain data encodes");
    Bytes::from(bytes)
}

pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Status> {
    postcard::from_bytes(bytes)
        .map_err(|error| Status::invalid_argument(format!("payload cannot be read: {error}")))
}

#[cfg(test)]
mod tests {
    use openraft::CommittedLeaderId;

    use super::*;

    fn log_id(index: u64) -> LogId<NodeId> {
        LogId::new(CommittedLeaderId::new(3, 1), index)
    }

    fn entry(index: u64, payload: EntryPayload<TypeConfig>) -> Entry<TypeConfig> {
        Entry {
            log_id: log_id(index),
            payload,
        }
    }

    fn batches(sizes: &[usize]) -> EntryPayload<TypeConfig> {
        let batches = sizes.iter().map(|size| Bytes::from(vec![7; *size]));
        EntryPayload::Normal(Proposal::Batches(batches.collect()))
    }

    fn request() -> AppendEntriesRequest<TypeConfig> {
        let begin = Proposal::Begin {
            cluster: ClusterId(9),
            revision: Revision(1024),
        };
        AppendEntriesRequest {
            vote: Vote::new_committed(3, 1),
            prev_log_id: Some(log_id(4)),
            leader_commit: Some(log_id(2)),
            entries: vec![
                entry(5, EntryPayload::Blank),
                entry(6, EntryPayload::Normal(begin)),
                entry(7, batches(&[10, 0, 300])),
                entry(8, batches(&[])),
                entry(9, batches(&[5_000])),
            ],
        }
    }

    fn there_and_back(bytes: usize) -> (Vec<Entry<TypeConfig>>, Option<LogId<NodeId>>) {
        let header = v1::RaftHeader::default();
        let (message, cut) = append_request(header, request(), bytes, Some(1));
        let read = append_entries(&message.payload, message.batches).expect("read");
        assert_eq!(read.vote, request().vote);
        assert_eq!(read.prev_log_id, request().prev_log_id);
        assert_eq!(read.leader_commit, request().leader_commit);
        (read.entries, cut)
    }

    #[test]
    fn a_request_comes_back_as_it_was() {
        let (entries, cut) = there_and_back(1 << 20);
        assert_eq!(cut, None);
        assert_eq!(entries, request().entries);
    }

    #[test]
    fn what_does_not_fit_is_left_for_the_next_message() {
        let (entries, cut) = there_and_back(1_000);
        assert_eq!(cut, Some(log_id(8)));
        assert_eq!(entries, request().entries[..4]);
    }

    #[test]
    fn one_entry_goes_whatever_its_size() {
        let (entries, cut) = there_and_back(1);
        assert_eq!(cut, Some(log_id(5)));
        assert_eq!(entries.len(), 1);
    }

    #[test]
    fn wrong_numbers_of_batches_are_refused() {
        let header = v1::RaftHeader::default();
        let (message, _) = append_request(header, request(), 1 << 20, None);
        let fewer = message.batches[1..].to_vec();
        assert!(append_entries(&message.payload, fewer).is_err());
        let mut more = message.batches.clone();
        more.push(Bytes::new());
        assert!(append_entries(&message.payload, more).is_err());
        assert!(append_entries(&message.payload[1..], message.batches).is_err());
    }
}
