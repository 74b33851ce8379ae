//! Commands without their blocks, and what is left of them once they are judged.

use indexer_state::State;
use proto_model::{
    Change, Command, EngineHash, EventsCommand, LocalHash, Medium, Message, StoredBlock,
};

/// The command with everything taken out that does not decide the order: a store
/// keeps one made-up block, since the first store in a key space announces it.
pub(super) fn light(events: &EventsCommand) -> EventsCommand {
    let mut hash = 0;
    let messages = events.messages.iter().map(|message| Message {
        changes: light_changes(&message.changes, &mut hash),
        ..without_changes(message)
    });
    EventsCommand {
        messages: messages.collect(),
        ..without_messages(events)
    }
}

/// What the stream needs of a command: the changes of the messages that are
/// applied. The others stay as numbers and times, for they may show a restart or
/// a gap; what comes after a gap is not looked at by anybody.
///
/// `before` is the publisher's state before the command.
pub(super) fn left_of(
    events: &EventsCommand,
    light: &EventsCommand,
    mut before: State,
) -> EventsCommand {
    let mut messages = Vec::with_capacity(events.messages.len());
    for (message, light_message) in events.messages.iter().zip(&light.messages) {
        let single = EventsCommand {
            messages: vec![light_message.clone()],
            ..without_messages(light)
        };
        let outcome = before.apply(&Command::Events(single), &mut Vec::new());
        if outcome.applied > 0 {
            messages.push(message.clone());
        } else {
            messages.push(without_changes(message));
        }
        if outcome.gap.is_some() {
            break;
        }
    }
    EventsCommand {
        messages,
        ..without_messages(events)
    }
}

fn without_messages(events: &EventsCommand) -> EventsCommand {
    EventsCommand {
        publisher: events.publisher.clone(),
        model: events.model.clone(),
        spaces: events.spaces.clone(),
        messages: Vec::new(),
    }
}

fn without_changes(message: &Message) -> Message {
    Message {
        sequence: message.sequence,
        timestamp: message.timestamp,
        stream: message.stream,
        changes: Vec::new(),
    }
}

fn light_changes(changes: &[Change], hash: &mut u64) -> Vec<Change> {
    let mut light: Vec<Change> = Vec::new();
    for change in changes {
        match change {
            Change::Stored { space, blocks, .. } if !blocks.is_empty() => {
                store(&mut light, *space, hash);
            }
            Change::StoredByHash { space, hashes, .. } if !hashes.is_empty() => {
                store(&mut light, *space, hash);
            }
            // An index beyond the command's spaces is refused even if no block
            // has it.
            Change::Stored { space, .. } | Change::StoredByHash { space, .. } => {
                light.push(stored(*space, Vec::new()));
            }
            // These change the trust.
            Change::Cleared { medium: None } | Change::Unreadable => light.push(change.clone()),
            Change::Cleared { .. } | Change::Removed { .. } | Change::GroupExcluded { .. } => {}
        }
    }
    light
}

/// Adds a store of one block in the space, unless the last one is in it too.
fn store(light: &mut Vec<Change>, at: u16, hash: &mut u64) {
    let same = |change: &Change| matches!(change, Change::Stored { space, blocks, .. } if *space == at && !blocks.is_empty());
    if light.last().is_some_and(same) {
        return;
    }
    // No two are equal, so that none is another's copy or conflict.
    *hash += 1;
    let block = StoredBlock {
        hash: EngineHash(*hash),
        local: LocalHash(*hash),
    };
    light.push(stored(at, vec![block]));
}

fn stored(space: u16, blocks: Vec<StoredBlock>) -> Change {
    Change::Stored {
        space,
        medium: Medium::Gpu,
        group: 0,
        parent: None,
        blocks,
    }
}
