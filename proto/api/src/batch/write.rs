//! A batch as `kvatlas.v1.AppendRequest`, in one pass.

use prost::encoding::encode_varint;
use proto_model::{
    Batch, Change, Command, EventsCommand, Extras, KeySpace, Medium, Message, Publisher, RouteKind,
    RouteRecorded,
};

use crate::v1;

const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const BYTES: u64 = 2;

/// Room for a nested message's length, which is known only behind it.
const LENGTH: usize = 5;

pub(super) fn batch(batch: &Batch) -> Vec<u8> {
    let mut out = Vec::new();
    for one in &batch.commands {
        nested(&mut out, 1, |out| command(out, one));
    }
    out
}

fn command(out: &mut Vec<u8>, command: &Command) {
    match command {
        Command::Events(events) => nested(out, 1, |out| events_command(out, events)),
        Command::Gap {
            publisher,
            incarnation,
            next,
        } => nested(out, 2, |out| {
            name(out, 1, publisher);
            if let Some(incarnation) = incarnation {
                field(out, 2, VARINT);
                encode_varint(incarnation.0, out);
            }
            number(out, 3, *next);
        }),
        Command::Reset {
            publisher,
            incarnation,
        } => nested(out, 3, |out| {
            name(out, 1, publisher);
            number(out, 2, incarnation.0);
        }),
        Command::EndpointRemoved { endpoint, rank } => nested(out, 4, |out| {
            bytes(out, 1, endpoint.cluster().as_bytes());
            bytes(out, 2, endpoint.address().as_bytes());
            if let Some(rank) = rank {
                field(out, 3, VARINT);
                encode_varint(u64::from(rank.0), out);
            }
        }),
        Command::RouteRecorded(route) => nested(out, 5, |out| route_recorded(out, route)),
        Command::Expire { until } => nested(out, 6, |out| fixed(out, 1, until.0)),
    }
}

fn route_recorded(out: &mut Vec<u8>, route: &RouteRecorded) {
    let kind = match route.kind {
        RouteKind::Speculative => v1::RouteKind::Speculative,
        RouteKind::Estimated => v1::RouteKind::Estimated,
    };
    name(out, 1, &route.publisher);
    number(out, 2, enumerated(kind.into()));
    fixed(out, 3, route.recorded_at.0);
    if let Some(expires_at) = route.expires_at {
        // 0 would say that it never expires.
        fixed(out, 4, expires_at.0.max(1));
    }
    number(out, 5, u64::from(route.capacity));
    packed(out, 6, route.keys.iter().map(|key| key.0));
}

fn events_command(out: &mut Vec<u8>, events: &EventsCommand) {
    name(out, 1, &events.publisher);
    bytes(out, 2, events.model.as_bytes());
    for one in &events.spaces {
        nested(out, 3, |out| space(out, one));
    }
    for one in &events.messages {
        nested(out, 4, |out| message(out, one));
    }
}

fn space(out: &mut Vec<u8>, space: &KeySpace) {
    number(out, 1, enumerated(v1::Profile::from(space.profile).into()));
    bytes(out, 2, space.model.as_bytes());
    if let Some(lora) = &space.lora {
        field(out, 3, BYTES);
        encode_varint(lora.len() as u64, out);
        out.extend_from_slice(lora.as_bytes());
    }
    number(out, 4, u64::from(space.block_size));
    number(out, 5, u64::from(space.extras == Extras::Hidden));
}

fn message(out: &mut Vec<u8>, message: &Message) {
    number(out, 1, message.sequence);
    if message.timestamp.0 != 0 {
        fixed(out, 2, message.timestamp.0);
    }
    if let Some(stream) = &message.stream {
        bytes(out, 3, &stream.0);
    }
    for one in &message.changes {
        nested(out, 4, |out| change(out, one));
    }
}

