//! The replicated state: one deterministic apply.
//!
//! Commands go in, deltas for readers come out. There is no clock here, no
//! randomness, no I/O, and nothing depends on the order in which a hash table
//! lists its entries: two copies of the state that were given the same commands
//! are equal, and so are their deltas. The rules are in `docs/state.md`.
//!
//! ```text
//!  Command ──▶ State ──▶ Outcome        (to the writer)
//!                │  └──▶ Delta, Delta…  (to every reader)
//!                ├─ view()  the deltas that build a reader from nothing
//!                └─ image() everything, for disks and Raft snapshots
//! ```

mod changes;
mod counters;
mod emit;
mod entry;
mod groups;
mod image;
mod limits;
mod order;
mod parked;
mod restore;
mod routes;
mod state;
mod table;
mod view;

pub use counters::{Counters, StateStats};
pub use emit::KEYS_PER_DELTA;
pub use image::{
    BlockImage, CopyImage, Image, ImagePiece, ParkedImage, PublisherImage, RouteKeyImage,
    RouteTableImage,
};
pub use limits::StateLimits;
pub use restore::{RestoreError, Restorer};
pub use state::State;
pub use view::View;
