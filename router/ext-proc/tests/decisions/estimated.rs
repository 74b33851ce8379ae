//! Estimated routing: by where requests went before.

use std::sync::Arc;

use proto_api::v1;
use router_discovery::{EstimatedRouting, Strategy};
use router_ext_proc::NoLoads;

use crate::eventually;
use crate::pool::{Picker, chat, patient, pool, post};
use crate::scorer_double::{Does, ScorerDouble};

const A: &str = "10.0.0.1:8000";
const B: &str = "10.0.0.2:8000";

fn matched(address: &str, blocks: u32) -> v1::EndpointScore {
    v1::EndpointScore {
        address: address.to_owned(),
        matched_blocks: blocks,
        block_size: 64,
        profile: v1::Profile::Text.into(),
        trust: v1::Trust::Estimated.into(),
        ..Default::default()
    }
}

fn answer(endpoints: Vec<v1::EndpointScore>) -> Does {
    Does::Answer(Box::new(v1::ScoreResponse {
        endpoints,
        prompt_blocks: 100,
        route_keys: vec![v1::RouteKeys {
            profile: v1::Profile::Text.into(),
            block_size: 64,
            keys: (0..100).collect(),
        }],
        ..Default::default()
    }))
}

async fn picker(scorer: &ScorerDouble) -> Picker {
    let view = pool(Strategy::Estimated(EstimatedRouting::default()), &[A, B]);
    Picker::with(view, &[scorer], patient(), Arc::new(NoLoads))
}

#[tokio::test]
async fn above_the_threshold_the_longest_match_is_picked_and_recorded() {
    let scorer = ScorerDouble::start(answer(vec![matched(B, 54), matched(A, 20)])).await;
    let picker = picker(&scorer).await;
    for _ in 0..20 {
        assert_eq!(picker.first(chat()).await, B);
    }
    assert_eq!(picker.decider.stats().prefix_routed.get(), 20);
    let estimation = scorer.asked()[0].estimation.unwrap();
    assert_eq!((estimation.block_bytes, estimation.max_blocks), (64, 4096));
    eventually("records", || scorer.recorded().len() == 20).await;
    let record = &scorer.recorded()[0];
    assert_eq!(record.address, B);
    assert_eq!(record.kind, i32::from(v1::RouteKind::Estimated));
    assert_eq!(
        (record.keys.len(), record.lifetime_ms, record.capacity),
        (100, 0, 31_250)
    );
}

#[tokio::test]
async fn at_the_threshold_load_decides_and_the_route_is_recorded_all_the_same() {
    let scorer = ScorerDouble::start(answer(vec![matched(B, 50)])).await;
    let picker = picker(&scorer).await;
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..64 {
        seen.insert(picker.first(chat()).await);
    }
    assert_eq!(seen.len(), 2, "both are as good");
    assert_eq!(picker.decider.stats().prefix_routed.get(), 0);
    eventually("records", || scorer.recorded().len() == 64).await;
}

#[tokio::test]
async fn a_prompt_shorter_than_a_block_goes_by_load() {
    let short = Does::Answer(Box::default());
    let scorer = ScorerDouble::start(short).await;
    let picker = picker(&scorer).await;
    picker
        .first(post("/v1/completions", r#"{"model":"m","prompt":"x"}"#))
        .await;
    assert!(matches!(
        scorer.asked()[0].input,
        Some(v1::score_request::Input::Completion(_))
    ));
    let stats = picker.decider.stats();
    assert_eq!(
        (stats.prefix_routed.get(), stats.not_recorded.get()),
        (0, 0)
    );
    assert_eq!(scorer.record_calls(), 0);
}
