//! The vocabulary that every KVAtlas process shares, and the block keys.
//!
//! Sync, no I/O, no protobuf, no clock. Every other crate may import this one;
//! it imports none of them. The words are the field's own: an *endpoint* is one
//! routable engine, a *publisher* one event stream of it, an *incarnation* one
//! lifetime of that stream, a *membership* the fact that one endpoint holds one
//! block on one medium.

mod change;
mod content;
mod delta;
mod endpoint;
pub mod engine;
mod extra;
mod extras;
mod holder;
mod ids;
mod keys;
mod medium;
mod prompt;
mod route;
mod space;
mod text;
mod trust;

pub use change::{
    Batch, Change, Command, Cursor, EventsCommand, Message, Outcome, Refusal, SequenceGap,
    StoredBlock,
};
pub use content::{ContentChain, LocalHash, SEED as CONTENT_SEED, opaque_local_hash};
pub use delta::{Delta, PublisherStatus, SpaceAnnounced};
pub use endpoint::{Endpoint, EndpointError, Publisher, Rank};
pub use extra::{CacheSalt, ExtraKey, ExtraRef};
pub use extras::{block_extras, event_extras};
pub use holder::{Holder, Incarnation, Revision};
pub use ids::{BlockKey, EngineHash, StreamId, Timestamp, TokenId};
pub use keys::{Coverage, UnknowableReason, content_keys, engine_keys};
pub use medium::{Medium, MediumSet, UnknownMedium};
pub use prompt::{ItemForm, Lora, MediaItem, PromptContext};
pub use route::{RouteKind, RouteRecorded, Source};
pub use space::{Extras, KEY_VERSION, KeySpace, Profile, Scope};
pub use text::TextSpace;
pub use trust::Trust;
