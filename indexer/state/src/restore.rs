//! From an image back to the state it was taken of.

mod routes;

use std::sync::Arc;

use proto_model::Publisher;

use self::routes::RouteRestorer;
use crate::entry::{Entry, Space};
use crate::groups::{EXCLUDED_MAX, Group};
use crate::image::{BlockImage, ImagePiece, ParkedImage, PublisherImage};
use crate::limits::{SPACES_MAX, StateLimits};
use crate::order::Position;
use crate::parked::Waiting;
use crate::state::State;
use crate::table::{COPIES_MAX, GROUPS_MAX};

/// Why an image is not one. It is damaged or was made by another version:
/// restoring it again cannot succeed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// A piece where another must be.
    #[error(
        "image piece {seen} came where {expected} must come; the image is incomplete or out of order"
    )]
    Order {
        /// The piece that came.
        seen: &'static str,
        /// What should have come.
        expected: &'static str,
    },
    /// A publisher or block that is there already, or out of order.
    #[error("image names {what} of {publisher} twice or out of order")]
    Repeated {
        /// `the publisher`, `a holder` or a block.
        what: String,
        /// Whose.
        publisher: Publisher,
    },
    /// A number that no state can hold.
    #[error("image gives {publisher} {field} {seen}; at most {limit} is possible")]
    Range {
        /// Whose.
        publisher: Publisher,
        /// The field.
        field: &'static str,
        /// Its value.
        seen: u64,
        /// The greatest possible value.
        limit: u64,
    },
    /// Fewer or more than announced.
    #[error("image announces {announced} {what} and has {found}")]
    Count {
        /// What is counted.
        what: &'static str,
        /// As announced.
        announced: u64,
        /// As found.
        found: u64,
    },
}

/// Builds a state from the pieces of an image.
#[derive(Debug)]
pub struct Restorer {
    state: State,
    announced: Option<u64>,
    open: Option<(PublisherImage, Entry)>,
    routes: RouteRestorer,
    ended: bool,
}

impl Restorer {
    /// Restores under `limits`, which do not drop anything that the image holds.
    #[must_use]
    pub fn new(limits: StateLimits) -> Self {
        Self {
            state: State::new(limits),
            announced: None,
            open: None,
            routes: RouteRestorer::default(),
            ended: false,
        }
    }

    /// Takes the next piece.
    ///
    /// # Errors
    /// If the piece cannot belong to an image at this place.
    pub fn push(&mut self, piece: ImagePiece) -> Result<(), RestoreError> {
        match piece {
            _ if self.ended => Err(order(&piece, "nothing")),
            ImagePiece::Begin {
                next_holder,
                publishers,
            } if self.announced.is_none() => {
                self.state.holders.next = next_holder;
                self.announced = Some(publishers);
                Ok(())
            }
            ImagePiece::Begin { .. } => Err(order(&piece, "Publisher")),
            _ if self.announced.is_none() => Err(order(&piece, "Begin")),
            ImagePiece::Publisher(_) | ImagePiece::Blocks(_) | ImagePiece::Parked(_)
                if self.routes.begun() =>
            {
                Err(order(&piece, "RouteTable"))
            }
            ImagePiece::Publisher(image) => {
                self.close()?;
                self.open = Some(open(*image, self.state.holders.next)?);
                Ok(())
            }
            ImagePiece::Blocks(blocks) => {
                let (image, entry) = self.open.as_mut().ok_or(RestoreError::Order {
                    seen: "Blocks",
                    expected: "Publisher",
                })?;
                blocks
                    .iter()
                    .try_for_each(|block| restore_block(image, entry, block))
            }
            ImagePiece::Parked(parked) => {
                let (image, entry) = self.open.as_mut().ok_or(RestoreError::Order {
                    seen: "Parked",
                    expected: "Publisher",
                })?;
                parked
                    .iter()
                    .try_for_each(|waiting| restore_parked(image, entry, waiting))
            }
            ImagePiece::Routes { tables } => {
                self.close()?;
                self.routes.begin(tables)
            }
            ImagePiece::RouteTable(image) => self.routes.open(&mut self.state, *image),
            ImagePiece::RouteKeys(keys) => self.routes.keys(&keys),
            ImagePiece::End => {
                self.close()?;
                self.routes.end(&mut self.state)?;
                self.ended = true;
                Ok(())
            }
        }
    }

    /// The state.
    ///
    /// # Errors
    /// If pieces are missing.
    pub fn finish(self) -> Result<State, RestoreError> {
        if !self.ended {
            return Err(RestoreError::Order {
                seen: "nothing",
                expected: "End",
            });
        }
        let found = self.state.publishers.len() as u64;
        check_count("publishers", self.announced.unwrap_or(0), found)?;
        Ok(self.state)
    }

