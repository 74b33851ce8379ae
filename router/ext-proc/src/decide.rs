//! The decision: which endpoint a request goes to.
//!
//! ```text
//!  Asked ─ read path, model ─ eligible ─ ask scorers ─ pick ─ record ─▶ Routed
//!            │ 400              │ 503      │ late, away:   │ 429
//!            ▼                  ▼          ▼ by load       ▼
//! ```
//! Scorers may be away: the decision is then made by load, and says so. What is
//! not one of the API's paths, or has no body, goes by load too.

mod books;
mod eligible;
mod holdings;
mod json;
mod loads;
mod log;
mod model;
mod options;
mod path;
mod question;
mod record;
mod request;
mod seed;
mod stats;
mod ticket;

pub use loads::{NoLoads, SampledLoads};
pub use options::DeciderOptions;
pub use stats::{BUCKETS_US, DecisionStats, FALLBACK_REASONS, Histogram, Mode, PICK_REASONS};

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use router_discovery::{PoolEndpoint, PoolView, Strategy};
use router_picker::{Ask, Candidate, Pick, Reason, Refusal};
use tokio::sync::watch;

use crate::{Asked, Decide, Refused, RefusedKind, Routed, Scorers};

use books::Books;
use question::Known;
use record::Record;
use request::Request;
use ticket::Routing;

/// Tells an engine with several data-parallel ranks which one to use.
const RANK_HEADER: &str = "x-data-parallel-rank";

/// When a request that was shed may be sent again.
const SHED_RETRY: Duration = Duration::from_secs(1);

/// Pairs of block sizes that are warned of, at most.
const SIZES_WARNED: usize = 64;

/// Picks endpoints of one pool.
pub struct Decider {
    pool: watch::Receiver<Arc<PoolView>>,
    loads: Arc<dyn SampledLoads>,
    scorers: Arc<Scorers>,
    options: DeciderOptions,
    books: Arc<Books>,
    stats: Arc<DecisionStats>,
    /// Makes the seeds of requests with the same id differ.
    decisions: AtomicU64,
    sizes_warned: Mutex<BTreeSet<(u32, u32)>>,
}

impl Decider {
    /// Picks among the endpoints of `pool`.
    #[must_use]
    pub fn new(
        pool: watch::Receiver<Arc<PoolView>>,
        loads: Arc<dyn SampledLoads>,
        scorers: Arc<Scorers>,
        options: DeciderOptions,
    ) -> Self {
        Self {
            pool,
            loads,
            scorers,
            options,
            books: Arc::default(),
            stats: Arc::default(),
            decisions: AtomicU64::new(0),
            sizes_warned: Mutex::default(),
        }
    }

    /// What has been decided so far.
    #[must_use]
    pub fn stats(&self) -> Arc<DecisionStats> {
        Arc::clone(&self.stats)
    }

    fn view(&self) -> Arc<PoolView> {
        Arc::clone(&self.pool.borrow())
    }

    async fn route(&self, asked: Asked) -> Result<Routed, Refused> {
        let began = Instant::now();
        let view = self.view();
        let request = Request::read(&asked, &view)?;
        let eligible = eligible::of(&view, &asked.subset);
        if eligible.is_empty() {
            return Err(no_endpoint(&view));
        }
        let strategy = &view.strategy;
        let known = question::ask(
            &self.scorers,
            &self.options,
            strategy,
            &asked,
            &request,
            &eligible,
        );
        let known = known.await;
        // The pool may have changed meanwhile: who is gone is not picked any more.
        let now = self.view();
        let eligible = eligible::of(&now, &asked.subset);
        let pick = self.pick(&asked, &request, &known, &eligible)?;
        Ok(self.settle(
            &asked,
            &request,
            known,
            &view.strategy,
            &eligible,
            &pick,
            began,
        ))
    }

    fn pick(
        &self,
        asked: &Asked,
        request: &Request,
        known: &Known,
        eligible: &[&Arc<PoolEndpoint>],
    ) -> Result<Pick, Refused> {
        let candidates: Vec<_> = eligible
            .iter()
            .map(|endpoint| {
                let address = endpoint.address;
                let (load, sampled_at) = self.loads.sampled(&address).unzip();
                let (reusable_tokens, prefix) = known.prefix_at(address);
                Candidate {
                    load,
                    in_flight: self.books.in_flight(address, sampled_at),
                    reusable_tokens,
                    prefix,
                }
            })
            .collect();
        let turn = self.decisions.fetch_add(1, Ordering::Relaxed);
        let ask = Ask {
            prompt_tokens: known.prompt_tokens,
            priority: request.resolved.priority,
            seed: seed::of(&asked.request_id, turn.wrapping_add(1)),
            choices: self.options.choices,
        };
        router_picker::pick(&self.options.policy, &ask, &candidates).map_err(|refusal| Refused {
            kind: match refusal {
                Refusal::NoCandidates => RefusedKind::NoEndpoint,
                Refusal::Saturated => RefusedKind::Saturated,
            },
            message: refusal.to_string(),
            retry_after: Some(SHED_RETRY),
        })
    }

