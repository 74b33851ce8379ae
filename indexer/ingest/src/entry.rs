//! A message on its way from a socket to the store.

use std::sync::Arc;

use proto_model::{Change, EventsCommand, KeySpace, Message, Publisher};

/// Most key spaces in one command; far below what the state refuses.
const SPACES_PER_COMMAND: usize = 64;

/// A translated message with the key spaces that it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The message; its changes name spaces by index into `spaces`.
    pub(crate) message: Message,
    /// The spaces of this message.
    pub(crate) spaces: Vec<Arc<KeySpace>>,
    /// The model that the publisher serves.
    pub(crate) model: Arc<str>,
    /// Whether a replay brought it: then the engine has said it just now.
    pub(crate) replayed: bool,
    /// Whether it is the first of a new connection, not number 0, and no replay
    /// can tell whether it follows on what came before.
    pub(crate) unverified: bool,
}

impl Entry {
    /// An estimate of the message's size, in memory and encoded alike.
    pub(crate) fn bytes(&self) -> usize {
        let changes = self.message.changes.iter();
        64 + changes
            .map(|change| match change {
                Change::Stored { blocks, .. } => 32 + 20 * blocks.len(),
                Change::StoredByHash { hashes, .. } | Change::Removed { hashes, .. } => {
                    24 + 10 * hashes.len()
                }
                Change::Cleared { .. } | Change::GroupExcluded { .. } | Change::Unreadable => 24,
            })
            .sum::<usize>()
    }

    /// The same message with its content given up: its place is kept.
    pub(crate) fn make_unreadable(&mut self) {
        self.message.changes = vec![Change::Unreadable];
        self.spaces.clear();
    }
}

/// Puts entries of one publisher into one command, as far as they share the
/// model and few enough spaces; returns how many were taken (all, usually).
pub(crate) fn build_command(publisher: &Publisher, entries: &[Entry]) -> (EventsCommand, usize) {
    let mut spaces: Vec<Arc<KeySpace>> = Vec::new();
    let mut messages = Vec::with_capacity(entries.len());
    let model = entries
        .first()
        .map_or_else(String::new, |entry| entry.model.to_string());
    for entry in entries {
        let new = entry
            .spaces
            .iter()
            .filter(|space| !spaces.contains(space))
            .count();
        let full = spaces.len() + new > SPACES_PER_COMMAND && !messages.is_empty();
        if full || *entry.model != *model {
            break;
        }
        let mut indices = Vec::with_capacity(entry.spaces.len());
        for space in &entry.spaces {
            let known = spaces
                .iter()
                .position(|other| other == space)
                .unwrap_or_else(|| {
                    spaces.push(Arc::clone(space));
                    spaces.len() - 1
                });
            indices.push(u16::try_from(known).unwrap_or(u16::MAX));
        }
        let mut message = entry.message.clone();
        rename_spaces(&mut message, &indices);
        messages.push(message);
    }
    let taken = messages.len();
    let spaces = spaces.iter().map(|space| KeySpace::clone(space)).collect();
    (
        EventsCommand {
            publisher: publisher.clone(),
            model,
            spaces,
            messages,
        },
        taken,
    )
}

fn rename_spaces(message: &mut Message, indices: &[u16]) {
    for change in &mut message.changes {
        if let Change::Stored { space, .. } | Change::StoredByHash { space, .. } = change {
            *space = indices
                .get(usize::from(*space))
                .copied()
                .unwrap_or(u16::MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use proto_model::{Endpoint, Extras, Medium, Profile, Rank, Timestamp};

    use super::*;

    fn space(number: u32) -> Arc<KeySpace> {
        Arc::new(KeySpace {
            profile: Profile::Content,
            model: "m".to_owned(),
            lora: None,
            block_size: number,
            extras: Extras::Published,
        })
    }

    fn entry(sequence: u64, model: &str, spaces: &[u32]) -> Entry {
        let changes = (0..spaces.len()).map(|index| Change::StoredByHash {
            medium: Medium::Gpu,
            group: 0,
            space: index as u16,
            hashes: vec![],
        });
        Entry {
            message: Message {
                sequence,
                timestamp: Timestamp(sequence),
                stream: None,
                changes: changes.collect(),
            },
            spaces: spaces.iter().copied().map(space).collect(),
            model: model.into(),
            replayed: false,
            unverified: false,
        }
    }

    fn publisher() -> Publisher {
        Publisher {
            endpoint: Endpoint::new("c", "a").unwrap(),
            rank: Rank(0),
        }
    }

    fn sizes(command: &EventsCommand) -> Vec<u32> {
        let changes = command.messages.iter().flat_map(|message| &message.changes);
        changes
            .map(|change| match change {
                Change::StoredByHash { space, .. } => {
                    command.spaces[usize::from(*space)].block_size
                }
                other => panic!("unexpected {other:?}"),
            })
            .collect()
    }

    #[test]
    fn messages_share_spaces_and_keep_their_meaning() {
        let entries = [
            entry(0, "m", &[16, 32]),
            entry(1, "m", &[32, 64]),
            entry(2, "m", &[16]),
        ];
        let (command, taken) = build_command(&publisher(), &entries);
        assert_eq!((taken, command.spaces.len()), (3, 3));
        assert_eq!(sizes(&command), [16, 32, 32, 64, 16]);
    }

    #[test]
    fn a_command_ends_where_the_model_changes_or_spaces_run_out() {
        let entries = [entry(0, "m", &[16]), entry(1, "n", &[16])];
        assert_eq!(build_command(&publisher(), &entries).1, 1);
        let many: Vec<Entry> = (0..70)
            .map(|number| entry(u64::from(number), "m", &[number]))
            .collect();
        let (command, taken) = build_command(&publisher(), &many);
        assert_eq!((taken, command.spaces.len()), (64, 64));
    }
}
