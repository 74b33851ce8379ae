//! One input, many frames.

use bytes::Bytes;

/// Splits the input into at most eight frames; the byte before each but the
/// last is its length, and the last frame is what remains.
pub fn split(mut data: &[u8]) -> Vec<Bytes> {
    let Some((count, rest)) = data.split_first() else {
        return Vec::new();
    };
    data = rest;
    let mut frames = Vec::new();
    for _ in 0..count % 8 {
        let Some((length, rest)) = data.split_first() else {
            break;
        };
        let (frame, rest) = rest.split_at(rest.len().min(usize::from(*length)));
        frames.push(Bytes::copy_from_slice(frame));
        data = rest;
    }
    frames.push(Bytes::copy_from_slice(data));
    frames
}
