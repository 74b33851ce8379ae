//! What becomes of a routed request.

use std::net::SocketAddr;
use std::sync::Arc;

use router_discovery::{Strategy, TrackingRouting};
use router_ext_proc::{End, NoLoads, Usage};

use crate::pool::{Picker, chat, patient, pool, row, rows};
use crate::scorer_double::{Does, ScorerDouble};

const A: &str = "10.0.0.1:8000";
const B: &str = "10.0.0.2:8000";

fn usage(cached: u64) -> Option<Usage> {
    Some(Usage {
        prompt_tokens: 1000,
        cached_tokens: Some(cached),
        completion_tokens: 1,
    })
}

async fn picker() -> (Picker, ScorerDouble) {
    let answer = rows(vec![row(A, 0, 50), row(B, 0, 10)]);
    let scorer = ScorerDouble::start(Does::Answer(Box::new(answer))).await;
    let view = pool(Strategy::Tracking(TrackingRouting::default()), &[A, B]);
    let options = router_ext_proc::DeciderOptions {
        choices: 2,
        ..patient()
    };
    let picker = Picker::with(view, &[&scorer], options, Arc::new(NoLoads));
    (picker, scorer)
}

#[tokio::test]
async fn predictions_are_compared_with_what_the_engine_that_served_says() {
    let (picker, _scorer) = picker().await;
    let stats = picker.decider.stats();
    let b: SocketAddr = B.parse().unwrap();
    // Exact, from the first choice; 16 off, from the fallback.
    for (served, cached) in [(None, 800), (Some(b), 176)] {
        let mut ticket = picker.route(chat()).await.ok().unwrap().ticket;
        ticket.responded(200, served);
        ticket.progressed();
        ticket.finished(End::Complete, usage(cached));
    }
    assert_eq!((stats.compared.get(), stats.compared_exact.get()), (2, 1));
    assert_eq!(
        (stats.predicted_tokens.get(), stats.cached_tokens.get()),
        (960, 976)
    );
    assert_eq!(stats.error_tokens.get(), 16);
}

#[tokio::test]
async fn what_cannot_be_compared_is_not() {
    let (picker, _scorer) = picker().await;
    let stats = picker.decider.stats();
    let elsewhere: SocketAddr = "10.9.9.9:1".parse().unwrap();
    for (status, served, usage) in [
        (500, None, usage(0)),
        (200, None, None),
        (200, Some(elsewhere), usage(0)),
    ] {
        let mut ticket = picker.route(chat()).await.ok().unwrap().ticket;
        ticket.responded(status, served);
        ticket.finished(End::Complete, usage);
    }
    // Nobody knows how this one ended.
    drop(picker.route(chat()).await.ok().unwrap());
    assert_eq!(stats.compared.get(), 0);
    assert_eq!((stats.begun.get(), stats.ended.get()), (4, 4));
}
