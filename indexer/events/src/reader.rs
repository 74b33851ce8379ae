//! Reads msgpack values in place, under limits.

use rmp::Marker;

use crate::spare::Spare;
use crate::{BatchError, EventProblem, FieldError, Limits};

/// Why reading stopped. Boxed: what is read, not what is wrong with it, should
/// decide how large results are.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The payload cannot be read any further.
    Payload(Box<BatchError>),
    /// Only the event at hand is wrong; the next one can be found.
    Event(Box<EventProblem>),
}

impl From<FieldError> for Fault {
    fn from(error: FieldError) -> Self {
        EventProblem::Field(error).into()
    }
}

impl From<EventProblem> for Fault {
    fn from(problem: EventProblem) -> Self {
        Self::Event(Box::new(problem))
    }
}

impl From<BatchError> for Fault {
    fn from(error: BatchError) -> Self {
        Self::Payload(Box::new(error))
    }
}

/// A position in a payload, and how much memory its values may still take.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    budget: usize,
    pub(crate) limits: &'a Limits,
    /// Vectors that the next event's lists are read into.
    pub(crate) spare: &'a mut Spare,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8], limits: &'a Limits, spare: &'a mut Spare) -> Self {
        Self {
            bytes,
            at: 0,
            budget: limits.decoded_bytes,
            limits,
            spare,
        }
    }

    #[inline]
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// Goes back to a position that [`Reader::position`] gave.
    #[inline]
    pub(crate) fn rewind(&mut self, position: usize) {
        self.at = position;
    }

    pub(crate) fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// The next value's marker, without moving.
    #[inline]
    pub(crate) fn peek(&self) -> Result<Marker, Fault> {
        match self.bytes.get(self.at) {
            Some(byte) => Ok(Marker::from_u8(*byte)),
            None => Err(self.truncated(1)),
        }
    }

    #[inline]
    pub(crate) fn marker(&mut self) -> Result<Marker, Fault> {
        let marker = self.peek()?;
        self.at += 1;
        Ok(marker)
    }

    #[inline]
    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], Fault> {
        let rest = &self.bytes[self.at..];
        let taken = rest.get(..count).ok_or_else(|| self.truncated(count))?;
        self.at += count;
        Ok(taken)
    }

    /// The bytes from here on, to read several values of at once; what has been
    /// read of them is passed over with [`Reader::take`].
    #[inline]
    pub(crate) fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    /// Passes over these bytes if they come next: the encoding of something that
    /// nearly always does.
    #[inline]
    pub(crate) fn passes(&mut self, expected: &[u8]) -> bool {
        let comes = self.rest().starts_with(expected);
        if comes {
            self.at += expected.len();
        }
        comes
    }

    /// The bytes of a text of at most 31 bytes, if one comes next.
    #[inline]
    pub(crate) fn short_text(&mut self) -> Option<&'a [u8]> {
        let (marker, rest) = self.rest().split_first()?;
        if marker & 0xe0 != 0xa0 {
            return None;
        }
        let text = rest.get(..usize::from(marker & 0x1f))?;
        self.at += 1 + text.len();
        Some(text)
    }

    /// A number of at most 127, if one comes next.
    #[inline]
    pub(crate) fn small_number(&mut self) -> Option<u8> {
        let number = self.rest().first().copied().filter(u8::is_ascii)?;
        self.at += 1;
        Some(number)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        match self.rest().first_chunk() {
            Some(bytes) => {
                self.at += N;
                Ok(*bytes)
            }
            None => Err(self.truncated(N)),
        }
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Fault> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Fault> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Fault> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Fault> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    fn length8(&mut self) -> Result<usize, Fault> {
        Ok(usize::from(self.u8()?))
    }

    fn length16(&mut self) -> Result<usize, Fault> {
        Ok(usize::from(self.u16()?))
    }

    fn length32(&mut self) -> Result<usize, Fault> {
        // Saturating is right: no payload has that many bytes.
        Ok(usize::try_from(self.u32()?).unwrap_or(usize::MAX))
    }

    /// Accounts for memory about to be taken for decoded values.
    pub(crate) fn charge(&mut self, bytes: usize) -> Result<(), Fault> {
        match self.budget.checked_sub(bytes) {
            Some(left) => {
                self.budget = left;
                Ok(())
            }
            None => Err(BatchError::DecodedTooLarge {
                limit: self.limits.decoded_bytes,
            }
            .into()),
        }
    }

    /// The length of an array whose marker has been read; `None` if the marker
    /// is not an array's. Each element takes a byte at least, so a length
    /// beyond the remaining bytes cannot be true.
    pub(crate) fn array_length(&mut self, marker: Marker) -> Result<Option<usize>, Fault> {
        let length = match marker {
            Marker::FixArray(length) => usize::from(length),
            Marker::Array16 => self.length16()?,
            Marker::Array32 => self.length32()?,
            _ => return Ok(None),
        };
        self.check_remaining(length)?;
        Ok(Some(length))
    }

    /// The number of pairs of a map whose marker has been read.
    pub(crate) fn map_length(&mut self, marker: Marker) -> Result<Option<usize>, Fault> {
        let length = match marker {
            Marker::FixMap(length) => usize::from(length),
            Marker::Map16 => self.length16()?,
            Marker::Map32 => self.length32()?,
            _ => return Ok(None),
        };
        self.check_remaining(length.saturating_mul(2))?;
        Ok(Some(length))
    }

    /// The length of a text whose marker has been read.
    pub(crate) fn text_length(&mut self, marker: Marker) -> Result<Option<usize>, Fault> {
        Ok(Some(match marker {
            Marker::FixStr(length) => usize::from(length),
            Marker::Str8 => self.length8()?,
            Marker::Str16 => self.length16()?,
            Marker::Str32 => self.length32()?,
            _ => return Ok(None),
        }))
    }

    /// The length of a byte string whose marker has been read.
    pub(crate) fn bytes_length(&mut self, marker: Marker) -> Result<Option<usize>, Fault> {
        Ok(Some(match marker {
            Marker::Bin8 => self.length8()?,
            Marker::Bin16 => self.length16()?,
            Marker::Bin32 => self.length32()?,
            _ => return Ok(None),
        }))
    }

    /// An integer whose marker has been read; `None` if it is something else.
    #[expect(clippy::cast_possible_wrap, reason = "as encoded")]
    pub(crate) fn integer(&mut self, marker: Marker) -> Result<Option<i128>, Fault> {
        Ok(Some(match marker {
            Marker::FixPos(value) => i128::from(value),
            Marker::FixNeg(value) => i128::from(value),
            Marker::U8 => i128::from(self.u8()?),
            Marker::U16 => i128::from(self.u16()?),
            Marker::U32 => i128::from(self.u32()?),
            Marker::U64 => i128::from(self.u64()?),
            Marker::I8 => i128::from(self.u8()? as i8),
            Marker::I16 => i128::from(self.u16()? as i16),
            Marker::I32 => i128::from(self.u32()? as i32),
            Marker::I64 => i128::from(self.u64()? as i64),
            _ => return Ok(None),
        }))
    }

    /// Passes over one value, however deep, without recursion.
    pub(crate) fn skip(&mut self) -> Result<(), Fault> {
        let mut pending = 1_usize;
        while pending > 0 {
            self.check_remaining(pending)?;
            pending = (pending - 1).saturating_add(self.skip_one()?);
        }
        Ok(())
    }

    /// Passes over one value's own bytes; returns how many values it contains.
    fn skip_one(&mut self) -> Result<usize, Fault> {
        let marker = self.marker()?;
        if let Some(length) = self.array_length(marker)? {
            return Ok(length);
        }
        if let Some(length) = self.map_length(marker)? {
            return Ok(length.saturating_mul(2));
        }
        let length = match self.text_length(marker)? {
            Some(length) => Some(length),
            None => self.bytes_length(marker)?,
        };
        let length = match (length, marker) {
            (Some(length), _) => length,
            (None, Marker::U8 | Marker::I8) => 1,
            (None, Marker::U16 | Marker::I16 | Marker::FixExt1) => 2,
            (None, Marker::FixExt2) => 3,
            (None, Marker::U32 | Marker::I32 | Marker::F32) => 4,
            (None, Marker::FixExt4) => 5,
            (None, Marker::U64 | Marker::I64 | Marker::F64) => 8,
            (None, Marker::FixExt8) => 9,
            (None, Marker::FixExt16) => 17,
            (None, Marker::Ext8) => self.length8()?.saturating_add(1),
            (None, Marker::Ext16) => self.length16()?.saturating_add(1),
            (None, Marker::Ext32) => self.length32()?.saturating_add(1),
            (None, Marker::Reserved) => {
                return Err(BatchError::ReservedByte {
                    offset: self.at - 1,
                }
                .into());
            }
            (None, _) => 0,
        };
        self.take(length)?;
        Ok(0)
    }

    fn check_remaining(&self, count: usize) -> Result<(), Fault> {
        if count > self.remaining() {
            Err(self.truncated(count))
        } else {
            Ok(())
        }
    }

    #[cold]
    fn truncated(&self, count: usize) -> Fault {
        let needed = count.saturating_sub(self.remaining());
        BatchError::Truncated {
            offset: self.at,
            needed,
        }
        .into()
    }
}

/// What a marker stands for, in an error's words.
pub(crate) fn name(marker: Marker) -> &'static str {
    match marker {
        Marker::Null => "nil",
        Marker::True | Marker::False => "boolean",
        Marker::FixPos(_) | Marker::FixNeg(_) => "integer",
        Marker::U8 | Marker::U16 | Marker::U32 | Marker::U64 => "integer",
        Marker::I8 | Marker::I16 | Marker::I32 | Marker::I64 => "integer",
        Marker::F32 | Marker::F64 => "float",
        Marker::FixStr(_) | Marker::Str8 | Marker::Str16 | Marker::Str32 => "text",
        Marker::Bin8 | Marker::Bin16 | Marker::Bin32 => "byte string",
        Marker::FixArray(_) | Marker::Array16 | Marker::Array32 => "array",
        Marker::FixMap(_) | Marker::Map16 | Marker::Map32 => "map",
        Marker::Reserved => "reserved byte",
        _ => "extension",
    }
}
