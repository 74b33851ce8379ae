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
