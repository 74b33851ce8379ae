//! What is stored under the keys: a format byte, then postcard.

use indexer_state::{ImagePiece, PublisherImage};
use proto_model::Batch;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::LinkError;

/// The format of everything that is stored. Format 1 is the same without routes,
/// so it is read too.
const FORMAT: u8 = 2;
const FORMAT_WITHOUT_ROUTES: u8 = 1;

/// A batch as the stream carries it.
pub(crate) fn encode_batch(batch: &Batch) -> Result<Vec<u8>, LinkError> {
    encode(batch, "a batch")
}

/// Reads a batch of the stream.
pub(crate) fn decode_batch(bytes: &[u8]) -> Result<Batch, LinkError> {
    decode(bytes, "a batch of the stream")
}

/// A publisher's header.
pub(crate) fn encode_header(image: &PublisherImage) -> Result<Vec<u8>, LinkError> {
    encode(image, "a header")
}

/// Reads a publisher's header.
pub(crate) fn decode_header(bytes: &[u8]) -> Result<PublisherImage, LinkError> {
    decode(bytes, "a publisher's header")
}

/// Some pieces of an image, as one value of a checkpoint.
#[derive(Debug)]
pub(crate) struct PieceWriter {
    bytes: Vec<u8>,
}

impl PieceWriter {
    /// Begins the value `index` of checkpoint `number`.
    pub(crate) fn new(number: u64, index: u64) -> Result<Self, LinkError> {
        let bytes = encode(&(number, index), "a checkpoint's piece")?;
        Ok(Self { bytes })
    }

    /// Adds an image piece, and says how many bytes there are now.
    pub(crate) fn push(&mut self, piece: &ImagePiece) -> Result<usize, LinkError> {
        let bytes = std::mem::take(&mut self.bytes);
        self.bytes = postcard::to_extend(piece, bytes).map_err(|_| LinkError::Form {
            what: "an image piece",
        })?;
        Ok(self.bytes.len())
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

/// Reads a value of a checkpoint, which must be the one asked for.
pub(crate) fn decode_piece(
    bytes: &[u8],
    number: u64,
    index: u64,
) -> Result<Vec<ImagePiece>, LinkError> {
    let form = || LinkError::Form {
        what: "a checkpoint's piece",
    };
    let rest = formatted(bytes, "a checkpoint's piece")?;
    let (head, mut rest): ((u64, u64), _) = postcard::take_from_bytes(rest).map_err(|_| form())?;
    if head != (number, index) {
        return Err(form());
    }
    let mut pieces = Vec::new();
    while !rest.is_empty() {
        let (piece, after) = postcard::take_from_bytes(rest).map_err(|_| form())?;
        pieces.push(piece);
        rest = after;
    }
    Ok(pieces)
}

fn encode(value: &impl Serialize, what: &'static str) -> Result<Vec<u8>, LinkError> {
    postcard::to_extend(value, vec![FORMAT]).map_err(|_| LinkError::Form { what })
}

fn decode<T: DeserializeOwned>(bytes: &[u8], what: &'static str) -> Result<T, LinkError> {
    match postcard::take_from_bytes(formatted(bytes, what)?) {
        Ok((value, [])) => Ok(value),
        _ => Err(LinkError::Form { what }),
    }
}

fn formatted<'a>(bytes: &'a [u8], what: &'static str) -> Result<&'a [u8], LinkError> {
    match bytes {
        [FORMAT | FORMAT_WITHOUT_ROUTES, rest @ ..] => Ok(rest),
        _ => Err(LinkError::Form { what }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_is_read_only_where_it_belongs() {
        let mut piece = PieceWriter::new(3, 7).expect("begins");
        piece.push(&ImagePiece::End).expect("takes one");
        piece.push(&ImagePiece::End).expect("takes another");
        let bytes = piece.finish();
        let read = decode_piece(&bytes, 3, 7).expect("reads");
        assert_eq!(read, [ImagePiece::End, ImagePiece::End]);
        for (number, index) in [(4, 7), (3, 6)] {
            decode_piece(&bytes, number, index).expect_err("another piece");
        }
        decode_piece(&bytes[..bytes.len() - 1], 3, 8).expect_err("cut short");
    }

    #[test]
    fn other_formats_and_leftovers_are_refused() {
        let mut bytes = encode_batch(&Batch::default()).expect("encodes");
        assert_eq!(decode_batch(&bytes).expect("reads"), Batch::default());
        bytes.push(0);
        decode_batch(&bytes).expect_err("something is left");
        bytes.pop();
        bytes[0] = 1;
        assert_eq!(decode_batch(&bytes).expect("reads"), Batch::default());
        bytes[0] = 9;
        decode_batch(&bytes).expect_err("another format");
        decode_batch(&[]).expect_err("nothing");
    }
}
