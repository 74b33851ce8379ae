//! Deltas of the index, to the wire and back.

use proto_model::{
    BlockKey, Cursor, Delta, Holder, Incarnation, Medium, Publisher, PublisherStatus, Source,
    SpaceAnnounced, Timestamp,
};

use crate::v1::delta::Change;
use crate::{InvalidChange, names, v1};

impl From<&Delta> for v1::Delta {
    fn from(delta: &Delta) -> Self {
        let change = match delta {
            Delta::HolderBegan {
                holder,
                publisher,
                source,
            } => Change::HolderBegan(v1::HolderBegan {
                holder: holder.0,
                publisher: Some(publisher.into()),
                source: v1::Source::from(*source).into(),
            }),
            Delta::HolderEnded { holder } => {
                Change::HolderEnded(v1::HolderEnded { holder: holder.0 })
            }
            Delta::Stored {
                holder,
                medium,
                keys,
            } => Change::Stored(blocks(*holder, *medium, keys)),
            Delta::Removed {
                holder,
                medium,
                keys,
            } => Change::Removed(blocks(*holder, *medium, keys)),
            Delta::Status(status) => Change::Status(status.into()),
            Delta::Space(announced) => Change::Space(v1::SpaceAnnounced {
                publisher: Some((&announced.publisher).into()),
                space: Some((&announced.space).into()),
            }),
            Delta::PublisherRemoved { publisher } => Change::PublisherRemoved(publisher.into()),
        };
        Self {
            change: Some(change),
        }
    }
}

fn blocks(holder: Holder, medium: Medium, keys: &[BlockKey]) -> v1::BlocksChanged {
    v1::BlocksChanged {
        holder: holder.0,
        medium: v1::Medium::from(medium).into(),
        keys: keys.iter().map(|key| key.0).collect(),
    }
}

impl From<&PublisherStatus> for v1::PublisherStatus {
    fn from(status: &PublisherStatus) -> Self {
        Self {
            publisher: Some((&status.publisher).into()),
            model: status.model.clone(),
            incarnation: status.cursor.incarnation.0,
            next_sequence: status.cursor.next,
            last_event_us: status.cursor.timestamp.0,
            trust: v1::Trust::from(status.cursor.trust).into(),
            parked: status.parked,
            lost: status.lost,
        }
    }
}

impl TryFrom<v1::Delta> for Delta {
    type Error = InvalidChange;

    fn try_from(delta: v1::Delta) -> Result<Self, Self::Error> {
        Ok(
            match delta.change.ok_or(InvalidChange::Missing("change"))? {
                Change::HolderBegan(began) => Self::HolderBegan {
                    holder: Holder(began.holder),
                    publisher: publisher(began.publisher.as_ref())?,
                    source: source(began.source)?,
                },
                Change::HolderEnded(ended) => Self::HolderEnded {
                    holder: Holder(ended.holder),
                },
                Change::Stored(blocks) => {
                    let (holder, medium, keys) = parts(blocks)?;
                    Self::Stored {
                        holder,
                        medium,
                        keys,
                    }
                }
                Change::Removed(blocks) => {
                    let (holder, medium, keys) = parts(blocks)?;
                    Self::Removed {
                        holder,
                        medium,
                        keys,
                    }
                }
                Change::Status(wire) => Self::Status(status(wire)?),
                Change::Space(announced) => Self::Space(SpaceAnnounced {
                    publisher: publisher(announced.publisher.as_ref())?,
                    space: names::space(announced.space.ok_or(InvalidChange::Missing("space"))?)?,
                }),
                Change::PublisherRemoved(name) => Self::PublisherRemoved {
                    publisher: publisher(Some(&name))?,
                },
            },
        )
    }
}

impl From<Source> for v1::Source {
    fn from(source: Source) -> Self {
        match source {
            Source::Confirmed => Self::Confirmed,
            Source::Speculative => Self::Speculative,
            Source::Estimated => Self::Estimated,
        }
    }
}

fn source(value: i32) -> Result<Source, InvalidChange> {
    match v1::Source::try_from(value) {
        Ok(v1::Source::Confirmed) => Ok(Source::Confirmed),
        Ok(v1::Source::Speculative) => Ok(Source::Speculative),
        Ok(v1::Source::Estimated) => Ok(Source::Estimated),
        Err(_) => Err(InvalidChange::Unknown {
            field: "source",
            value,
        }),
    }
}

fn publisher(name: Option<&v1::PublisherName>) -> Result<Publisher, InvalidChange> {
    let name = name.ok_or(InvalidChange::Missing("publisher"))?;
    Ok(names::publisher(&name.cluster, &name.address, name.rank)?)
}

fn parts(blocks: v1::BlocksChanged) -> Result<(Holder, Medium, Vec<BlockKey>), InvalidChange> {
    // In place: a key is its number.
    let keys = blocks.keys.into_iter().map(BlockKey).collect();
    Ok((Holder(blocks.holder), names::medium(blocks.medium)?, keys))
}

fn status(wire: v1::PublisherStatus) -> Result<PublisherStatus, InvalidChange> {
    Ok(PublisherStatus {
        publisher: publisher(wire.publisher.as_ref())?,
        model: wire.model,
        cursor: Cursor {
            incarnation: Incarnation(wire.incarnation),
            next: wire.next_sequence,
            timestamp: Timestamp(wire.last_event_us),
            trust: names::trust(wire.trust)?,
        },
        parked: wire.parked,
        lost: wire.lost,
    })
}

impl v1::WatchResponse {
    /// The message's size on the wire, in bytes.
    #[must_use]
    pub fn wire_len(&self) -> usize {
        prost::Message::encoded_len(self)
    }
}
