//! Whom a query asks about.

use std::collections::{HashMap, HashSet};

use proto_api::Candidate;
use proto_model::Publisher;

use crate::replica::{Directory, KnownPublisher};

/// Publishers per candidate from which on looking each up beats a walk.
const WALKED: usize = 4;

/// A query's candidates, found by host: a fleet times a long list would take
/// longer than the lookup itself.
#[derive(Debug)]
pub(crate) struct CandidateSet<'a> {
    candidates: &'a [Candidate],
    by_host: HashMap<&'a str, Vec<usize>>,
}

impl<'a> CandidateSet<'a> {
    pub(crate) fn new(candidates: &'a [Candidate]) -> Self {
        let mut by_host: HashMap<&str, Vec<usize>> = HashMap::with_capacity(candidates.len());
        for (index, candidate) in candidates.iter().enumerate() {
            by_host.entry(candidate.host()).or_default().push(index);
        }
        Self {
            candidates,
            by_host,
        }
    }

    /// Whether the query asks about all endpoints.
    pub(crate) fn is_all(&self) -> bool {
        self.candidates.is_empty()
    }

    /// The candidates that name the publisher, by index.
    pub(crate) fn naming(&self, publisher: &Publisher) -> impl Iterator<Item = usize> {
        let host = Candidate::host_of(publisher.endpoint.address());
        let at_host = self.by_host.get(host).map_or(&[][..], Vec::as_slice);
        at_host
            .iter()
            .copied()
            .filter(|index| self.candidates[*index].matches(publisher))
    }

    /// The publishers that are asked about, each once. Takes time in proportion to
    /// the candidates, if there are any.
    pub(crate) fn known<'d>(&self, directory: &'d Directory) -> Vec<&'d KnownPublisher> {
        if self.is_all() {
            return directory.publishers().collect();
        }
        let named = |known: &&KnownPublisher| self.naming(&known.name).next().is_some();
        if directory.len() <= WALKED * self.len() {
            return directory.publishers().filter(named).collect();
        }
        let mut listed = HashSet::new();
        let near = self
            .candidates
            .iter()
            .flat_map(|candidate| directory.at_address(candidate.address()));
        let once = near.filter(|known| listed.insert(std::ptr::from_ref(*known)));
        once.filter(named).collect()
    }

    /// The names of the candidates that `seen` has no mark for.
    pub(crate) fn unseen(&self, seen: &[bool]) -> Vec<String> {
        let unseen = self.candidates.iter().zip(seen).filter(|(_, seen)| !**seen);
        unseen.map(|(candidate, _)| candidate.to_string()).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.candidates.len()
    }
}
