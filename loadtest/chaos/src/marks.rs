//! Marker blocks: written by the suite itself, so that it knows which revision
//! acknowledged each of them.
//!
//! Message `n` of a marker publisher stores a chain of two blocks that nothing
//! else has, and removes the chain of message `n - WINDOW`. From the
//! acknowledgements follows what a scorer must answer at a revision:
//!
//! ```text
//!  revision ──────┬────────────────┬──────────┬────────▶
//!       stored is acknowledged   removal    removal is
//!                                is sent    acknowledged
//!   may be there  │   must be there │ may be │  must not be there
//! ```

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use loadtest_engines::{Prompt, local_hashes, rolling_hashes};
use prost::Message;
use proto_api::AppendRequest;
use proto_api::v1::change::Change as ChangeKind;
use proto_api::v1::command::Command as CommandKind;
use proto_api::v1::{
    Change, Command, EngineMessage, Events, Medium, Profile, PublisherName, Removed, Space, Stored,
};

/// The model of the markers.
pub(crate) const MODEL: &str = "chaos-marks";

/// Messages after which a marker is removed.
pub(crate) const WINDOW: u64 = 48;

/// Blocks per marker.
pub(crate) const BLOCKS: u32 = 2;

const BLOCK_SIZE: u32 = 16;

/// An `AppendRequest`, to be encoded as any other client would.
#[derive(Clone, PartialEq, prost::Message)]
struct Batch {
    #[prost(message, repeated, tag = "1")]
    commands: Vec<Command>,
}

/// What is known of one marker.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The revision that acknowledged it.
    pub(crate) stored: Option<u64>,
    /// Whether its removal has been sent.
    pub(crate) removing: bool,
    /// The revision that acknowledged its removal.
    pub(crate) removed: Option<u64>,
    /// Given up: the store has lost it, and may.
    pub(crate) lost: bool,
}

/// What a scorer that stands at a revision may say of a marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    Held,
    Gone,
    Either,
}

impl Mark {
    pub(crate) fn at(&self, revision: u64) -> Expected {
        if self.lost {
            Expected::Either
        } else if self.removed.is_some_and(|removed| revision >= removed) {
            Expected::Gone
        } else if !self.removing && self.stored.is_some_and(|stored| revision >= stored) {
            Expected::Held
        } else {
            Expected::Either
        }
    }

    /// Whether an answer that was given at `revision`, before this was known, is
    /// right.
    pub(crate) fn allows(&self, revision: u64, held: bool) -> bool {
        let wrong = if held { Expected::Gone } else { Expected::Held };
        self.at(revision) != wrong
    }
}

/// All markers of one publisher.
#[derive(Clone)]
pub(crate) struct Marks {
    publisher: u32,
    known: Arc<Mutex<Vec<Mark>>>,
}

impl Marks {
    pub(crate) fn new(publisher: u32) -> Self {
        Self {
            publisher,
            known: Arc::default(),
        }
    }

    /// `ip:port` of the publisher.
    pub(crate) fn address(&self) -> String {
        format!("10.200.0.{}:9000", self.publisher)
    }

    /// Markers written, acknowledged or not.
    pub(crate) fn len(&self) -> u64 {
        self.lock().len() as u64
    }

    pub(crate) fn get(&self, number: u64) -> Option<Mark> {
        self.lock().get(index(number)).copied()
    }

    /// Numbers of the markers that must be there once nothing is under way.
    pub(crate) fn held(&self) -> Vec<u64> {
        let known = self.lock();
        let held = (0..).zip(known.iter());
        held.filter(|(_, mark)| mark.stored.is_some() && !mark.removing && !mark.lost)
            .map(|(number, _)| number)
            .collect()
    }

    /// The rolling hashes of a marker.
    pub(crate) fn rolling(&self, number: u64) -> Vec<u64> {
        rolling_hashes(&self.prompt(number))
    }

    fn prompt(&self, number: u64) -> Prompt {
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        Prompt::unique(3_000_000_000 + self.publisher * 10_000_000 + number, BLOCKS)
    }

    /// Notes that message `number` is about to be sent, and builds it.
    pub(crate) fn begin(&self, number: u64) -> AppendRequest {
        let mut known = self.lock();
        if known.len() <= index(number) {
            known.resize(index(number) + 1, Mark::default());
        }
        if let Some(old) = number.checked_sub(WINDOW) {
            known[index(old)].removing = true;
        }
        drop(known);
        self.request(number)
    }

