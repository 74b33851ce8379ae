//! The whole state in bounded pieces, for disks and Raft snapshots.
//!
//! Two states that were given the same commands have equal images, whatever
//! their tables look like inside.

use std::ops::Bound;
use std::sync::Arc;

use proto_model::{
    BlockKey, EngineHash, Holder, Incarnation, KeySpace, LocalHash, Medium, MediumSet, Publisher,
    StreamId, Timestamp, Trust,
};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::entry::Entry;
use crate::state::State;

/// Most blocks or parked copies in one piece.
pub(crate) const ITEMS_PER_PIECE: usize = 4096;

mod routes;

use routes::RoutePieces;
pub use routes::{RouteKeyImage, RouteTableImage};

/// A piece of an image. They come in this order: one `Begin`; per publisher one
/// `Publisher`, its `Blocks`, its `Parked`; if there are tables of routes one
/// `Routes`, and per table one `RouteTable` and its `RouteKeys`; one `End`.
///
/// Images are kept: a variant keeps its place and its fields for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ImagePiece {
    /// The image begins.
    Begin {
        /// The number that the next holder will have.
        next_holder: u32,
        /// How many publishers follow.
        publishers: u64,
    },
    /// A publisher begins.
    Publisher(Box<PublisherImage>),
    /// Blocks of the publisher, ascending by engine hash.
    Blocks(Vec<BlockImage>),
    /// Parked copies of the publisher, oldest first.
    Parked(Vec<ParkedImage>),
    /// The image is complete.
    End,
    /// Tables of routes follow.
    Routes {
        /// How many, at least one.
        tables: u64,
    },
    /// A table of routes begins.
    RouteTable(Box<RouteTableImage>),
    /// Keys of the table, the least recently used first.
    RouteKeys(Vec<RouteKeyImage>),
}

/// A publisher without its blocks. What the fields mean is in `docs/state.md`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are those of docs/state.md")]
pub struct PublisherImage {
    pub publisher: Publisher,
    pub holder: Holder,
    pub incarnation: Incarnation,
    pub stream: Option<StreamId>,
    pub next: u64,
    pub floor: Option<Timestamp>,
    pub last: Option<Timestamp>,
    pub shown: Option<Timestamp>,
    pub trust: Trust,
    pub lost: u64,
    pub model: String,
    pub spaces: Vec<KeySpace>,
    pub groups: Vec<(u16, MediumSet)>,
    pub excluded: Vec<u16>,
    pub blocks: u64,
    pub parked: u64,
}

/// A block of a publisher.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockImage {
    /// The engine's hash.
    pub hash: EngineHash,
    /// The key that it has.
    pub key: BlockKey,
    /// Index into [`PublisherImage::spaces`].
    pub space: u16,
    /// Its physical copies.
    pub copies: SmallVec<[CopyImage; 4]>,
}

/// Copies of a block in one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyImage {
    /// Index into [`PublisherImage::groups`].
    pub group: u8,
    /// Where they lie.
    pub medium: Medium,
    /// How many, at least one.
    pub count: u16,
}

/// A copy that waits for a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParkedImage {
    /// The block.
    pub hash: EngineHash,
    /// The hash whose key it needs.
    pub needs: EngineHash,
    /// What to chain onto the parent's key; `None` if it was stored by hash.
    pub local: Option<LocalHash>,
    /// Index into [`PublisherImage::spaces`].
    pub space: u16,
    /// Where the copy lies.
    pub medium: Medium,
    /// The group's own number.
    pub group: u16,
}

/// Goes through an image; made by [`State::image`].
#[derive(Debug)]
pub struct Image<'a> {
    state: &'a State,
    at: At<'a>,
}

#[derive(Debug)]
enum At<'a> {
    Begin,
    Publishers(Option<&'a Publisher>),
    Blocks {
        publisher: &'a Publisher,
        entry: &'a Entry,
        order: Vec<u32>,
        done: usize,
    },
    Parked {
        publisher: &'a Publisher,
        entry: &'a Entry,
        done: usize,
    },
    Routes(RoutePieces<'a>),
    Ended,
}

impl State {
    /// The whole state, piece by piece; [`Restorer`](crate::Restorer) reads it.
    #[must_use]
    pub fn image(&self) -> Image<'_> {
        Image {
            state: self,
            at: At::Begin,
        }
    }
}

