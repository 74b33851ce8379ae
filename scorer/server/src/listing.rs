//! What operators ask for: endpoints, sizes, models.

use std::collections::BTreeMap;

use proto_api::{Candidate, EndpointInfo, Failure, FailureKind, ModelInfo, StatsInfo, limits};
use proto_model::{Publisher, PublisherStatus, Revision, Trust};

use crate::replica::{Content, KnownPublisher};
use crate::scoring::{Scoring, serves};

/// Which endpoints to list.
#[derive(Debug, Clone, Default)]
pub(crate) struct EndpointFilter {
    /// Only those that serve this base model; empty: all.
    pub(crate) model: String,
    /// Only this cluster; empty: all.
    pub(crate) cluster: String,
    /// At most this many; 0: the limit.
    pub(crate) page_size: usize,
    /// Where the last page ended; empty: the first page.
    pub(crate) page_token: String,
}

/// One page of endpoints.
#[derive(Debug)]
pub(crate) struct EndpointPage {
    pub(crate) endpoints: Vec<EndpointInfo>,
    pub(crate) next_page_token: String,
    pub(crate) revision: Revision,
    pub(crate) age_ms: u64,
}

pub(crate) fn endpoints(
    scoring: &Scoring,
    filter: &EndpointFilter,
) -> Result<EndpointPage, Failure> {
    let after = page_start(&filter.page_token)?;
    let size = match filter.page_size {
        0 => limits::PAGE,
        size => size.min(limits::PAGE),
    };
    let content = scoring.replica().content();
    let revision = content.revision();
    let wanted = |known: &&KnownPublisher| {
        (filter.model.is_empty() || serves(known, &filter.model))
            && (filter.cluster.is_empty() || known.name.endpoint.cluster() == filter.cluster)
    };
    let directory = content.directory();
    let mut found = directory.publishers_after(after.as_ref()).filter(wanted);
    let endpoints: Vec<_> = found
        .by_ref()
        .take(size)
        .map(|known| info(&content, known))
        .collect();
    let more = found.next().is_some();
    let last = endpoints.last().filter(|_| more);
    let next_page_token = last
        .map(|info| info.status.publisher.to_string())
        .unwrap_or_default();
    Ok(EndpointPage {
        endpoints,
        next_page_token,
        revision,
        age_ms: scoring.replica().age_ms(),
    })
}

/// A page token is the last page's last name.
fn page_start(token: &str) -> Result<Option<Publisher>, Failure> {
    if token.is_empty() {
        return Ok(None);
    }
    let publisher = token
        .parse::<Candidate>()
        .ok()
        .and_then(|name| name.exact());
    publisher.map(Some).ok_or_else(|| {
        let text = "page_token is none that this service gave; send the last next_page_token";
        Failure::of_field(FailureKind::InvalidArgument, "page_token", text)
    })
}

fn info(content: &Content, known: &KnownPublisher) -> EndpointInfo {
    let mut status = known
        .status
        .clone()
        .unwrap_or_else(|| unreported(&known.name));
    if content.is_short() {
        status.cursor.trust = status.cursor.trust.min(Trust::Suspect);
    }
    EndpointInfo {
        status,
        blocks: known
            .holder
            .map(|holder| content.held_by(holder))
            .unwrap_or_default(),
        spaces: known.spaces.iter().map(|space| (**space).clone()).collect(),
    }
}

/// What to say of a publisher whose status the store has not sent yet.
fn unreported(name: &Publisher) -> PublisherStatus {
    PublisherStatus {
        publisher: name.clone(),
        model: String::new(),
        cursor: proto_model::Cursor {
            incarnation: proto_model::Incarnation(0),
            next: 0,
            timestamp: proto_model::Timestamp(0),
            trust: Trust::Estimated,
        },
        parked: 0,
        lost: 0,
    }
}

pub(crate) fn stats(scoring: &Scoring) -> StatsInfo {
    let replica = scoring.replica();
    let content = replica.content();
    let revision = content.revision();
    let index = content.index().stats();
    StatsInfo {
        revision,
        age_ms: replica.age_ms(),
        state: replica.state(),
        publishers: content.directory().len() as u64,
        memberships: index.memberships,
        blocks: index.blocks as u64,
        bytes: index.bytes as u64,
        models: models(scoring, &content),
        resets: replica.resets(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

/// Every model that endpoints serve or the configuration names.
fn models(scoring: &Scoring, content: &Content) -> Vec<ModelInfo> {
    let directory = content.directory();
    let mut publishers: BTreeMap<&str, u64> = BTreeMap::new();
    for known in directory.publishers() {
        *publishers.entry(known.model()).or_default() += 1;
    }
    let mut names = directory.models();
    names.extend(
        scoring
            .catalog()
            .models()
            .map(|model| model.config.name.as_str()),
    );
    let info = |name: &str| ModelInfo {
        name: name.to_owned(),
        publishers: publishers.get(name).copied().unwrap_or(0),
        spaces: directory
            .spaces(name)
            .map(|space| (**space).clone())
            .collect(),
        tokenizer: scoring.has_tokenizer(name),
    };
    names.into_iter().map(info).collect()
}
