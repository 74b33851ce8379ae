//! Kubernetes discovery against a double of the API server.

mod api_server;
mod departing;
mod manifests;
mod outages;
mod pods;
mod watching;
mod world;