impl Iterator for Image<'_> {
    type Item = ImagePiece;

    fn next(&mut self) -> Option<ImagePiece> {
        loop {
            match &mut self.at {
                At::Begin => {
                    self.at = At::Publishers(None);
                    let publishers = self.state.publishers.len() as u64;
                    let next_holder = self.state.holders.next;
                    return Some(ImagePiece::Begin {
                        next_holder,
                        publishers,
                    });
                }
                At::Publishers(after) => {
                    let from = after.map_or(Bound::Unbounded, Bound::Excluded);
                    let next = self.state.publishers_from(from).next();
                    let found = next.and_then(|p| self.state.publishers.get_key_value(p));
                    let Some((publisher, entry)) = found else {
                        self.at = At::Routes(RoutePieces::of(&self.state.routes));
                        continue;
                    };
                    let order = entry.ids_by_hash();
                    self.at = At::Blocks {
                        publisher,
                        entry,
                        order,
                        done: 0,
                    };
                    return Some(ImagePiece::Publisher(Box::new(entry.image(publisher))));
                }
                At::Blocks {
                    publisher,
                    entry,
                    order,
                    done,
                } => {
                    let piece = order.iter().skip(*done).take(ITEMS_PER_PIECE);
                    let blocks: Vec<_> = piece.map(|id| entry.block_image(*id)).collect();
                    *done += blocks.len();
                    if !blocks.is_empty() {
                        return Some(ImagePiece::Blocks(blocks));
                    }
                    self.at = At::Parked {
                        publisher,
                        entry,
                        done: 0,
                    };
                }
                At::Parked {
                    publisher,
                    entry,
                    done,
                } => {
                    let piece = entry.parked.iter().skip(*done).take(ITEMS_PER_PIECE);
                    let parked: Vec<_> = piece.map(ParkedImage::from).collect();
                    *done += parked.len();
                    if !parked.is_empty() {
                        return Some(ImagePiece::Parked(parked));
                    }
                    self.at = At::Publishers(Some(publisher));
                }
                At::Routes(pieces) => {
                    if let Some(piece) = pieces.next() {
                        return Some(piece);
                    }
                    self.at = At::Ended;
                    return Some(ImagePiece::End);
                }
                At::Ended => return None,
            }
        }
    }
}

impl Entry {
    fn ids_by_hash(&self) -> Vec<u32> {
        let mut ids: Vec<u32> = self.table.ids().collect();
        ids.sort_unstable_by_key(|id| self.table.hash(*id));
        ids
    }

    fn image(&self, publisher: &Arc<Publisher>) -> PublisherImage {
        PublisherImage {
            publisher: Publisher::clone(publisher),
            holder: self.holder,
            incarnation: self.incarnation,
            stream: self.position.stream,
            next: self.position.next,
            floor: self.position.floor,
            last: self.position.last,
            shown: self.position.shown,
            trust: self.trust,
            lost: self.lost,
            model: self.model.clone(),
            spaces: self
                .spaces
                .iter()
                .map(|known| known.space.clone())
                .collect(),
            groups: self
                .groups
                .list()
                .iter()
                .map(|group| (group.id, group.media))
                .collect(),
            excluded: self.groups.excluded().to_vec(),
            blocks: self.table.len() as u64,
            parked: self.parked.len() as u64,
        }
    }

    fn block_image(&self, id: u32) -> BlockImage {
        let mut copies = SmallVec::new();
        for group in 0..self.groups.list().len() {
            for medium in Medium::ALL {
                let count = self.table.copies(id, group, medium);
                if let (Ok(group), Ok(count @ 1..)) = (u8::try_from(group), u16::try_from(count)) {
                    copies.push(CopyImage {
                        group,
                        medium,
                        count,
                    });
                }
            }
        }
        BlockImage {
            hash: EngineHash(self.table.hash(id)),
            key: BlockKey(self.table.key(id)),
            space: self.table.space(id),
            copies,
        }
    }
}
