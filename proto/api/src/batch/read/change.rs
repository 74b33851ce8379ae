//! Changes of one message.

use proto_model::{Change, EngineHash, LocalHash, Medium, StoredBlock};

use super::super::problem::{BatchProblem, Wrong};
use super::super::wire::{Run, Value};
use super::{Memory, at, enumerated};
use crate::names;

pub(super) fn change(value: Value<'_>, memory: &mut Memory) -> Result<Change, Wrong> {
    memory.take::<Change>(1, 0)?;
    let mut fields = value.message()?;
    let mut change = None;
    while let Some((tag, value)) = fields.next()? {
        let (name, read) = match tag {
            1 => ("stored", stored(value, memory)),
            2 => ("stored_by_hash", stored_by_hash(value, memory)),
            3 => ("removed", removed(value, memory)),
            4 => ("cleared", cleared(value)),
            5 => ("group_excluded", group_excluded(value)),
            6 => ("unreadable", value.message().map(|_| Change::Unreadable)),
            _ => continue,
        };
        let read = at(name, read)?;
        if change.replace(read).is_some() {
            return Err(Wrong::from(BatchProblem::Twice).in_field("change"));
        }
    }
    change.ok_or_else(|| Wrong::from(BatchProblem::Missing).in_field("change"))
}

fn stored(value: Value<'_>, memory: &mut Memory) -> Result<Change, Wrong> {
    let mut fields = value.message()?;
    let (mut space, mut medium, mut group, mut parent) = (0, 0, 0, None);
    let (mut hashes, mut locals) = (Run::default(), Run::default());
    while let Some((tag, value)) = fields.next()? {
        match tag {
            1 => space = at("space", value.number16())?,
            2 => medium = at("medium", value.number())?,
            3 => group = at("group", value.number16())?,
            4 => parent = Some(EngineHash(at("parent", value.fixed())?)),
            5 => at("hashes", hashes.add(value))?,
            6 => at("locals", locals.add(value))?,
            _ => {}
        }
    }
    if locals.len() != hashes.len() {
        let (found, expected) = (locals.len(), hashes.len());
        return at(
            "locals",
            Err(BatchProblem::Count { found, expected }.into()),
        );
    }
    memory.take::<StoredBlock>(hashes.len(), 0)?;
    let mut blocks = Vec::with_capacity(hashes.len());
    blocks.extend(
        hashes
            .values()
            .zip(locals.values())
            .map(|(hash, local)| StoredBlock {
                hash: EngineHash(hash),
                local: LocalHash(local),
            }),
    );
    Ok(Change::Stored {
        space,
        medium: known_medium(medium)?,
        group,
        parent,
        blocks,
    })
}

fn stored_by_hash(value: Value<'_>, memory: &mut Memory) -> Result<Change, Wrong> {
    let mut fields = value.message()?;
    let (mut space, mut medium, mut group, mut hashes) = (0, 0, 0, Run::default());
    while let Some((tag, value)) = fields.next()? {
        match tag {
            1 => space = at("space", value.number16())?,
            2 => medium = at("medium", value.number())?,
            3 => group = at("group", value.number16())?,
            4 => at("hashes", hashes.add(value))?,
            _ => {}
        }
    }
    Ok(Change::StoredByHash {
        medium: known_medium(medium)?,
        group,
        space,
        hashes: owned(&hashes, memory)?,
    })
}

fn removed(value: Value<'_>, memory: &mut Memory) -> Result<Change, Wrong> {
    let mut fields = value.message()?;
    let (mut medium, mut group, mut hashes) = (0, 0, Run::default());
    while let Some((tag, value)) = fields.next()? {
        match tag {
            1 => medium = at("medium", value.number())?,
            2 => group = at("group", value.number16())?,
            3 => at("hashes", hashes.add(value))?,
            _ => {}
        }
    }
    Ok(Change::Removed {
        medium: known_medium(medium)?,
        group,
        hashes: owned(&hashes, memory)?,
    })
}

fn cleared(value: Value<'_>) -> Result<Change, Wrong> {
    let mut fields = value.message()?;
    let mut medium = 0;
    while let Some((tag, value)) = fields.next()? {
        if tag == 1 {
            medium = at("medium", value.number())?;
        }
    }
    let medium = match medium {
        0 => None,
        some => Some(known_medium(some)?),
    };
    Ok(Change::Cleared { medium })
}

fn group_excluded(value: Value<'_>) -> Result<Change, Wrong> {
    let mut fields = value.message()?;
    let mut group = 0;
    while let Some((tag, value)) = fields.next()? {
        if tag == 1 {
            group = at("group", value.number16())?;
        }
    }
    Ok(Change::GroupExcluded { group })
}

fn owned(run: &Run<'_>, memory: &mut Memory) -> Result<Vec<EngineHash>, Wrong> {
    memory.take::<EngineHash>(run.len(), 0)?;
    let mut hashes = Vec::with_capacity(run.len());
    hashes.extend(run.values().map(EngineHash));
    Ok(hashes)
}

fn known_medium(value: u64) -> Result<Medium, Wrong> {
    enumerated("medium", value, names::medium)
}
