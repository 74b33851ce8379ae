//! Precise routing: by what engines announced.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use proto_api::v1;
use router_discovery::{Strategy, TrackingRouting};
use router_ext_proc::{DeciderOptions, Mode, Subset, SubsetEntry};
use tonic::Code;

use crate::eventually;
use crate::pool::{Picker, chat, patient, pool, post, row, rows};
use crate::scorer_double::{Does, ScorerDouble};

const A: &str = "10.0.0.1:8000";
const B: &str = "10.0.0.2:8000";

fn tracking() -> Strategy {
    Strategy::Tracking(TrackingRouting::default())
}

fn precise(scorer: &ScorerDouble, addresses: &[&str]) -> Picker {
    let view = pool(tracking(), addresses);
    Picker::with(
        view,
        &[scorer],
        patient(),
        Arc::new(router_ext_proc::NoLoads),
    )
}

async fn answering(answer: v1::ScoreResponse) -> ScorerDouble {
    ScorerDouble::start(Does::Answer(Box::new(answer))).await
}

#[tokio::test]
async fn the_endpoint_with_the_prefix_is_picked_and_recorded_under_its_own_name() {
    let scorer = answering(rows(vec![row("10.0.0.2", 0, 40), row("10.0.0.1", 0, 0)])).await;
    let picker = precise(&scorer, &[A, B]);
    let routed = picker.route(chat()).await.ok().unwrap();
    assert_eq!(routed.endpoints, [B.parse().unwrap()]);
    assert!(routed.body.is_none() && routed.set_headers.is_empty());
    let asked = &scorer.asked()[0];
    assert_eq!(asked.candidates, [A, B]);
    assert_eq!(asked.model, "m");
    assert!(asked.include_route_keys && asked.estimation.is_none());
    let Some(v1::score_request::Input::Chat(body)) = &asked.input else {
        panic!("no chat");
    };
    assert_eq!(&body[..], br#"{"model":"m","messages":[]}"#);
    eventually("a record", || scorer.recorded().len() == 1).await;
    let record = &scorer.recorded()[0];
    assert_eq!(
        (record.cluster.as_str(), record.address.as_str()),
        ("default", "10.0.0.2")
    );
    assert_eq!(record.kind, i32::from(v1::RouteKind::Speculative));
    assert_eq!((record.keys.len(), record.lifetime_ms), (62, 5000));
    assert_eq!(
        picker.decider.stats().modes[Mode::Tracking as usize].get(),
        1
    );
}

#[tokio::test]
async fn an_endpoint_that_the_index_does_not_know_is_recorded_by_its_address() {
    let scorer = answering(rows(Vec::new())).await;
    let picker = precise(&scorer, &[A]);
    assert_eq!(picker.first(chat()).await, A);
    eventually("a record", || scorer.recorded().len() == 1).await;
    assert_eq!(scorer.recorded()[0].address, A);
    assert_eq!(scorer.recorded()[0].cluster, "");
}

#[tokio::test]
async fn what_the_engine_has_confirmed_is_not_recorded_again() {
    let scorer = answering(rows(vec![row(A, 0, 62)])).await;
    let picker = precise(&scorer, &[A]);
    picker.first(chat()).await;
    let mut speculative = row(A, 0, 62);
    speculative.speculative_tokens = 16;
    scorer.does(Does::Answer(Box::new(rows(vec![speculative]))));
    picker.first(chat()).await;
    eventually("a record", || scorer.recorded().len() == 1).await;
    assert_eq!((scorer.asked().len(), scorer.record_calls()), (2, 1));
}

#[tokio::test]
async fn the_best_rank_of_an_address_is_asked_for() {
    let scorer = answering(rows(vec![row(A, 0, 2), row(A, 3, 40), row(B, 0, 1)])).await;
    let picker = precise(&scorer, &[A, B]);
    let routed = picker.route(chat()).await.ok().unwrap();
    assert_eq!(routed.endpoints[0].to_string(), A);
    assert_eq!(
        routed.set_headers,
        [("x-data-parallel-rank", "3".to_owned())]
    );
    eventually("a record", || scorer.recorded().len() == 1).await;
    assert_eq!(scorer.recorded()[0].rank, 3);
}

#[tokio::test]
async fn an_engine_without_the_prefix_chooses_its_rank_itself() {
    let scorer = answering(rows(vec![row(A, 0, 0), row(A, 1, 0)])).await;
    let picker = precise(&scorer, &[A]);
    let routed = picker.route(chat()).await.ok().unwrap();
    assert!(routed.set_headers.is_empty());
    assert_eq!(picker.decider.stats().not_recorded.get(), 1);
    assert_eq!(scorer.record_calls(), 0);
}

#[tokio::test]
async fn fallbacks_follow_in_order() {
    let scorer = answering(rows(vec![row(A, 0, 10), row(B, 0, 50)])).await;
    let options = DeciderOptions {
        choices: 2,
        ..patient()
    };
    let view = pool(tracking(), &[A, B]);
    let picker = Picker::with(
        view,
        &[&scorer],
        options,
        Arc::new(router_ext_proc::NoLoads),
    );
    let routed = picker.route(chat()).await.ok().unwrap();
    let expected: [SocketAddr; 2] = [B.parse().unwrap(), A.parse().unwrap()];
    assert_eq!(routed.endpoints, expected);
}

#[tokio::test]
async fn a_subset_holds_whoever_has_the_prefix() {
    let scorer = answering(rows(vec![row(B, 0, 60)])).await;
    let picker = precise(&scorer, &[A, B]);
    let mut asked = chat();
    let entry = SubsetEntry {
        ip: "10.0.0.1".parse().unwrap(),
        port: None,
    };
    asked.subset = Subset::Only(vec![entry]);
    assert_eq!(picker.first(asked).await, A);
    assert_eq!(scorer.asked()[0].candidates, [A]);
}

#[tokio::test]
async fn without_an_answer_load_decides_and_the_reason_is_counted() {
    let cases = [
        (Does::Fail(Code::NotFound), "unknown_model"),
        (Does::Fail(Code::InvalidArgument), "refused"),
        (Does::Fail(Code::FailedPrecondition), "not_configured"),
        (Does::Fail(Code::Unavailable), "unavailable"),
        (Does::Silent, "late"),
    ];
    for (does, reason) in cases {
        let options = match does {
            Does::Silent => DeciderOptions::default(),
            _ => patient(),
        };
        let scorer = ScorerDouble::start(does).await;
        let view = pool(tracking(), &[A]);
        let picker = Picker::with(
            view,
            &[&scorer],
            options,
            Arc::new(router_ext_proc::NoLoads),
        );
        assert_eq!(picker.first(chat()).await, A);
        let stats = picker.decider.stats();
        let at = router_ext_proc::FALLBACK_REASONS
            .iter()
            .position(|known| *known == reason);
        assert_eq!(stats.fallbacks[at.unwrap()].get(), 1, "{reason}");
        assert_eq!(stats.modes[Mode::Fallback as usize].get(), 1);
    }
}

#[tokio::test]
async fn no_time_left_and_too_long_a_body_are_not_asked_about() {
    let scorer = answering(rows(Vec::new())).await;
    let picker = precise(&scorer, &[A]);
    let mut late = chat();
    late.deadline = Instant::now() + Duration::from_millis(1);
    assert_eq!(picker.first(late).await, A);
    let long = format!(r#"{{"model":"m","messages":"{}"}}"#, "x".repeat(5 << 20));
    assert_eq!(picker.first(post("/v1/chat/completions", &long)).await, A);
    assert!(scorer.asked().is_empty());
    assert_eq!(
        picker.decider.stats().modes[Mode::Fallback as usize].get(),
        2
    );
}

#[tokio::test]
async fn who_left_the_pool_while_scorers_were_asked_is_not_picked() {
    let told = Arc::new(tokio::sync::Notify::new());
    let answer = Box::new(rows(vec![row(A, 0, 60)]));
    let scorer = ScorerDouble::start(Does::Wait(Arc::clone(&told), answer)).await;
    let picker = Arc::new(precise(&scorer, &[A, B]));
    let asking = Arc::clone(&picker);
    let decision = tokio::spawn(async move { asking.first(chat()).await });
    eventually("a question", || !scorer.asked().is_empty()).await;
    picker.view.send_replace(Arc::new(pool(tracking(), &[B])));
    told.notify_one();
    assert_eq!(decision.await.unwrap(), B);
}

#[tokio::test]
async fn another_block_size_than_the_policys_is_loud() {
    let scorer = answering(rows(vec![row(A, 0, 1)])).await;
    let mut view = pool(tracking(), &[A]);
    view.strategy = Strategy::Tracking(TrackingRouting {
        block_size: Some(64),
        ..Default::default()
    });
    let picker = Picker::with(
        view,
        &[&scorer],
        patient(),
        Arc::new(router_ext_proc::NoLoads),
    );
    picker.first(chat()).await;
    assert_eq!(picker.decider.stats().block_size_differs.get(), 1);
}

#[tokio::test]
async fn what_no_prompt_can_have_is_not_believed() {
    let mut answer = rows(vec![v1::EndpointScore {
        reusable_tokens: u32::MAX,
        score: f64::NAN,
        ..row(A, 0, 1)
    }]);
    answer.prompt_tokens = u32::MAX;
    let scorer = answering(answer).await;
    let picker = precise(&scorer, &[A]);
    let asked = chat();
    let bytes = asked.body.as_ref().unwrap().len() as u64;
    let mut ticket = picker.route(asked).await.ok().unwrap().ticket;
    ticket.responded(200, None);
    let usage = router_ext_proc::Usage {
        cached_tokens: Some(0),
        ..Default::default()
    };
    ticket.finished(router_ext_proc::End::Complete, Some(usage));
    let predicted = picker.decider.stats().predicted_tokens.get();
    assert_eq!(predicted, 65_536 + 4 * bytes);
}
