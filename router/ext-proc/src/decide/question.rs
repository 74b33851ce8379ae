//! What scorers are asked about a prompt, and what their answer means.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use proto_api::v1::score_request::Input;
use proto_api::{limits, v1};
use router_discovery::{PoolEndpoint, Strategy};

use crate::{Asked, Scored, Scorers};

use super::holdings::{Holding, Holdings};
use super::log::cut_to;
use super::options::DeciderOptions;
use super::path::Path;
use super::request::Request;
use super::stats::Mode;

/// What must be left of a request's time for everything but scorers.
const MARGIN: Duration = Duration::from_millis(20);

/// Bytes of a prompt per token, where nobody has counted them.
const BYTES_PER_TOKEN: usize = 4;

/// Tokens that a body of no length may still stand for: a template's own text, and
/// an image behind a short address. What a scorer counts beyond this and
/// [`TOKENS_PER_BYTE`] is not believed.
const TOKENS_BESIDE: usize = 65_536;

/// Tokens that one byte of a body may stand for: a template may repeat it.
const TOKENS_PER_BYTE: usize = 4;

/// What is known of a prompt.
pub(super) struct Known {
    pub(super) mode: Mode,
    /// Why scores are not used, with [`Mode::Fallback`].
    pub(super) fallback: Option<&'static str>,
    /// Tokens of the prompt; guessed from its bytes where nobody has counted them.
    pub(super) prompt_tokens: u32,
    pub(super) holdings: Holdings,
    /// The prompt's keys, one list per way of cutting it.
    pub(super) keys: Vec<v1::RouteKeys>,
    /// How long scorers took.
    pub(super) scoring: Option<Duration>,
    /// Estimated: whole blocks of the prompt.
    prompt_blocks: u32,
    /// Estimated: the best share of the prompt, and what it must exceed.
    ratio: Option<(f64, f64)>,
}

impl Known {
    /// Nothing but the size.
    pub(super) fn by_load(bytes: usize) -> Self {
        Self {
            mode: Mode::Load,
            fallback: None,
            prompt_tokens: guessed_tokens(bytes),
            holdings: Holdings::default(),
            keys: Vec::new(),
            scoring: None,
            prompt_blocks: 0,
            ratio: None,
        }
    }

    fn fallback(bytes: usize, reason: &'static str) -> Self {
        Self {
            mode: Mode::Fallback,
            fallback: Some(reason),
            ..Self::by_load(bytes)
        }
    }

    fn tracked(scored: Scored, bytes: usize) -> Self {
        let response = scored.response;
        Self {
            mode: Mode::Tracking,
            prompt_tokens: response.prompt_tokens.min(most_tokens(bytes)),
            holdings: Holdings::new(response.endpoints),
            keys: response.route_keys,
            scoring: Some(scored.took),
            ..Self::by_load(bytes)
        }
    }

    fn estimated(
        scored: Scored,
        bytes: usize,
        threshold: f64,
        eligible: &[&Arc<PoolEndpoint>],
    ) -> Self {
        let response = scored.response;
        let mut known = Self {
            mode: Mode::Estimated,
            holdings: Holdings::new(response.endpoints),
            keys: response.route_keys,
            scoring: Some(scored.took),
            prompt_blocks: response.prompt_blocks,
            ..Self::by_load(bytes)
        };
        let matched = eligible
            .iter()
            .filter_map(|endpoint| known.holdings.of(endpoint.address))
            .map(|holding| holding.best.matched_blocks);
        let best = known.blocks_share(matched.max().unwrap_or(0));
        known.ratio = Some((best, threshold));
        known
    }

    /// Estimated: the matching ratio and the threshold, if it is above.
    pub(super) fn ratio_above(&self) -> Option<(f64, f64)> {
        self.ratio.filter(|(ratio, threshold)| ratio > threshold)
    }

