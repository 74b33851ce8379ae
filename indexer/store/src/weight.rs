//! How large batches and deltas are, without encoding them.

use proto_model::{Batch, Change, Command, Delta, Endpoint, EventsCommand, KeySpace, Publisher};

/// More than any number, tag or length takes when encoded.
const FIELD: usize = 10;

/// An upper bound of the batch's encoded size, in bytes. This is what limits on
/// batches are compared with: cheap enough to compute for every append.
#[must_use]
pub fn batch_weight(batch: &Batch) -> usize {
    FIELD + batch.commands.iter().map(command).sum::<usize>()
}

fn command(command: &Command) -> usize {
    match command {
        Command::Events(events) => events_weight(events),
        Command::Gap { publisher, .. } => publisher_weight(publisher) + 4 * FIELD,
        Command::Reset { publisher, .. } => publisher_weight(publisher) + 2 * FIELD,
        Command::EndpointRemoved { endpoint, .. } => endpoint_weight(endpoint) + 3 * FIELD,
        Command::RouteRecorded(route) => {
            publisher_weight(&route.publisher) + (7 + route.keys.len()) * FIELD
        }
        Command::Expire { .. } => 2 * FIELD,
    }
}

fn events_weight(events: &EventsCommand) -> usize {
    let spaces: usize = events.spaces.iter().map(space).sum();
    let messages = events
        .messages
        .iter()
        .map(|message| 5 * FIELD + 16 + message.changes.iter().map(change).sum::<usize>());
    let names = publisher_weight(&events.publisher) + events.model.len();
    4 * FIELD + names + spaces + messages.sum::<usize>()
}

fn change(change: &Change) -> usize {
    let items = match change {
        Change::Stored { blocks, .. } => 2 * blocks.len(),
        Change::StoredByHash { hashes, .. } | Change::Removed { hashes, .. } => hashes.len(),
        Change::Cleared { .. } | Change::GroupExcluded { .. } | Change::Unreadable => 0,
    };
    (7 + items) * FIELD
}

fn space(space: &KeySpace) -> usize {
    6 * FIELD + space.model.len() + space.lora.as_ref().map_or(0, String::len)
}

fn publisher_weight(publisher: &Publisher) -> usize {
    endpoint_weight(&publisher.endpoint) + FIELD
}

fn endpoint_weight(endpoint: &Endpoint) -> usize {
    2 * FIELD + endpoint.cluster().len() + endpoint.address().len()
}

/// About the memory that deltas take.
pub(crate) fn deltas_weight(deltas: &[Delta]) -> usize {
    let weigh = |delta: &Delta| match delta {
        Delta::Stored { keys, .. } | Delta::Removed { keys, .. } => 8 * keys.len(),
        Delta::HolderBegan { publisher, .. } | Delta::PublisherRemoved { publisher } => {
            publisher_weight(publisher)
        }
        Delta::Status(status) => publisher_weight(&status.publisher) + status.model.len(),
        Delta::Space(announced) => publisher_weight(&announced.publisher) + space(&announced.space),
        Delta::HolderEnded { .. } => 0,
    };
    deltas
        .iter()
        .map(|delta| size_of::<Delta>() + weigh(delta))
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proto_model::*;

    fn change() -> impl Strategy<Value = Change> {
        let hashes = proptest::collection::vec(any::<u64>().prop_map(EngineHash), 0..20);
        (any::<u16>(), any::<Option<u64>>(), hashes, 0..6).prop_map(
            |(number, parent, hashes, kind)| {
                let (space, medium, group) = (number, Medium::Remote, number);
                match kind {
                    0 | 1 => {
                        let block = |hash: &EngineHash| StoredBlock {
                            hash: *hash,
                            local: LocalHash(hash.0),
                        };
                        let blocks = hashes.iter().map(block).collect();
                        Change::Stored {
                            space,
                            medium,
                            group,
                            parent: parent.map(EngineHash),
                            blocks,
                        }
                    }
                    2 => Change::StoredByHash {
                        space,
                        medium,
                        group,
                        hashes,
                    },
                    3 => Change::Removed {
                        medium,
                        group,
                        hashes,
                    },
                    4 => Change::Cleared {
                        medium: Some(medium),
                    },
                    _ => Change::GroupExcluded { group },
                }
            },
        )
    }

    fn command() -> impl Strategy<Value = Command> {
        let changes = proptest::collection::vec(change(), 0..6);
        let text = "[a-z]{1,40}";
        (
            text,
            any::<u32>(),
            any::<u64>(),
            any::<Option<[u8; 16]>>(),
            changes,
            0..10,
        )
            .prop_map(|(text, rank, number, stream, changes, kind)| {
                let endpoint = Endpoint::new(&text, &text).expect("letters");
                let publisher = Publisher {
                    endpoint: endpoint.clone(),
                    rank: Rank(rank),
                };
                let incarnation = Incarnation(number);
                match kind {
                    0 => Command::Gap {
                        publisher,
                        incarnation: Some(incarnation),
                        next: number,
                    },
                    1 => Command::Reset {
                        publisher,
                        incarnation,
                    },
                    2 => Command::EndpointRemoved {
                        endpoint,
                        rank: Some(Rank(rank)),
                    },
                    3 => Command::RouteRecorded(RouteRecorded {
                        publisher,
                        kind: RouteKind::Estimated,
                        recorded_at: Timestamp(number),
                        expires_at: Some(Timestamp(number)),
                        capacity: rank,
                        keys: vec![BlockKey(number); changes.len()],
                    }),
                    4 => Command::Expire {
                        until: Timestamp(number),
                    },
                    _ => {
                        let space = KeySpace {
                            profile: Profile::Engine,
                            model: text.clone(),
                            lora: Some(text.clone()),
                            block_size: rank,
                            extras: Extras::Hidden,
                        };
                        let stream = stream.map(StreamId);
                        let timestamp = Timestamp(number);
                        let message = Message {
                            sequence: number,
                            timestamp,
                            stream,
                            changes,
                        };
                        let spaces = vec![space; 2];
                        let messages = vec![message; 2];
                        Command::Events(EventsCommand {
                            publisher,
                            model: text,
                            spaces,
                            messages,
                        })
                    }
                }
            })
    }

    proptest! {
        #[test]
        fn no_batch_encodes_to_more_than_its_weight(
            commands in proptest::collection::vec(command(), 0..5)
        ) {
            let batch = Batch { commands };
            let encoded = postcard::to_stdvec(&batch).expect("encodes");
            prop_assert!(encoded.len() <= batch_weight(&batch));
        }
    }
}
