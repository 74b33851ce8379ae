//! Reading the stream.

use proto_model::{Batch, Revision};
use redis::Value;

use crate::error::LinkError;
use crate::wire::decode_batch;

/// An entry of the stream.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) revision: Revision,
    pub(super) what: What,
}

#[derive(Debug)]
pub(super) enum What {
    /// A batch, and the bytes of all batches up to it.
    Batch {
        batch: Batch,
        total: u64,
        bytes: usize,
    },
    /// An epoch begins; the one before it ended at this revision.
    Epoch { after: Revision },
}

/// The entries in an answer to XREAD of one stream, oldest first.
pub(super) fn read(answer: Value) -> Result<Vec<Entry>, LinkError> {
    let form = || LinkError::Form {
        what: "the answer to XREAD",
    };
    let streams = match answer {
        Value::Nil => return Ok(Vec::new()),
        Value::Array(streams) => streams,
        _ => return Err(form()),
    };
    let first = streams.into_iter().next().ok_or_else(form)?;
    let Value::Array(named) = first else {
        return Err(form());
    };
    match named.into_iter().nth(1) {
        Some(Value::Array(entries)) => entries.into_iter().map(entry).collect(),
        _ => Err(form()),
    }
}

fn entry(value: Value) -> Result<Entry, LinkError> {
    let form = || LinkError::Form {
        what: "an entry of the stream",
    };
    let Value::Array(parts) = value else {
        return Err(form());
    };
    let mut parts = parts.into_iter();
    let (Some(Value::BulkString(id)), Some(Value::Array(fields))) = (parts.next(), parts.next())
    else {
        return Err(form());
    };
    let id = std::str::from_utf8(&id).ok();
    let revision = id.and_then(|id| id.split_once('-')?.0.parse().ok());
    let revision = Revision(revision.ok_or_else(form)?);
    let (mut batch, mut total, mut after) = (None, None, None);
    let mut fields = fields.into_iter();
    while let (Some(Value::BulkString(name)), Some(Value::BulkString(value))) =
        (fields.next(), fields.next())
    {
        match &name[..] {
            b"b" => batch = Some((decode_batch(&value)?, value.len())),
            b"t" => total = number(&value),
            b"a" => after = number(&value),
            _ => return Err(form()),
        }
    }
    let what = match (batch, total, after) {
        (Some((batch, bytes)), Some(total), None) => What::Batch {
            batch,
            total,
            bytes,
        },
        (None, None, Some(after)) => What::Epoch {
            after: Revision(after),
        },
        _ => return Err(form()),
    };
    Ok(Entry { revision, what })
}

fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}