fn change(out: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Stored {
            space,
            medium,
            group,
            parent,
            blocks,
        } => nested(out, 1, |out| {
            number(out, 1, u64::from(*space));
            number(out, 2, medium_number(*medium));
            number(out, 3, u64::from(*group));
            if let Some(parent) = parent {
                fixed(out, 4, parent.0);
            }
            packed(out, 5, blocks.iter().map(|block| block.hash.0));
            packed(out, 6, blocks.iter().map(|block| block.local.0));
        }),
        Change::StoredByHash {
            medium,
            group,
            space,
            hashes,
        } => nested(out, 2, |out| {
            number(out, 1, u64::from(*space));
            number(out, 2, medium_number(*medium));
            number(out, 3, u64::from(*group));
            packed(out, 4, hashes.iter().map(|hash| hash.0));
        }),
        Change::Removed {
            medium,
            group,
            hashes,
        } => nested(out, 3, |out| {
            number(out, 1, medium_number(*medium));
            number(out, 2, u64::from(*group));
            packed(out, 3, hashes.iter().map(|hash| hash.0));
        }),
        Change::Cleared { medium } => nested(out, 4, |out| {
            number(out, 1, medium.map_or(0, medium_number));
        }),
        Change::GroupExcluded { group } => nested(out, 5, |out| {
            number(out, 1, u64::from(*group));
        }),
        Change::Unreadable => nested(out, 6, |_| ()),
    }
}

fn name(out: &mut Vec<u8>, tag: u64, publisher: &Publisher) {
    nested(out, tag, |out| {
        bytes(out, 1, publisher.endpoint.cluster().as_bytes());
        bytes(out, 2, publisher.endpoint.address().as_bytes());
        number(out, 3, u64::from(publisher.rank.0));
    });
}

fn medium_number(medium: Medium) -> u64 {
    enumerated(v1::Medium::from(medium).into())
}

fn enumerated(value: i32) -> u64 {
    u64::try_from(value).unwrap_or_default()
}

#[inline]
fn field(out: &mut Vec<u8>, tag: u64, wire_type: u64) {
    encode_varint(tag << 3 | wire_type, out);
}

/// A number, left out where it is 0.
#[inline]
fn number(out: &mut Vec<u8>, tag: u64, value: u64) {
    if value != 0 {
        field(out, tag, VARINT);
        encode_varint(value, out);
    }
}

#[inline]
fn fixed(out: &mut Vec<u8>, tag: u64, value: u64) {
    field(out, tag, FIXED64);
    out.extend_from_slice(&value.to_le_bytes());
}

/// Text or bytes, left out where they are empty.
#[inline]
fn bytes(out: &mut Vec<u8>, tag: u64, bytes: &[u8]) {
    if !bytes.is_empty() {
        field(out, tag, BYTES);
        encode_varint(bytes.len() as u64, out);
        out.extend_from_slice(bytes);
    }
}

#[inline]
fn packed(out: &mut Vec<u8>, tag: u64, values: impl ExactSizeIterator<Item = u64>) {
    if values.len() != 0 {
        field(out, tag, BYTES);
        encode_varint(8 * values.len() as u64, out);
        out.reserve(8 * values.len());
        values.for_each(|value| out.extend_from_slice(&value.to_le_bytes()));
    }
}

/// A message within the message.
///
/// Its length is written when it is known: in one byte, for which a short body
/// moves up, or else in [`LENGTH`] bytes, which is longer than need be but what
/// every reader of protobuf takes.
#[inline]
fn nested(out: &mut Vec<u8>, tag: u64, body: impl FnOnce(&mut Vec<u8>)) {
    field(out, tag, BYTES);
    let at = out.len();
    out.extend_from_slice(&[0; LENGTH]);
    let start = out.len();
    body(out);
    let length = out.len() - start;
    if length < 0x80 {
        out[at] = length as u8;
        out.copy_within(start.., at + 1);
        out.truncate(at + 1 + length);
        return;
    }
    let mut left = length;
    for byte in &mut out[at..start] {
        *byte = (left & 0x7f) as u8 | 0x80;
        left >>= 7;
    }
    out[start - 1] &= 0x7f;
}
