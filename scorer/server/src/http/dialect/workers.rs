//! Dynamo's `GET /workers`: every endpoint with its ranks.

use std::collections::BTreeMap;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::Response;
use proto_api::{Failure, FailureKind};
use serde::{Deserialize, Serialize};

use crate::http::{Http, reply};
use crate::replica::Directory;
use crate::scoring::{SharedAddresses, View};

/// The query's parameters.
#[derive(Debug, Deserialize)]
pub(in crate::http) struct WorkerParameters {
    model_name: Option<String>,
    routing_group: Option<String>,
}

#[derive(Serialize)]
struct Worker {
    instance_id: String,
    source: &'static str,
    status: &'static str,
    model_name: String,
    routing_group: String,
    block_size: u32,
    endpoints: BTreeMap<u32, String>,
    listeners: BTreeMap<u32, Listener>,
}

#[derive(Serialize)]
struct Listener {
    endpoint: String,
    status: &'static str,
}

pub(in crate::http) async fn workers(
    State(http): State<Http>,
    parameters: Result<Query<WorkerParameters>, QueryRejection>,
) -> Response {
    let parameters = parameters
        .map(|Query(parameters)| parameters)
        .map_err(|rejection| {
            Failure::of_field(FailureKind::InvalidArgument, "query", rejection.body_text())
        });
    reply::json(parameters.map(|parameters| list(&http, &parameters)))
}

/// A routing group is a cluster here; every rank that the index knows is active.
fn list(http: &Http, parameters: &WorkerParameters) -> Vec<Worker> {
    let replicas = http.scorer.scoring().replicas();
    let shared = SharedAddresses::of(replicas);
    let view = View::of(replicas);
    let directories = view.directories();
    let mut workers: BTreeMap<_, Worker> = BTreeMap::new();
    for known in directories.iter().flat_map(Directory::publishers) {
        let endpoint = &known.name.endpoint;
        let model = parameters.model_name.as_deref();
        let group = parameters
            .routing_group
            .as_deref()
            .filter(|group| *group != "default");
        if model.is_some_and(|model| model != known.model())
            || group.is_some_and(|group| group != endpoint.cluster())
        {
            continue;
        }
        let address = endpoint.address().to_owned();
        let worker = workers.entry(endpoint.clone()).or_insert_with(|| Worker {
            instance_id: http.instances.id(endpoint, &shared).into_owned(),
            source: "zmq",
            status: "active",
            model_name: known.model().to_owned(),
            routing_group: endpoint.cluster().to_owned(),
            block_size: known.spaces.first().map_or(0, |space| space.block_size),
            endpoints: BTreeMap::new(),
            listeners: BTreeMap::new(),
        });
        let listener = Listener {
            endpoint: address.clone(),
            status: "active",
        };
        worker.endpoints.insert(known.name.rank.0, address);
        worker.listeners.insert(known.name.rank.0, listener);
    }
    workers.into_values().collect()
}
