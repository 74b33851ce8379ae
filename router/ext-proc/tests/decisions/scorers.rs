//! Several scorers: whoever fails, an answer in time, or a reason.

use std::time::{Duration, Instant};

use proto_api::v1;
use router_ext_proc::{ScoreError, Scorers, ScorersOptions};
use tonic::Code;

use crate::scorer_double::{Does, ScorerDouble};
use crate::{LIMIT, eventually, within};

fn answer(prompt_tokens: u32) -> Does {
    Does::Answer(Box::new(v1::ScoreResponse {
        prompt_tokens,
        ..Default::default()
    }))
}

fn client(doubles: &[&ScorerDouble]) -> Scorers {
    Scorers::start(ScorersOptions {
        addresses: doubles
            .iter()
            .map(|double| double.address.to_string())
            .collect(),
        ..Default::default()
    })
}

async fn ask(scorers: &Scorers, patience: Duration) -> Result<u32, ScoreError> {
    let deadline = Instant::now() + patience;
    let scored = scorers.score(v1::ScoreRequest::default(), 10, deadline);
    let scored = within("an answer", scored).await?;
    Ok(scored.response.prompt_tokens)
}

#[tokio::test]
async fn a_dead_scorer_is_passed_over_and_comes_back() {
    let (one, two) = (
        ScorerDouble::start(answer(1)).await,
        ScorerDouble::start(answer(2)).await,
    );
    let scorers = client(&[&one, &two]);
    let address = one.kill().await;
    for _ in 0..20 {
        assert_eq!(ask(&scorers, LIMIT).await, Ok(2));
    }
    eventually("scorer left out", || scorers.known_and_asked() == (2, 1)).await;
    let _one = ScorerDouble::start_at(&address.to_string(), answer(1)).await;
    eventually("scorer back", || scorers.known_and_asked() == (2, 2)).await;
}

#[tokio::test]
async fn a_silent_scorer_costs_half_of_the_time_three_times() {
    let (one, two) = (
        ScorerDouble::start(Does::Silent).await,
        ScorerDouble::start(answer(2)).await,
    );
    let scorers = client(&[&one, &two]);
    within("scorer left out", async {
        while scorers.known_and_asked().1 == 2 {
            // Late is possible on a slow machine; a wrong answer is not.
            if let Ok(tokens) = ask(&scorers, Duration::from_secs(2)).await {
                assert_eq!(tokens, 2);
            }
        }
    })
    .await;
    assert!(
        (1..=4).contains(&one.asked().len()),
        "{}",
        one.asked().len()
    );
    assert!(scorers.stats().failovers.get() >= 1);
}

#[tokio::test]
async fn with_all_left_out_nobody_waits() {
    let one = ScorerDouble::start(answer(1)).await;
    let scorers = client(&[&one]);
    one.does(Does::Fail(Code::Unavailable));
    assert!(matches!(
        ask(&scorers, LIMIT).await,
        Err(ScoreError::Failed { .. })
    ));
    // Its health is well, so it is let in again, and fails again: both are seen.
    within("left out", async {
        loop {
            match ask(&scorers, LIMIT).await {
                Err(ScoreError::AllLeftOut(1)) => return,
                Err(error) => assert_eq!(error.reason(), "unavailable"),
                Ok(_) => panic!("it never answers"),
            }
        }
    })
    .await;
    let nobody = client(&[]);
    assert_eq!(ask(&nobody, LIMIT).await, Err(ScoreError::NoScorer));
}

#[tokio::test]
async fn a_single_silent_scorer_ends_in_late() {
    let one = ScorerDouble::start(Does::Silent).await;
    let scorers = client(&[&one]);
    let late = ask(&scorers, Duration::from_millis(50)).await.unwrap_err();
    assert_eq!(late.reason(), "late");
    assert!(late.retryable());
}

#[tokio::test]
async fn what_one_refuses_is_not_asked_of_others() {
    let refuses = || ScorerDouble::start(Does::Fail(Code::InvalidArgument));
    let (one, two) = (refuses().await, refuses().await);
    let scorers = client(&[&one, &two]);
    let refused = ask(&scorers, LIMIT).await.unwrap_err();
    assert_eq!((refused.reason(), refused.retryable()), ("refused", false));
    assert_eq!(one.asked().len() + two.asked().len(), 1);
    assert_eq!(scorers.known_and_asked(), (2, 2), "a no is no failure");
}

#[tokio::test]
async fn a_busy_scorer_is_not_left_out_but_another_is_asked() {
    let one = ScorerDouble::start(Does::Fail(Code::ResourceExhausted)).await;
    let two = ScorerDouble::start(answer(2)).await;
    let scorers = client(&[&one, &two]);
    for _ in 0..10 {
        assert_eq!(ask(&scorers, LIMIT).await, Ok(2));
    }
    assert_eq!(scorers.known_and_asked(), (2, 2));
}

#[tokio::test]
async fn an_answer_that_is_too_old_is_none() {
    let old = Does::Answer(Box::new(v1::ScoreResponse {
        prompt_tokens: 1,
        age_ms: 30_001,
        state: v1::ReplicaState::Stale.into(),
        ..Default::default()
    }));
    let one = ScorerDouble::start(old).await;
    let alone = client(&[&one]);
    let error = ask(&alone, LIMIT).await.unwrap_err();
    assert_eq!(error.reason(), "stale");
    let two = ScorerDouble::start(answer(2)).await;
    let both = client(&[&one, &two]);
    for _ in 0..10 {
        assert_eq!(ask(&both, LIMIT).await, Ok(2));
    }
    // Once known to be cut off, it is not asked first any more.
    assert!(one.asked().len() <= 3, "{}", one.asked().len());
}