    /// Checks and keeps the publisher whose pieces were coming.
    fn close(&mut self) -> Result<(), RestoreError> {
        let Some((image, entry)) = self.open.take() else {
            return Ok(());
        };
        check_count("blocks", image.blocks, entry.table.len() as u64)?;
        check_count("parked copies", image.parked, entry.parked.len() as u64)?;
        let last = self.state.publishers.last_key_value();
        if last.is_some_and(|(last, _)| **last >= image.publisher) {
            return Err(RestoreError::Repeated {
                what: "the publisher".to_owned(),
                publisher: image.publisher,
            });
        }
        self.state.parked_total += entry.parked.len();
        self.state.blocks_total += entry.table.weight();
        self.state
            .publishers
            .insert(Arc::new(image.publisher), Arc::new(entry));
        Ok(())
    }
}

fn open(image: PublisherImage, next_holder: u32) -> Result<(PublisherImage, Entry), RestoreError> {
    let holders = u64::from(next_holder.saturating_sub(1));
    check_range(&image, "holder", u64::from(image.holder.0), holders)?;
    check_range(
        &image,
        "number of spaces",
        image.spaces.len() as u64,
        SPACES_MAX as u64,
    )?;
    let mut entry = Entry::new(image.holder);
    entry.incarnation = image.incarnation;
    entry.position = Position {
        stream: image.stream,
        next: image.next,
        floor: image.floor,
        last: image.last,
        shown: image.shown,
    };
    entry.trust = image.trust;
    entry.lost = image.lost;
    entry.model.clone_from(&image.model);
    let with_scope = |space: &proto_model::KeySpace| Space {
        space: space.clone(),
        scope: space.scope(),
    };
    entry.spaces = image.spaces.iter().map(with_scope).collect();
    let groups: Vec<Group> = image
        .groups
        .iter()
        .map(|(id, media)| Group {
            id: *id,
            media: *media,
        })
        .collect();
    check_range(
        &image,
        "number of groups",
        groups.len() as u64,
        GROUPS_MAX as u64,
    )?;
    let excluded = image.excluded.len() as u64;
    check_range(
        &image,
        "number of excluded groups",
        excluded,
        EXCLUDED_MAX as u64,
    )?;
    entry.groups.restore(&groups, &image.excluded);
    Ok((image, entry))
}

fn restore_block(
    image: &PublisherImage,
    entry: &mut Entry,
    block: &BlockImage,
) -> Result<(), RestoreError> {
    check_index(
        image,
        "block's space",
        usize::from(block.space),
        image.spaces.len(),
    )?;
    if entry.table.find(block.hash.0).is_some() || !block.copies.iter().any(|copy| copy.count > 0) {
        let what = format!("block {:016x} (or no copy)", block.hash.0);
        return Err(RestoreError::Repeated {
            what,
            publisher: image.publisher.clone(),
        });
    }
    for copy in &block.copies {
        check_index(
            image,
            "copy's group",
            usize::from(copy.group),
            image.groups.len(),
        )?;
        check_range(
            image,
            "count of copies",
            u64::from(copy.count),
            u64::from(COPIES_MAX),
        )?;
    }
    let id = entry.table.insert(block.hash.0, block.key.0, block.space);
    for copy in &block.copies {
        entry.table.set_copies(
            id,
            usize::from(copy.group),
            copy.medium,
            u32::from(copy.count),
        );
    }
    entry.restore_members(id);
    Ok(())
}

fn restore_parked(
    image: &PublisherImage,
    entry: &mut Entry,
    parked: &ParkedImage,
) -> Result<(), RestoreError> {
    check_index(
        image,
        "parked copy's space",
        usize::from(parked.space),
        image.spaces.len(),
    )?;
    entry.parked.push(Waiting::from(parked));
    Ok(())
}

fn check_index(
    image: &PublisherImage,
    field: &'static str,
    seen: usize,
    count: usize,
) -> Result<(), RestoreError> {
    if seen < count {
        return Ok(());
    }
    let limit = (count as u64).saturating_sub(1);
    Err(RestoreError::Range {
        publisher: image.publisher.clone(),
        field,
        seen: seen as u64,
        limit,
    })
}

fn check_range(
    image: &PublisherImage,
    field: &'static str,
    seen: u64,
    limit: u64,
) -> Result<(), RestoreError> {
    range(&image.publisher, field, seen, limit)
}

fn range(
    publisher: &Publisher,
    field: &'static str,
    seen: u64,
    limit: u64,
) -> Result<(), RestoreError> {
    if seen <= limit {
        return Ok(());
    }
    Err(RestoreError::Range {
        publisher: publisher.clone(),
        field,
        seen,
        limit,
    })
}

fn check_count(what: &'static str, announced: u64, found: u64) -> Result<(), RestoreError> {
    if announced == found {
        Ok(())
    } else {
        Err(RestoreError::Count {
            what,
            announced,
            found,
        })
    }
}

fn order(piece: &ImagePiece, expected: &'static str) -> RestoreError {
    let seen = match piece {
        ImagePiece::Begin { .. } => "Begin",
        ImagePiece::Publisher(_) => "Publisher",
        ImagePiece::Blocks(_) => "Blocks",
        ImagePiece::Parked(_) => "Parked",
        ImagePiece::End => "End",
        ImagePiece::Routes { .. } => "Routes",
        ImagePiece::RouteTable(_) => "RouteTable",
        ImagePiece::RouteKeys(_) => "RouteKeys",
    };
    RestoreError::Order { seen, expected }
}
