//! The HTTP interface.

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::json;
use tokio::sync::oneshot;

use super::answer;
use super::body::Kind;
use super::driver::Command;
use super::faults::Faults;
use super::metrics;
use super::shared::Shared;

type Engine = State<Arc<Shared>>;

/// All routes of one engine.
pub(crate) fn router(shared: &Arc<Shared>) -> Router {
    let openai = Router::new()
        .route("/v1/chat/completions", post(chat))
        .route("/v1/completions", post(completion))
        .route("/v1/models", get(models))
        .route("/health", get(health))
        .route("/ping", get(health))
        .route("/version", get(version))
        .route("/reset_prefix_cache", post(reset_prefix_cache))
        .layer(middleware::from_fn_with_state(Arc::clone(shared), refuse));
    let open = openai
        .route("/metrics", get(exposition))
        .layer(middleware::from_fn_with_state(Arc::clone(shared), freeze));
    open.merge(debug())
        .layer(DefaultBodyLimit::max(shared.config.body_bytes))
        .layer(middleware::from_fn_with_state(Arc::clone(shared), sign))
        .with_state(Arc::clone(shared))
}

fn debug() -> Router<Arc<Shared>> {
    Router::new()
        .route("/debug/faults", get(faults).put(set_faults))
        .route("/debug/restart", post(restart))
        .route("/debug/state", get(state))
        .route("/debug/truth", get(truth))
}

async fn chat(State(shared): Engine, headers: HeaderMap, body: Bytes) -> Response {
    answer::answer(shared, Kind::Chat, &headers, body).await
}

async fn completion(State(shared): Engine, headers: HeaderMap, body: Bytes) -> Response {
    answer::answer(shared, Kind::Completion, &headers, body).await
}

async fn models(State(shared): Engine) -> Response {
    let config = &shared.config;
    let loras = config.loras.iter().map(|lora| &lora.name);
    let card = |name: &String| {
        json!({
            "id": name, "object": "model", "created": answer::unix_seconds(), "owned_by": "vllm",
            "root": name, "parent": null, "max_model_len": config.engine.max_model_len,
        })
    };
    let data: Vec<_> = config.models.iter().chain(loras).map(card).collect();
    Json(json!({"object": "list", "data": data})).into_response()
}

async fn health() -> StatusCode {
    StatusCode::OK
}

async fn version(State(shared): Engine) -> Response {
    let version = shared.config.engine.generation.version();
    Json(json!({"version": version})).into_response()
}

/// vLLM answers 200 whether or not it could.
async fn reset_prefix_cache(State(shared): Engine) -> Response {
    let (done, answer) = oneshot::channel();
    if shared.commands.send(Command::Reset(done)).await.is_err() {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let reset = answer.await.unwrap_or(false);
    Json(json!({"reset": reset})).into_response()
}

async fn exposition(State(shared): Engine) -> Response {
    let kind = [(
        header::CONTENT_TYPE,
        "text/plain; version=0.0.4; charset=utf-8",
    )];
    (kind, metrics::render(&shared)).into_response()
}

async fn faults(State(shared): Engine) -> Response {
    let faults = shared.faults.borrow().clone();
    Json(faults).into_response()
}

async fn set_faults(State(shared): Engine, body: Bytes) -> Response {
    match serde_json::from_slice::<Faults>(&body) {
        Ok(faults) if answer::status(faults.refuse_status).is_some() => {
            shared.faults.send_replace(faults);
            StatusCode::NO_CONTENT.into_response()
        }
        Ok(_) => answer::bad_request("refuse_status: is no HTTP status"),
        Err(error) => answer::bad_request(&format!("body: {error}")),
    }
}

async fn restart(State(shared): Engine) -> Response {
    match super::restart(&shared).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn state(State(shared): Engine) -> Response {
    Json(super::stats(&shared)).into_response()
}

async fn truth(State(shared): Engine, Query(query): Query<HashMap<String, String>>) -> Response {
    let id = query.get("id").map(String::as_str);
    Json(shared.with_state(|state| state.history.find(id))).into_response()
}

/// Nothing is answered while the engine is frozen.
async fn freeze(State(shared): Engine, request: Request, next: Next) -> Response {
    shared.thawed().await;
    next.run(request).await
}

async fn refuse(State(shared): Engine, request: Request, next: Next) -> Response {
    let refused = shared.faults.borrow().refuse_status;
    match answer::status(refused) {
        Some(status) if refused.is_some() => status.into_response(),
        _ => next.run(request).await,
    }
}

/// Every answer says who gave it.
async fn sign(State(shared): Engine, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if let Ok(name) = HeaderValue::from_str(&shared.config.name) {
        response.headers_mut().insert("x-engine", name);
    }
    response
}