    /// What counts of an address for the choice: reusable tokens, and the share of
    /// the prompt that need not be computed.
    pub(super) fn prefix_at(&self, address: SocketAddr) -> (u32, f64) {
        let Some(Holding { best, .. }) = self.holdings.of(address) else {
            return (0, 0.0);
        };
        match self.mode {
            Mode::Tracking => (best.reusable_tokens.min(self.prompt_tokens), best.score),
            Mode::Estimated if self.ratio_above().is_some() => {
                let share = self.blocks_share(best.matched_blocks);
                // A float within u32: the prompt's tokens are its bound.
                ((share * f64::from(self.prompt_tokens)) as u32, share)
            }
            Mode::Estimated | Mode::Load | Mode::Fallback => (0, 0.0),
        }
    }

    fn blocks_share(&self, matched: u32) -> f64 {
        match self.prompt_blocks {
            0 => 0.0,
            all => (f64::from(matched) / f64::from(all)).min(1.0),
        }
    }
}

fn guessed_tokens(bytes: usize) -> u32 {
    u32::try_from(bytes / BYTES_PER_TOKEN).unwrap_or(u32::MAX)
}

fn most_tokens(bytes: usize) -> u32 {
    let tokens = bytes.saturating_mul(TOKENS_PER_BYTE);
    u32::try_from(tokens.saturating_add(TOKENS_BESIDE)).unwrap_or(u32::MAX)
}

/// Asks what there is to ask. Always answers in time.
pub(super) async fn ask(
    scorers: &Scorers,
    options: &DeciderOptions,
    strategy: &Strategy,
    asked: &Asked,
    request: &Request,
    eligible: &[&Arc<PoolEndpoint>],
) -> Known {
    let bytes = request.bytes;
    let body = asked.body.clone();
    let input = match (request.path, body) {
        (Path::Chat, Some(body)) => Input::Chat(body),
        (Path::Completion, Some(body)) => Input::Completion(body),
        _ => return Known::by_load(bytes),
    };
    let estimation = match strategy {
        Strategy::LoadOnly => return Known::by_load(bytes),
        Strategy::Tracking(_) => None,
        Strategy::Estimated(rules) => Some(v1::Estimation {
            block_bytes: rules.block_bytes,
            max_blocks: rules.max_blocks,
        }),
    };
    if bytes > limits::PROMPT_BYTES {
        return Known::fallback(bytes, "too_large");
    }
    let Some(deadline) = deadline(options, asked, bytes) else {
        return Known::fallback(bytes, "deadline");
    };
    let question = v1::ScoreRequest {
        request_id: cut_to(&asked.request_id, limits::REQUEST_ID_BYTES).to_owned(),
        model: request.target().to_owned(),
        input: Some(input),
        candidates: candidates(options, eligible),
        include_route_keys: true,
        estimation,
        ..Default::default()
    };
    match (scorers.score(question, bytes, deadline).await, strategy) {
        (Ok(scored), Strategy::Estimated(rules)) => {
            Known::estimated(scored, bytes, rules.threshold, eligible)
        }
        (Ok(scored), _) => Known::tracked(scored, bytes),
        (Err(error), _) => {
            tracing::debug!(%error, "scores are not used");
            Known::fallback(bytes, error.reason())
        }
    }
}

/// When scorers must have answered; `None` if there is no time to ask.
fn deadline(options: &DeciderOptions, asked: &Asked, bytes: usize) -> Option<Instant> {
    let now = Instant::now();
    let last = asked.deadline.checked_sub(MARGIN)?;
    let mib = bytes as f64 / f64::from(1 << 20);
    let timeout = options.score_timeout + options.score_timeout_per_mib.mul_f64(mib);
    (last > now).then(|| last.min(now + timeout))
}

/// The eligible endpoints by name. More than a question may hold are left out: the
/// answer then lists whoever holds anything, and others are dropped here.
fn candidates(options: &DeciderOptions, eligible: &[&Arc<PoolEndpoint>]) -> Vec<String> {
    if eligible.len() > limits::CANDIDATES {
        return Vec::new();
    }
    let addresses = eligible.iter().map(|endpoint| endpoint.address);
    match &options.cluster {
        None => addresses.map(|address| address.to_string()).collect(),
        Some(cluster) => addresses
            .map(|address| format!("{cluster}/{address}"))
            .collect(),
    }
}