    /// Notes the acknowledgement of message `number`.
    pub(crate) fn acknowledged(&self, number: u64, revision: u64) {
        let mut known = self.lock();
        known[index(number)].stored = Some(revision);
        if let Some(old) = number.checked_sub(WINDOW) {
            let old = &mut known[index(old)];
            old.removed = Some(revision);
            old.lost = false;
        }
    }

    /// The store has lost everything from `number` on, which this store may:
    /// how many acknowledged ones that were.
    pub(crate) fn lost_from(&self, number: u64) -> u64 {
        let mut known = self.lock();
        let mut lost = 0;
        for mark in known.iter_mut().skip(index(number)) {
            lost += u64::from(mark.stored.is_some());
            *mark = Mark::default();
        }
        known.truncate(index(number));
        // The removals of these are lost with it, until they are written again.
        let from = index(number.saturating_sub(WINDOW));
        for mark in &mut known[from..] {
            mark.lost |= mark.removing;
        }
        lost
    }

    fn request(&self, number: u64) -> AppendRequest {
        let mut changes = Vec::new();
        if let Some(old) = number.checked_sub(WINDOW) {
            changes.push(ChangeKind::Removed(Removed {
                medium: Medium::Gpu.into(),
                group: 0,
                hashes: hashes(old),
            }));
        }
        changes.push(ChangeKind::Stored(Stored {
            space: 0,
            medium: Medium::Gpu.into(),
            group: 0,
            parent: None,
            hashes: hashes(number),
            locals: local_hashes(&self.prompt(number)),
        }));
        let wrap = |change| Change {
            change: Some(change),
        };
        let message = EngineMessage {
            sequence: number,
            timestamp_us: now_us(),
            stream: Vec::new(),
            changes: changes.into_iter().map(wrap).collect(),
        };
        let events = Events {
            publisher: Some(PublisherName {
                cluster: "default".to_owned(),
                address: self.address(),
                rank: 0,
            }),
            model: MODEL.to_owned(),
            spaces: vec![Space {
                profile: Profile::Content.into(),
                model: MODEL.to_owned(),
                block_size: BLOCK_SIZE,
                ..Default::default()
            }],
            messages: vec![message],
        };
        let batch = Batch {
            commands: vec![Command {
                command: Some(CommandKind::Events(events)),
            }],
        };
        AppendRequest::from_bytes(batch.encode_to_vec().into())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Mark>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The engine hashes of a marker.
fn hashes(number: u64) -> Vec<u64> {
    (0..u64::from(BLOCKS))
        .map(|block| number << 8 | block | 1 << 63)
        .collect()
}

fn index(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_micros()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_acknowledged_must_be_seen_from_its_revision_on() {
        let marks = Marks::new(0);
        marks.begin(0);
        assert!(marks.get(0).unwrap().allows(100, false));
        marks.acknowledged(0, 100);
        let acknowledged = marks.get(0).unwrap();
        assert!(acknowledged.allows(99, false));
        assert!(!acknowledged.allows(100, false));
        assert!(acknowledged.allows(100, true));
    }

    #[test]
    fn what_is_removed_must_not_be_seen_from_that_revision_on() {
        let marks = Marks::new(0);
        for number in 0..WINDOW {
            marks.begin(number);
            marks.acknowledged(number, 100 + number);
        }
        marks.begin(WINDOW);
        let removing = marks.get(0).unwrap();
        assert!(removing.allows(200, true));
        assert!(removing.allows(200, false));
        marks.acknowledged(WINDOW, 300);
        let gone = marks.get(0).unwrap();
        assert!(!gone.allows(300, true));
        assert!(gone.allows(299, true));
        assert_eq!(marks.held(), (1..=WINDOW).collect::<Vec<_>>());
    }

    #[test]
    fn what_a_store_may_lose_is_written_again() {
        let marks = Marks::new(0);
        for number in 0..WINDOW + 3 {
            marks.begin(number);
            marks.acknowledged(number, 100 + number);
        }
        assert_eq!(marks.lost_from(WINDOW + 1), 2);
        assert_eq!(marks.len(), WINDOW + 1);
        // Marker 0 was removed before the loss, marker 1 after it.
        assert_eq!(marks.get(0).unwrap().at(1_000), Expected::Gone);
        assert_eq!(marks.get(1).unwrap().at(1_000), Expected::Either);
    }
}
