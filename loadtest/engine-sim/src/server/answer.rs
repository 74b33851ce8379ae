//! From a request's body to its response.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::Json;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::{StreamExt as _, stream};
use serde_json::json;

use super::body::{self, Asked, BodyError, Kind, Prompt};
use super::driver::Command;
use super::ongoing::{Cut, Ongoing};
use super::outbox::Outbox;
use super::render;
use super::reply::Reply;
use super::shared::Shared;
use crate::engine::{Extras, Submission};

/// Long enough for what was written to be on its way.
const FLUSH: Duration = Duration::from_millis(5);

/// A request that is not taken.
struct Refused {
    status: StatusCode,
    kind: &'static str,
    message: String,
}

/// Answers a chat or completion request.
pub(crate) async fn answer(
    shared: Arc<Shared>,
    kind: Kind,
    headers: &HeaderMap,
    body: Bytes,
) -> Response {
    let request_id = headers.get("x-request-id");
    let request_id = request_id
        .and_then(|id| id.to_str().ok())
        .map(str::to_owned);
    match begin(shared, kind, request_id, body).await {
        Ok(ongoing) if ongoing.asked.stream => streamed(ongoing),
        Ok(ongoing) => whole(ongoing).await,
        Err(refused) => refused.into_response(),
    }
}

/// vLLM's answer to a request that it cannot read.
pub(crate) fn bad_request(message: &str) -> Response {
    Refused::bad_request(message.to_owned()).into_response()
}

/// The status of that number; `None` of a number gives 200.
pub(crate) fn status(number: Option<u16>) -> Option<StatusCode> {
    StatusCode::from_u16(number.unwrap_or(200)).ok()
}

pub(crate) fn unix_seconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

async fn begin(
    shared: Arc<Shared>,
    kind: Kind,
    request_id: Option<String>,
    body: Bytes,
) -> Result<Ongoing, Refused> {
    let began = Instant::now();
    let (asked, prompt) = read(&shared, kind, body).await?;
    let extras = check(&shared, &asked, &prompt)?;
    let reply = Reply::new(&shared.config, &asked, &prompt);
    let number = shared.next_request();
    let id = match kind {
        Kind::Chat => format!("chatcmpl-{number}"),
        Kind::Completion => format!("cmpl-{number}"),
    };
    let outbox = Arc::new(Outbox::default());
    let ongoing = Ongoing {
        request_id: request_id.unwrap_or_else(|| id.clone()),
        id,
        prompt_ids: asked.return_token_ids.then(|| prompt.clone()),
        prompt_tokens: prompt.len(),
        outbox: Arc::clone(&outbox),
        kind,
        asked,
        reply,
        began,
        shared,
    };
    let submission = Submission {
        id: number,
        prompt,
        reply: ongoing.reply.tokens(&ongoing.shared.config.tokenizer),
        extras,
    };
    let command = Command::Submit {
        submission,
        received: began,
        outbox,
    };
    let sent = ongoing.shared.commands.send(command).await;
    sent.map_err(|_| Refused::unavailable("the engine has stopped"))?;
    Ok(ongoing)
}

/// Parsing and tokenising long bodies would hold up other connections.
async fn read(shared: &Arc<Shared>, kind: Kind, body: Bytes) -> Result<(Asked, Vec<u32>), Refused> {
    let tokenizer = Arc::clone(&shared.config.tokenizer);
    let read = tokio::task::spawn_blocking(move || {
        let mut asked = body::read(kind, &body)?;
        let empty = Prompt::TokenIds(Vec::new());
        let ids = match std::mem::replace(&mut asked.prompt, empty) {
            Prompt::TokenIds(ids) => Ok(ids),
            Prompt::Text(text) => tokenizer.encode(&text),
        };
        Ok::<_, BodyError>((asked, ids))
    });
    let unreadable = |error: String| Refused::bad_request(error);
    let read = read.await.map_err(|error| unreadable(error.to_string()))?;
    let (asked, ids) = read.map_err(|error| unreadable(error.to_string()))?;
    Ok((asked, ids.map_err(|error| unreadable(error.to_string()))?))
}

fn check(shared: &Shared, asked: &Asked, prompt: &[u32]) -> Result<Extras, Refused> {
    let config = &shared.config;
    let lora = config.loras.iter().find(|lora| lora.name == asked.model);
    if lora.is_none() && !config.models.contains(&asked.model) {
        return Err(Refused {
            status: StatusCode::NOT_FOUND,
            kind: "NotFoundError",
            message: format!("The model `{}` does not exist.", asked.model),
        });
    }
    if prompt.is_empty() {
        return Err(Refused::bad_request("prompt: is empty".to_owned()));
    }
    let longest = config.engine.max_model_len;
    let wanted = prompt.len() + asked.max_tokens.unwrap_or(1);
    if wanted > longest {
        return Err(Refused::bad_request(format!(
            "This model's maximum context length is {longest} tokens. However, you requested \
             {wanted} tokens ({} in the prompt). Please reduce the length of the messages or \
             completion.",
            prompt.len()
        )));
    }
    if shared.with_state(|state| state.load.waiting) >= config.engine.max_waiting {
        return Err(Refused::unavailable("too many requests wait"));
    }
    Ok(Extras {
        lora: lora.cloned(),
        salt: asked.salt.clone(),
    })
}

async fn whole(ongoing: Ongoing) -> Response {
    let mut ready = 0;
    while ready < ongoing.reply.length() {
        match ongoing.beyond(ready).await {
            Ok(more) => ready = more,
            Err(Cut) => return half(&ongoing, ready),
        }
    }
    Json(render::whole(&ongoing)).into_response()
}

/// The beginning of an answer, and then nothing more.
fn half(ongoing: &Ongoing, ready: usize) -> Response {
    let text = render::text(ongoing, 0..ready);
    let begun = format!("{{\"id\":\"{}\",\"text\":\"{text}", ongoing.id);
    let begun = stream::iter([Ok(begun.into_bytes())]);
    let parts = begun.chain(stream::once(async { Err(cut().await) }));
    let body = Body::from_stream(parts);
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

fn streamed(ongoing: Ongoing) -> Response {
    let events = stream::try_unfold(Some((ongoing, 0)), |state| async move {
        let Some((ongoing, sent)) = state else {
            return Ok::<_, io::Error>(None);
        };
        let Ok(ready) = ongoing.beyond(sent).await else {
            return Err(cut().await);
        };
        let chunk = render::chunks(&ongoing, sent..ready);
        let state = (ready < ongoing.reply.length()).then_some((ongoing, ready));
        Ok(Some((Bytes::from(chunk), state)))
    });
    let kind = [(header::CONTENT_TYPE, "text/event-stream; charset=utf-8")];
    (kind, Body::from_stream(events)).into_response()
}

/// What ends a connection without an end. Whatever came before it is sent first:
/// a server that never waits would throw it away.
async fn cut() -> io::Error {
    tokio::time::sleep(FLUSH).await;
    io::Error::new(io::ErrorKind::ConnectionAborted, "the engine died")
}

impl Refused {
    fn bad_request(message: String) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            kind: "BadRequestError",
            message,
        }
    }

    fn unavailable(message: &str) -> Self {
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            kind: "ServiceUnavailableError",
            message: message.to_owned(),
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let error = json!({
            "message": self.message, "type": self.kind, "param": null,
            "code": self.status.as_u16(),
        });
        (self.status, Json(json!({"error": error}))).into_response()
    }
}
