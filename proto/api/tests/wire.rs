//! What is right survives the wire, and nothing from it panics.

use proptest::prelude::*;
use prost::Message;
use proto_api::ScoreQuery;
use proto_api::v1::score_request::Input as WireInput;
use proto_api::v1::{BlockKeys, MediumWeights, ScoreRequest, TokenIds};

#[test]
fn llm_d_messages_have_llm_d_bytes() {
    let request = proto_api::llmd::GetPodScoresRequest {
        prompt: "p".to_owned(),
        model_name: "m".to_owned(),
        pod_identifiers: vec!["x".to_owned()],
    };
    assert_eq!(request.encode_to_vec(), b"\x0a\x01p\x12\x01m\x1a\x01x");
    let score = proto_api::llmd::PodScore {
        pod: "x".to_owned(),
        score: 1.0,
    };
    assert_eq!(score.encode_to_vec(), b"\x0a\x01x\x11\0\0\0\0\0\0\xf0\x3f");
}

fn any_input() -> impl Strategy<Value = WireInput> {
    let values = prop::collection::vec(any::<u64>(), 1..20);
    prop_oneof![
        ".{1,40}".prop_map(WireInput::Text),
        ".{1,40}".prop_map(|text| WireInput::Chat(text.into())),
        prop::collection::vec(any::<u32>(), 1..50)
            .prop_map(|ids| WireInput::Tokens(TokenIds { ids })),
        prop::collection::vec(any::<u32>(), 1..50).prop_map(|ids| WireInput::dense(&ids)),
        (values, 1..3_i32, 1..64_u32).prop_map(|(values, form, block_size)| {
            WireInput::Keys(BlockKeys {
                values,
                form,
                block_size,
                prompt_tokens: 0,
            })
        }),
    ]
}

proptest! {
    #[test]
    fn what_is_right_survives_the_wire(
        input in any_input(),
        request_id in "[a-z]{0,9}",
        limit in 0..1000_u32,
        candidates in prop::collection::vec("([a-z]{1,3}/)?[0-9]{1,3}:80(#[0-9]{1,3})?", 0..4),
        gpu in prop::option::of(0.0..=1.0_f64),
    ) {
        let weights = gpu.map(|gpu| MediumWeights { gpu: Some(gpu), ..Default::default() });
        let request = ScoreRequest {
            request_id, input: Some(input), limit, candidates, weights, model: "m".to_owned(),
            ..Default::default()
        };
        let query = ScoreQuery::try_from(request).expect("all fields are right");
        let back = ScoreRequest::decode(ScoreRequest::from(query.clone()).encode_to_vec().as_slice())
            .expect("own encoding");
        prop_assert_eq!(ScoreQuery::try_from(back), Ok(query));
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(request) = ScoreRequest::decode(bytes.as_slice()) {
            let _ = ScoreQuery::try_from(request);
        }
    }
}
