//! Fields of one protobuf message, one after another, without copies.

use prost::encoding::decode_varint;

use super::problem::{BatchProblem, Wrong};

/// What is left of a message.
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

/// A field's value as it stands on the wire.
#[derive(Clone, Copy)]
pub(super) enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    /// 32 bits; no field of ours has them.
    Fixed32,
}

const CUT: BatchProblem = BatchProblem::NotProtobuf("it ends within a field");

impl<'a> Fields<'a> {
    pub(super) fn of(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    /// The next field's number and value.
    #[inline]
    pub(super) fn next(&mut self) -> Result<Option<(u64, Value<'a>)>, BatchProblem> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        let value = match key & 7 {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(fixed64(self.take(8)?)),
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| CUT)?;
                Value::Bytes(self.take(length)?)
            }
            5 => {
                self.take(4)?;
                Value::Fixed32
            }
            _ => return Err(BatchProblem::NotProtobuf("unknown wire type")),
        };
        Ok(Some((key >> 3, value)))
    }

    fn varint(&mut self) -> Result<u64, BatchProblem> {
        decode_varint(&mut self.rest)
            .map_err(|_| BatchProblem::NotProtobuf("a number does not end"))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], BatchProblem> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(CUT)?;
        self.rest = rest;
        Ok(taken)
    }
}

#[inline]
fn fixed64(bytes: &[u8]) -> u64 {
    let mut all = [0; 8];
    all.copy_from_slice(bytes);
    u64::from_le_bytes(all)
}

impl<'a> Value<'a> {
    pub(super) fn number(self) -> Result<u64, Wrong> {
        match self {
            Self::Varint(value) => Ok(value),
            _ => Err(BatchProblem::WrongType.into()),
        }
    }

    /// A number of at most 32 bits.
    pub(super) fn number32(self) -> Result<u32, Wrong> {
        let value = self.number()?;
        let max = u64::from(u32::MAX);
        u32::try_from(value).map_err(|_| BatchProblem::TooLarge { value, max }.into())
    }

    /// A number of at most 16 bits.
    pub(super) fn number16(self) -> Result<u16, Wrong> {
        let value = self.number()?;
        let max = u64::from(u16::MAX);
        u16::try_from(value).map_err(|_| BatchProblem::TooLarge { value, max }.into())
    }

    pub(super) fn fixed(self) -> Result<u64, Wrong> {
        match self {
            Self::Fixed64(value) => Ok(value),
            _ => Err(BatchProblem::WrongType.into()),
        }
    }

    pub(super) fn bytes(self) -> Result<&'a [u8], Wrong> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            _ => Err(BatchProblem::WrongType.into()),
        }
    }

    pub(super) fn text(self) -> Result<&'a str, Wrong> {
        std::str::from_utf8(self.bytes()?).map_err(|_| BatchProblem::NotText.into())
    }

    pub(super) fn message(self) -> Result<Fields<'a>, Wrong> {
        self.bytes().map(Fields::of)
    }
}

/// A `repeated fixed64`: nearly always one packed run, which is not copied.
#[derive(Default)]
pub(super) struct Run<'a> {
    packed: &'a [u8],
    /// What came after the first packed run.
    more: Vec<u64>,
}

impl<'a> Run<'a> {
    pub(super) fn add(&mut self, value: Value<'a>) -> Result<(), Wrong> {
        match value {
            Value::Fixed64(value) => self.more.push(value),
            Value::Bytes(bytes) if bytes.len() % 8 != 0 => {
                let expected = "a multiple of 8";
                let found = bytes.len();
                return Err(BatchProblem::Length { found, expected }.into());
            }
            Value::Bytes(bytes) if self.len() == 0 => self.packed = bytes,
            Value::Bytes(bytes) => self.more.extend(bytes.chunks_exact(8).map(fixed64)),
            Value::Varint(_) | Value::Fixed32 => return Err(BatchProblem::WrongType.into()),
        }
        Ok(())
    }

    pub(super) fn len(&self) -> usize {
        self.packed.len() / 8 + self.more.len()
    }

    #[inline]
    pub(super) fn values(&self) -> impl Iterator<Item = u64> {
        let more = self.more.iter().copied();
        self.packed.chunks_exact(8).map(fixed64).chain(more)
    }
}
