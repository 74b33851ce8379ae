//! Frames byte for byte as engines of four versions were seen to send them.

use indexer_events::{BlockRemoved, EngineEvent, Limits, decode_batch};
use proto_model::{EngineHash, Medium, Timestamp};

/// `93 cb <1763600000.25 as a double>`
const BATCH_OF_THREE: &[u8] = b"\x93\xcb\x41\xda\x47\x99\xa0\x10\x00\x00";

fn decode(events_and_rank: &[u8]) -> EngineEvent {
    let payload = [BATCH_OF_THREE, events_and_rank].concat();
    let mut decoded = decode_batch(&payload, &Limits::default()).unwrap();
    assert_eq!(decoded.batch.timestamp, Timestamp(1_763_600_000_250_000));
    assert_eq!(decoded.batch.data_parallel_rank, Some(0));
    assert_eq!((decoded.errors.len(), decoded.unknown_fields), (0, 0));
    assert_eq!(decoded.batch.events.len(), 1);
    decoded.batch.events.remove(0)
}

fn removed(hash: u64, group_idx: Option<u16>) -> EngineEvent {
    EngineEvent::BlockRemoved(BlockRemoved {
        block_hashes: vec![EngineHash(hash)],
        medium: Medium::Gpu,
        group_idx,
        spec_kind: None,
        locality: None,
        ownership: None,
        object_key: None,
    })
}

#[test]
fn vllm_0_10_1_names_no_medium() {
    let bytes = b"\x91\x92\xacBlockRemoved\x91\xcf\x16\x95\x73\x40\x42\xcb\xf7\x4d\x00";
    assert_eq!(decode(bytes), removed(0x1695_7340_42cb_f74d, None));
}

#[test]
fn vllm_0_10_1_builtin_hashes_are_signed() {
    let bytes = b"\x91\x92\xacBlockRemoved\x91\xd3\xff\xff\xff\xff\xff\xff\xff\xfe\x00";
    assert_eq!(decode(bytes), removed(u64::MAX - 1, None));
}

#[test]
fn vllm_0_10_2_byte_hashes_count_by_their_last_eight_bytes() {
    let mut bytes = b"\x91\x93\xacBlockRemoved\x91\xc4\x20".to_vec();
    bytes.extend(0..32_u8);
    bytes.extend(b"\xa3GPU\x00");
    assert_eq!(decode(&bytes), removed(0x1819_1a1b_1c1d_1e1f, None));
}

#[test]
fn vllm_0_23_names_the_group() {
    let bytes = b"\x91\x94\xacBlockRemoved\x91\xcf\x16\x95\x73\x40\x42\xcb\xf7\x4d\xa3GPU\x00\x00";
    assert_eq!(decode(bytes), removed(0x1695_7340_42cb_f74d, Some(0)));
}

#[test]
fn vllm_0_32_sends_a_map() {
    let bytes = b"\x91\x84\xa4type\xacBlockRemoved\xacblock_hashes\x91\xcf\x16\x95\x73\x40\x42\
                  \xcb\xf7\x4d\xa6medium\xa3GPU\xa9group_idx\x00\x00";
    assert_eq!(decode(bytes), removed(0x1695_7340_42cb_f74d, Some(0)));
}

#[test]
fn clears_are_a_lone_tag() {
    let cleared = EngineEvent::AllBlocksCleared { medium: None };
    assert_eq!(decode(b"\x91\x91\xb0AllBlocksCleared\x00"), cleared);
    assert_eq!(decode(b"\x91\x81\xa4type\xb0AllBlocksCleared\x00"), cleared);
}