#[tokio::test]
async fn a_slow_scorer_gets_company_long_before_half_of_the_time() {
    let (one, two) = (
        ScorerDouble::start(answer(1)).await,
        ScorerDouble::start(answer(2)).await,
    );
    let scorers = client(&[&one, &two]);
    for _ in 0..40 {
        ask(&scorers, LIMIT).await.unwrap();
    }
    one.does(Does::Silent);
    // Half of the time would be beyond the test's own limit.
    for _ in 0..4 {
        assert_eq!(ask(&scorers, LIMIT * 4).await, Ok(2));
    }
    assert!(scorers.stats().hedges_won.get() >= 1);
}

#[tokio::test]
async fn questions_under_way_are_bounded() {
    let one = ScorerDouble::start(Does::Silent).await;
    let scorers = std::sync::Arc::new(Scorers::start(ScorersOptions {
        addresses: vec![one.address.to_string()],
        in_flight: 1,
        ..Default::default()
    }));
    let waiting = std::sync::Arc::clone(&scorers);
    let first = tokio::spawn(async move { ask(&waiting, LIMIT).await });
    eventually("a question", || one.asked().len() == 1).await;
    assert_eq!(ask(&scorers, LIMIT).await, Err(ScoreError::Busy(1)));
    first.abort();
}

#[tokio::test]
async fn a_name_stands_for_its_addresses() {
    let one = ScorerDouble::start(answer(1)).await;
    let scorers = Scorers::start(ScorersOptions {
        addresses: vec![format!("localhost:{}", one.address.port())],
        ..Default::default()
    });
    within("an answer", async {
        while ask(&scorers, LIMIT).await != Ok(1) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

fn route(lifetime_ms: u32) -> v1::RecordRouteRequest {
    v1::RecordRouteRequest {
        address: "10.0.0.1:80".to_owned(),
        keys: vec![1, 2],
        lifetime_ms,
        ..Default::default()
    }
}

#[tokio::test]
async fn a_record_is_tried_until_somebody_takes_it() {
    let one = ScorerDouble::start(answer(1)).await;
    one.does_with_records(Does::Fail(Code::Unavailable));
    let scorers = client(&[&one]);
    scorers.record(route(60_000));
    eventually("attempts", || one.record_calls() >= 2).await;
    one.does_with_records(answer(1));
    eventually("a record", || scorers.stats().recorded.get() == 1).await;
    assert_eq!(one.recorded(), [route(60_000)]);
}

#[tokio::test]
async fn no_record_is_lost_to_a_frozen_scorer_while_another_is_there() {
    let frozen = ScorerDouble::start(answer(1)).await;
    let well = ScorerDouble::start(answer(1)).await;
    frozen.does_with_records(Does::Silent);
    let scorers = client(&[&frozen, &well]);
    for _ in 0..16 {
        scorers.record(route(60_000));
    }
    eventually("sixteen records", || well.recorded().len() == 16).await;
    assert!(frozen.record_calls() > 0);
    assert_eq!(scorers.stats().records_lost.get(), 0);
}

#[tokio::test]
async fn a_frozen_scorer_is_late_and_at_no_other_fault() {
    let frozen = ScorerDouble::start(Does::Silent).await;
    for _ in 0..3 {
        let error = ask(&client(&[&frozen]), Duration::from_millis(50))
            .await
            .unwrap_err();
        assert_eq!(error.reason(), "late", "{error}");
        assert!(error.retryable(), "{error}");
    }
    // What a scorer's own deadline ends is no other fault either.
    let gives_up = ScorerDouble::start(Does::Fail(Code::Cancelled)).await;
    let error = ask(&client(&[&gives_up]), LIMIT).await.unwrap_err();
    assert_eq!(error.reason(), "late", "{error}");
}

#[tokio::test]
async fn a_record_that_is_refused_or_too_late_is_counted() {
    let one = ScorerDouble::start(answer(1)).await;
    one.does_with_records(Does::Fail(Code::FailedPrecondition));
    let scorers = client(&[&one]);
    scorers.record(route(60_000));
    eventually("a refusal", || scorers.stats().records_lost.get() == 1).await;
    assert_eq!(one.record_calls(), 1);
    one.does_with_records(Does::Fail(Code::Unavailable));
    scorers.record(route(50));
    eventually("the end of its lifetime", || {
        scorers.stats().records_lost.get() == 2
    })
    .await;
    assert_eq!(scorers.stats().recorded.get(), 0);
    scorers.stop().await;
}

#[tokio::test]
async fn an_endpoint_is_removed_by_whoever_is_there() {
    let (one, two) = (
        ScorerDouble::start(answer(1)).await,
        ScorerDouble::start(answer(2)).await,
    );
    let scorers = client(&[&one, &two]);
    one.kill().await;
    let request = v1::RemoveEndpointRequest {
        address: "10.0.0.1:80".to_owned(),
        ..Default::default()
    };
    let removal = scorers.remove_endpoint(request.clone(), Instant::now() + LIMIT);
    within("a removal", removal).await.unwrap();
    assert_eq!(two.removed(), [request]);
}
