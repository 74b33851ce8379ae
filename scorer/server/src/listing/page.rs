//! Endpoints by name, page by page, across all stores.
//!
//! Names need not be unique: two stores may list the same one. So a place in the
//! list is a name, a store, and the cluster in the publisher's own name.

use std::iter::Peekable;

use proto_api::{Candidate, EndpointInfo, Failure, FailureKind, limits};
use proto_model::{Publisher, PublisherStatus, Trust};

use crate::replica::{Content, KnownPublisher, Standing};
use crate::scoring::{Scoring, View, serves};

/// Stands between the parts of a page token; no name contains it.
const SEPARATOR: char = '|';

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
    pub(crate) standing: Standing,
}

/// A place in the list: behind this entry.
#[derive(Debug)]
struct Place {
    name: Publisher,
    store: usize,
    own_cluster: Option<String>,
}

pub(crate) fn endpoints(
    scoring: &Scoring,
    filter: &EndpointFilter,
) -> Result<EndpointPage, Failure> {
    let after = Place::of_token(&filter.page_token)?;
    let size = match filter.page_size {
        0 => limits::PAGE,
        size => size.min(limits::PAGE),
    };
    let wanted = |known: &&KnownPublisher| {
        (filter.model.is_empty() || serves(known, &filter.model))
            && (filter.cluster.is_empty() || known.name.endpoint.cluster() == filter.cluster)
    };
    let view = View::of(scoring.replicas());
    let directories = view.directories();
    let each = directories.iter().enumerate().map(|(store, directory)| {
        let from = directory.publishers_from(after.as_ref().map(|after| &after.name));
        let after = after.as_ref();
        let new =
            from.skip_while(move |known| after.is_some_and(|after| !after.is_before(store, known)));
        new.filter(wanted).peekable()
    });
    let mut each: Vec<_> = each.collect();
    let mut endpoints = Vec::new();
    let mut last = None;
    while endpoints.len() < size
        && let Some((store, known)) = next(&mut each)
    {
        endpoints.push(info(&view.contents()[store], known));
        last = Some((store, known));
    }
    let more = each.iter_mut().any(|store| store.peek().is_some());
    let next_page_token = match last.filter(|_| more) {
        Some((store, known)) if scoring.replicas().may_share_names() => token(store, known),
        Some((_, known)) => known.name.to_string(),
        None => String::new(),
    };
    drop(each);
    drop(directories);
    Ok(EndpointPage {
        endpoints,
        next_page_token,
        standing: view.into_standing(),
    })
}

/// The first by name of what the stores have next; of one name, the first store's.
fn next<'a, I: Iterator<Item = &'a KnownPublisher>>(
    each: &mut [Peekable<I>],
) -> Option<(usize, &'a KnownPublisher)> {
    let firsts = each.iter_mut().enumerate();
    let firsts = firsts.filter_map(|(store, of)| of.peek().map(|known| (store, &known.name)));
    let (store, _) = firsts.min_by(|(_, a), (_, b)| a.cmp(b))?;
    each[store].next().map(|known| (store, known))
}

/// A page token is the last page's last place.
fn token(store: usize, known: &KnownPublisher) -> String {
    let own = known.own_cluster.as_deref().unwrap_or("");
    format!("{}{SEPARATOR}{store}{SEPARATOR}{own}", known.name)
}

impl Place {
    fn of_token(token: &str) -> Result<Option<Self>, Failure> {
        if token.is_empty() {
            return Ok(None);
        }
        let place = Self::parse(token);
        place.map(Some).ok_or_else(|| {
            let text = "page_token is none that this service gave; send the last next_page_token";
            Failure::of_field(FailureKind::InvalidArgument, "page_token", text)
        })
    }

    fn parse(token: &str) -> Option<Self> {
        let mut parts = token.split(SEPARATOR);
        let name = parts.next()?.parse::<Candidate>().ok()?.exact()?;
        let store = match parts.next() {
            Some(number) => number.parse().ok()?,
            // Behind everything that has this name.
            None => usize::MAX,
        };
        let own_cluster = parts.next().filter(|own| !own.is_empty());
        Some(Self {
            name,
            store,
            own_cluster: own_cluster.map(str::to_owned),
        })
    }

    fn is_before(&self, store: usize, known: &KnownPublisher) -> bool {
        let here = (&self.name, self.store, self.own_cluster.as_deref());
        here < (&known.name, store, known.own_cluster.as_deref())
    }
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