    /// Everything that follows from a choice: books, record, log.
    #[expect(clippy::too_many_arguments, reason = "one decision, piece by piece")]
    fn settle(
        &self,
        asked: &Asked,
        request: &Request,
        mut known: Known,
        strategy: &Strategy,
        eligible: &[&Arc<PoolEndpoint>],
        pick: &Pick,
        began: Instant,
    ) -> Routed {
        let ranked = pick.ranked.iter().map(|at| eligible[*at].address);
        let predicted: Vec<_> = ranked
            .map(|address| (address, known.prefix_at(address).0))
            .collect();
        let (first, reusable) = predicted[0];
        let prefill = known.prompt_tokens.saturating_sub(reusable);
        let booking = self.books.book(first, u64::from(prefill));
        self.notice(&known, strategy, pick, began);
        if let Some((ratio, threshold)) = known.ratio_above() {
            log::prefix_aware(&asked.request_id, ratio, threshold);
        }
        log::handled(&log::Handled {
            request_id: &asked.request_id,
            model: request.model(),
            target: request.target(),
            criticality: request.criticality(),
            endpoint: eligible[pick.ranked[0]],
            mode: known.mode,
            fallback: known.fallback,
            reason: reason(pick.reason),
            prompt_tokens: known.prompt_tokens,
            predicted: reusable,
            scoring: known.scoring,
            decision: began.elapsed(),
        });
        let set_headers = rank_header(&known, first);
        self.record(&mut known, strategy, first);
        let body = asked
            .body
            .as_deref()
            .and_then(|body| request.rewritten(body));
        Routed {
            endpoints: predicted.iter().map(|(address, _)| *address).collect(),
            body: body.map(Into::into),
            set_headers,
            ticket: Box::new(Routing {
                books: Arc::clone(&self.books),
                booking,
                stats: Arc::clone(&self.stats),
                request_id: asked.request_id.clone(),
                mode: known.mode,
                predicted,
                status: None,
            }),
        }
    }

    fn record(&self, known: &mut Known, strategy: &Strategy, first: std::net::SocketAddr) {
        let cluster = self.options.cluster.as_deref();
        match record::of(known, strategy, first, cluster, self.options.speculation) {
            Record::Route(route) => self.scorers.record(route),
            Record::Needless => {}
            Record::Unknown => self.stats.not_recorded.inc(),
        }
    }

    fn notice(&self, known: &Known, strategy: &Strategy, pick: &Pick, began: Instant) {
        let stats = &self.stats;
        stats.begun.inc();
        stats.note_mode(known.mode, known.fallback);
        stats.note_reason(reason(pick.reason));
        stats.decision.observe(began.elapsed());
        if let Some(took) = known.scoring {
            stats.scoring.observe(took);
        }
        if known.ratio_above().is_some() {
            stats.prefix_routed.inc();
        }
        if let Strategy::Tracking(routing) = strategy
            && let Some(policy) = routing.block_size
            && let Some(engine) = known.holdings.block_sizes().find(|size| *size != policy)
        {
            stats.block_size_differs.inc();
            self.warn_of_sizes(policy, engine);
        }
    }

    /// Silent, this would be a fleet without a single hit.
    fn warn_of_sizes(&self, policy: u32, engine: u32) {
        let mut warned = self
            .sizes_warned
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if warned.len() < SIZES_WARNED && warned.insert((policy, engine)) {
            tracing::warn!(
                policy,
                engine,
                "the traffic policy's blockSize differs from what an engine announces: \
                 set both to the engine's --block-size"
            );
        }
    }
}

#[async_trait]
impl Decide for Decider {
    async fn decide(&self, asked: Asked) -> Result<Routed, Refused> {
        self.route(asked).await
    }
}

fn reason(reason: Reason) -> &'static str {
    match reason {
        Reason::Prefix => "prefix",
        Reason::Load => "load",
        Reason::Spill { .. } => "spill",
        Reason::Only => "only",
    }
}

/// The rank that holds the prefix, where an address has several.
fn rank_header(known: &Known, address: std::net::SocketAddr) -> Vec<(&'static str, String)> {
    let holding = known.holdings.of(address);
    holding
        .filter(|holding| holding.ranked && holding.best.reusable_tokens > 0)
        .map(|holding| (RANK_HEADER, holding.best.rank.to_string()))
        .into_iter()
        .collect()
}

fn no_endpoint(view: &PoolView) -> Refused {
    let message = if view.endpoints.is_empty() {
        "no endpoint of the pool is ready"
    } else {
        "no ready endpoint of the pool is in the gateway's subset"
    };
    Refused {
        kind: RefusedKind::NoEndpoint,
        message: message.to_owned(),
        retry_after: Some(SHED_RETRY),
    }
}
