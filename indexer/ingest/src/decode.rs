//! What can be told of a payload even if it cannot be read.

use indexer_events::Decoded;
use proto_model::Timestamp;

/// The message's time. Of a payload that cannot be read, the first element of
/// its array, if that at least is a float: every ingestor must give the same
/// message the same time, or the state would take one for a restart.
pub(crate) fn timestamp(payload: &[u8], decoded: Option<&Decoded>) -> Timestamp {
    if let Some(decoded) = decoded {
        return decoded.batch.timestamp;
    }
    let [0x92..=0x9f, 0xcb, rest @ ..] = payload else {
        return Timestamp(0);
    };
    let bits = rest
        .first_chunk::<8>()
        .map_or(0, |bytes| u64::from_be_bytes(*bytes));
    Timestamp::from_seconds(f64::from_bits(bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_payload_keeps_its_time() {
        let mut payload = vec![0x93, 0xcb];
        payload.extend_from_slice(&1.5_f64.to_be_bytes());
        payload.push(0xc1);
        assert_eq!(timestamp(&payload, None), Timestamp(1_500_000));
        assert_eq!(timestamp(&payload[..5], None), Timestamp(0));
        assert_eq!(timestamp(b"", None), Timestamp(0));
    }
}
