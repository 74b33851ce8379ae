//! How long after it was sent an event is counted in a scorer's answers.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::fleet::{Fleet, now_micros};
use crate::report::Freshness;
use crate::scorer::ScorerView;
use crate::statistics::Sorted;

/// Sent before anything is counted.
const WARM_UP: Duration = Duration::from_secs(2);

/// Between two looks.
const LOOK: Duration = Duration::from_millis(1);

/// The share of the wanted rate that must have been sent.
const RATE_MIN: f64 = 0.95;

/// Times of messages that were sent and not yet seen, by endpoint.
type Unseen = Arc<Mutex<HashMap<String, VecDeque<u64>>>>;

/// Sends at a rate, and looks all the time what the scorer's answers count.
pub(crate) async fn measure(
    fleet: &mut Fleet,
    view: &ScorerView,
    rate: f64,
    time: Duration,
) -> Result<Freshness> {
    fleet.send_paced(rate, WARM_UP, |_| {}).await?;
    let unseen = Unseen::default();
    let looking = tokio::spawn(look(view.clone(), Arc::clone(&unseen)));
    let names: Vec<String> = fleet
        .standings()
        .map(|(name, ..)| name.to_owned())
        .collect();
    let started = Instant::now();
    let sent = fleet
        .send_paced(rate, time, |sent| {
            let mut unseen = locked(&unseen);
            let name = names[sent.engine].clone();
            unseen.entry(name).or_default().push_back(sent.micros);
        })
        .await?;
    let reached = sent as f64 / started.elapsed().as_secs_f64();
    view.clone().caught_up(fleet).await?;
    // The last messages are seen by the next look.
    while !is_empty(&unseen) && !looking.is_finished() {
        tokio::time::sleep(LOOK).await;
    }
    locked(&unseen).insert(END.to_owned(), VecDeque::new());
    let (delays, looks) = looking.await??;
    if reached < rate * RATE_MIN {
        bail!("wanted {rate:.0} block events per second, and could send only {reached:.0}");
    }
    let (delays, looks) = (Sorted::new(delays), Sorted::new(looks));
    Ok(Freshness {
        events_per_second: reached,
        messages: delays.len(),
        p50_ms: delays.quantile_ms(0.5),
        p99_ms: delays.quantile_ms(0.99),
        p999_ms: delays.quantile_ms(0.999),
        max_ms: delays.quantile_ms(1.0),
        look_p50_ms: looks.quantile_ms(0.5) / 2.0,
    })
}

/// No endpoint's name: nothing more will be sent.
const END: &str = "end";

/// What a panic left behind is still a list of times.
fn locked(unseen: &Unseen) -> MutexGuard<'_, HashMap<String, VecDeque<u64>>> {
    unseen.lock().unwrap_or_else(PoisonError::into_inner)
}

fn is_empty(unseen: &Unseen) -> bool {
    let unseen = locked(unseen);
    unseen.values().all(VecDeque::is_empty)
}

/// The delays of all messages, and the times between looks, in microseconds.
async fn look(mut view: ScorerView, unseen: Unseen) -> Result<(Vec<u64>, Vec<u64>)> {
    let (mut delays, mut looks) = (Vec::new(), Vec::new());
    let mut last = now_micros();
    loop {
        let newest = view.newest().await?;
        let now = now_micros();
        looks.push(now.saturating_sub(std::mem::replace(&mut last, now)));
        {
            let mut unseen = locked(&unseen);
            if unseen.contains_key(END) {
                return Ok((delays, looks));
            }
            for (name, sent) in unseen.iter_mut() {
                let seen = newest.get(name).copied().unwrap_or(0);
                while sent.front().is_some_and(|micros| *micros <= seen) {
                    delays.extend(sent.pop_front().map(|micros| now.saturating_sub(micros)));
                }
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}
