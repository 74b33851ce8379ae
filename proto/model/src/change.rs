//! What goes into the replicated state: batches of commands, and their outcome.

use serde::{Deserialize, Serialize};

use crate::{
    Endpoint, EngineHash, Incarnation, KeySpace, LocalHash, Medium, Publisher, Rank, RouteRecorded,
    StreamId, Timestamp, Trust,
};

/// Commands that are applied together, in order, as one revision.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// The commands, oldest first.
    pub commands: Vec<Command>,
}

/// One step of the replicated state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Messages of one publisher.
    Events(EventsCommand),
    /// Sequences before `next` cannot be had any more: go on at `next`, and say
    /// so. A publisher never seen before becomes `partial`, any other `suspect`.
    Gap {
        /// Whose messages are lost.
        publisher: Publisher,
        /// The writer's view of the incarnation, so that a late command cannot
        /// touch a newer one. `None` where the writer has not seen the publisher
        /// in the state.
        incarnation: Option<Incarnation>,
        /// The first sequence that will be delivered.
        next: u64,
    },
    /// The engine restarted in a way that sequences and timestamps alone cannot
    /// show (its clock went back, say): end the given incarnation.
    Reset {
        /// Whose cache is gone.
        publisher: Publisher,
        /// Applied only while this is the current incarnation, so that several
        /// writers that saw the same restart reset once.
        incarnation: Incarnation,
    },
    /// The endpoint is gone for good: forget all its publishers.
    EndpointRemoved {
        /// The endpoint, with all its ranks.
        endpoint: Endpoint,
        /// Only this rank, or all.
        rank: Option<Rank>,
    },
    /// A request was sent to an endpoint. Its outcome is empty unless it was
    /// refused: routes have no place in a publisher's own history.
    RouteRecorded(RouteRecorded),
    /// Routes that expire at or before this time count no more.
    Expire {
        /// By the store's clock; [`RouteRecorded::BY_STORE`]: now.
        until: Timestamp,
    },
}

/// Messages of one publisher, consecutive or not; the state sorts out which are
/// new, late, or after a gap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventsCommand {
    /// Whose messages these are.
    pub publisher: Publisher,
    /// The base model that the engine serves.
    pub model: String,
    /// The key spaces that [`Change::Stored`] names by index.
    pub spaces: Vec<KeySpace>,
    /// The messages in the order in which they are to be applied.
    pub messages: Vec<Message>,
}

/// One message of a publisher, decoded, with its tokens already hashed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The number that the publisher gave it, from 0.
    pub sequence: u64,
    /// When the engine says it made the message.
    pub timestamp: Timestamp,
    /// The publisher's stream id, where its sequence frames carry one.
    pub stream: Option<StreamId>,
    /// What changed, in the engine's order.
    pub changes: Vec<Change>,
}

/// One change to an engine's cache. Only prefix-complete groups appear here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// `BlockStored`: a run of blocks, each the child of the one before.
    Stored {
        /// Index into [`EventsCommand::spaces`].
        space: u16,
        /// Where the copies lie.
        medium: Medium,
        /// The KV-cache group; 0 where the engine names none.
        group: u16,
        /// The block before the first; `None` if the run starts a prompt.
        parent: Option<EngineHash>,
        /// The blocks, first to last.
        blocks: Vec<StoredBlock>,
    },
    /// `BlockStored` without tokens (offload tiers): the blocks are known by
    /// hash only, and mean what the same hashes meant when they had tokens.
    StoredByHash {
        /// Where the copies lie.
        medium: Medium,
        /// The KV-cache group; 0 where the engine names none.
        group: u16,
        /// Index into [`EventsCommand::spaces`]; used in profile `engine`, where
        /// the hash alone gives the key.
        space: u16,
        /// The blocks.
        hashes: Vec<EngineHash>,
    },
    /// `BlockRemoved`: one physical copy of each block is gone.
    Removed {
        /// Where the copies lay.
        medium: Medium,
        /// The KV-cache group; 0 where the engine names none.
        group: u16,
        /// The blocks.
        hashes: Vec<EngineHash>,
    },
    /// `AllBlocksCleared`: nothing is left on the medium, or on any.
    Cleared {
        /// The medium, or `None` for all.
        medium: Option<Medium>,
    },
    /// The group turned out not to be prefix-complete: forget its copies.
    GroupExcluded {
        /// The KV-cache group.
        group: u16,
    },
    /// The message could not be read, though its sequence is known: the cursor
    /// moves, the publisher becomes `suspect`.
    Unreadable,
}

/// A block as it is stored: the engine's name for it and the hash of its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredBlock {
    /// The engine's hash, which removals will name.
    pub hash: EngineHash,
    /// The hash of the block's own tokens and extra keys. In profile `engine`
    /// the key comes from `hash` and this is not looked at.
    pub local: LocalHash,
}

/// Where a publisher's history stands in the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// The current incarnation.
    pub incarnation: Incarnation,
    /// The sequence expected next.
    pub next: u64,
    /// The newest engine timestamp applied in this incarnation.
    pub timestamp: Timestamp,
    /// How far the memberships can be believed.
    pub trust: Trust,
}

/// What became of one command.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Messages that changed the cursor.
    pub applied: u32,
    /// Messages seen before.
    pub duplicates: u32,
    /// Messages of an incarnation that is over.
    pub stale: u32,
    /// Whether the command ended an incarnation and started the next.
    pub restarted: bool,
    /// Set if messages were left out because some before them are missing: get
    /// them, or say with [`Command::Gap`] that they cannot be had, and append again.
    pub gap: Option<SequenceGap>,
    /// Set if the state refused the command because a limit is reached.
    pub refused: Option<Refusal>,
    /// Where the publisher now stands; `None` if the state does not know it, or
    /// the command was not about a publisher's own history.
    pub cursor: Option<Cursor>,
}

/// A hole in a publisher's sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SequenceGap {
    /// The sequence that the state needs next.
    pub expected: u64,
    /// The sequence that came instead.
    pub found: u64,
}

/// Why the state would not take a command at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// The state already has as many publishers as it may.
    TooManyPublishers,
    /// The command names more key spaces, or an index beyond them.
    BadSpace,
    /// The state already has as many routed keys as it may, all elsewhere.
    TooManyRoutes,
}
