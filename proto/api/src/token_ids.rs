//! A prompt's token ids on the wire, in both of their forms.
//!
//! A prompt has some thousand ids, and reading them one by one through a general
//! decoder takes longer than answering. `TokenIds` is read by hand here, a packed
//! run at a time; `token_ids_le` needs no decoding at all.

mod varints;

use bytes::{Buf, BufMut, Bytes};
use prost::DecodeError;
use prost::encoding::{self, DecodeContext, WireType, uint32};
use proto_model::TokenId;

use crate::InvalidQuery;
use crate::v1::score_request::Input;

/// The number of the message's only field.
const IDS: u32 = 1;

/// Bytes of one id in the dense form.
const DENSE: usize = 4;

/// `kvatlas.v1.TokenIds`: token ids, first to last.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct TokenIds {
    /// The ids.
    pub ids: Vec<u32>,
}

impl Input {
    /// Token ids in their dense form, `token_ids_le`: what is quickest to send and
    /// to read.
    #[must_use]
    pub fn dense(ids: &[TokenId]) -> Self {
        let bytes: Vec<u8> = ids.iter().flat_map(|id| id.to_le_bytes()).collect();
        Self::TokenIdsLe(bytes.into())
    }
}

/// Reads the dense form, which was already found to be neither empty nor too long.
pub(crate) fn from_dense(bytes: &Bytes) -> Result<Vec<TokenId>, InvalidQuery> {
    let (ids, rest) = bytes.as_chunks::<DENSE>();
    match rest {
        [] => Ok(ids.iter().map(|id| u32::from_le_bytes(*id)).collect()),
        _ => Err(InvalidQuery::TokenBytes(bytes.len())),
    }
}

/// How many ids the bytes of a dense form stand for; what is cut counts.
pub(crate) fn dense_count(bytes: &Bytes) -> usize {
    bytes.len().div_ceil(DENSE)
}

/// As the generated code has it, but for the reading of packed runs.
impl prost::Message for TokenIds {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        uint32::encode_packed(IDS, &self.ids, buf);
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<(), DecodeError> {
        if tag != IDS {
            return encoding::skip_field(wire_type, tag, buf, ctx);
        }
        if wire_type == WireType::LengthDelimited
            && let Some(taken) = packed_run(buf.chunk(), &mut self.ids)
        {
            buf.advance(taken);
            return Ok(());
        }
        // In pieces, one by one, or wrong: nothing of it was taken yet.
        uint32::merge_repeated(wire_type, &mut self.ids, buf, ctx)
    }

    fn encoded_len(&self) -> usize {
        uint32::encoded_len_packed(IDS, &self.ids)
    }

    fn clear(&mut self) {
        self.ids.clear();
    }
}

/// Appends the ids of a run that the bytes begin with, its length first. Returns
/// the bytes of both, or `None`, with no id appended, if the run does not end
/// within them or is not well formed.
fn packed_run(bytes: &[u8], ids: &mut Vec<u32>) -> Option<usize> {
    let mut rest = bytes;
    let length = usize::try_from(encoding::decode_varint(&mut rest).ok()?).ok()?;
    let run = rest.get(..length)?;
    let before = ids.len();
    if varints::append(run, ids).is_none() {
        ids.truncate(before);
        return None;
    }
    Some(bytes.len() - rest.len() + length)
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use proptest::prelude::*;
    use prost::Message;

    use super::*;

    /// As the generated code reads it.
    fn generated(bytes: &[u8]) -> Result<Vec<u32>, DecodeError> {
        let (mut ids, mut buf) = (Vec::new(), bytes);
        let ctx = DecodeContext::default();
        while buf.has_remaining() {
            let (tag, wire_type) = encoding::decode_key(&mut buf)?;
            match tag {
                IDS => uint32::merge_repeated(wire_type, &mut ids, &mut buf, ctx.clone())?,
                _ => encoding::skip_field(wire_type, tag, &mut buf, ctx.clone())?,
            }
        }
        Ok(ids)
    }

    fn id() -> impl Strategy<Value = u32> {
        (any::<u32>(), 0..32_u32).prop_map(|(id, shift)| id >> shift)
    }

    fn wire() -> impl Strategy<Value = Vec<u8>> {
        let ids = prop::collection::vec(id(), 0..40);
        let runs = prop::collection::vec(ids, 0..3).prop_map(|runs| {
            let mut bytes = Vec::new();
            for ids in runs {
                uint32::encode_packed(IDS, &ids, &mut bytes);
                // Numbers that stand alone, and a field of another message.
                uint32::encode(IDS, &7, &mut bytes);
                uint32::encode(2, &9, &mut bytes);
            }
            bytes
        });
        let damage = prop::option::weighted(0.4, (any::<prop::sample::Index>(), any::<u8>()));
        (runs, damage).prop_map(|(mut bytes, damage)| {
            if let Some((place, byte)) = damage
                && !bytes.is_empty()
            {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
            bytes
        })
    }

    proptest! {
        #[test]
        fn what_is_read_is_what_the_generated_code_reads(
            bytes in wire(),
            cut in any::<prop::sample::Index>(),
        ) {
            let expected = generated(&bytes);
            let read = TokenIds::decode(&bytes[..]).map(|tokens| tokens.ids);
            prop_assert_eq!(&read, &expected);
            // A run may also lie in two pieces.
            let (first, second) = bytes.split_at(cut.index(bytes.len() + 1));
            let pieces = first.chain(second);
            let read = TokenIds::decode(pieces).map(|tokens| tokens.ids);
            prop_assert_eq!(read.ok(), expected.ok());
        }

        #[test]
        fn both_forms_hold_the_same_ids(ids in prop::collection::vec(id(), 0..40)) {
            let tokens = TokenIds { ids: ids.clone() };
            let mut bytes = BytesMut::new();
            tokens.encode(&mut bytes).unwrap();
            prop_assert_eq!(tokens.encoded_len(), bytes.len());
            prop_assert_eq!(TokenIds::decode(bytes), Ok(tokens));
            let Input::TokenIdsLe(dense) = Input::dense(&ids) else { unreachable!() };
            prop_assert_eq!(dense_count(&dense), ids.len());
            prop_assert_eq!(from_dense(&dense), Ok(ids));
        }
    }

    #[test]
    fn a_number_beyond_32_bits_is_read_as_protobuf_reads_it() {
        // 2^32 + 5, in five bytes.
        let bytes = [0x0a, 5, 0x85, 0x80, 0x80, 0x80, 0x10];
        assert_eq!(TokenIds::decode(&bytes[..]).unwrap().ids, [5]);
    }

    #[test]
    fn a_dense_form_that_is_cut_is_refused() {
        let bytes = Bytes::from_static(&[1, 0, 0, 0, 2]);
        assert_eq!(from_dense(&bytes), Err(InvalidQuery::TokenBytes(5)));
    }
}
