//! Plays one recording: messages up to a request's time, then the question.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use loadtest_recordings::{
    Overlap, RecordedEngine, RecordedRequest, RequestKind, media_identifiers, media_spans,
};
use proto_api::v1::index_client::IndexClient;
use proto_api::v1::score_request::Input;
use proto_api::v1::scorer_client::ScorerClient;
use proto_api::v1::{MediaItem, ScoreRequest, TokenIds};
use tonic::transport::Channel;

use super::Act;
use super::plan::ADAPTER;
use crate::client::{self, said};
use crate::standalone::Standalone;

/// How long the index may take to show a published message.
const VISIBLE_LIMIT: Duration = Duration::from_secs(10);

/// What was predicted for one request, and what the engine said.
pub(super) struct Row {
    /// What the prompt is, in a few words.
    pub(super) prompt: String,
    /// Tokens of the prompt as the scorer counted them.
    pub(super) prompt_tokens: u32,
    /// Tokens that the scorer expected to be reused.
    pub(super) predicted: u64,
    /// Tokens that vLLM reported as reused.
    pub(super) reported: u64,
    /// Why the two cannot be compared, if so.
    pub(super) overlap: Option<Overlap>,
}

impl Row {
    /// Whether the row counts, and is equal.
    pub(super) fn equal(&self) -> bool {
        self.predicted == self.reported
    }
}

/// One engine on the stage.
pub(super) struct Player<'a> {
    act: &'a Act,
    engine: RecordedEngine,
    published: usize,
    scorer: ScorerClient<Channel>,
    index: IndexClient<Channel>,
}

impl<'a> Player<'a> {
    pub(super) async fn start(standalone: &Standalone, act: &'a Act) -> Result<Self> {
        let topic = format!("kv@{}@{}", act.address, act.model);
        let engine = RecordedEngine::connect(standalone.events(), &topic).await?;
        let channel = client::connect(standalone.grpc_url()).await?;
        Ok(Self {
            act,
            engine,
            published: 0,
            scorer: client::scorer(channel.clone()),
            index: client::index(channel),
        })
    }

    /// Plays to the end.
    pub(super) async fn play(&mut self) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        for request in &self.act.recording.requests {
            if request.kind == RequestKind::Reset {
                continue;
            }
            self.publish_until(request.sent_at).await?;
            rows.push(self.ask(request).await?);
        }
        Ok(rows)
    }

    async fn publish_until(&mut self, time: f64) -> Result<()> {
        let messages = &self.act.recording.published[self.published..];
        let due = messages
            .iter()
            .take_while(|message| message.made_at < time)
            .count();
        for message in &messages[..due] {
            self.engine.publish(message).await?;
        }
        self.published += due;
        match messages[..due].last() {
            Some(last) => self.visible(last.sequence + 1).await,
            None => Ok(()),
        }
    }

    /// Waits until the index has seen every message before `next`.
    async fn visible(&mut self, next: u64) -> Result<()> {
        let deadline = tokio::time::Instant::now() + VISIBLE_LIMIT;
        loop {
            let endpoints = client::endpoints(&mut self.index).await?;
            let seen = endpoints
                .iter()
                .find(|endpoint| endpoint.address == self.act.address)
                .map_or(0, |endpoint| endpoint.next_sequence);
            if seen >= next {
                return Ok(());
            }
            if tokio::time::Instant::now() > deadline {
                bail!(
                    "{}: message {next} published, index at {seen}",
                    self.act.recording.tag
                );
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    async fn ask(&mut self, request: &RecordedRequest) -> Result<Row> {
        let question = ScoreRequest {
            model: self.act.model.clone(),
            lora: (request.model() == ADAPTER.0).then(|| ADAPTER.0.to_owned()),
            input: Some(input(request)?),
            cache_salt: request.cache_salt().map(str::to_owned),
            items: items(request),
            candidates: vec![self.act.address.clone()],
            ..Default::default()
        };
        let answer = self
            .scorer
            .score(question)
            .await
            .map_err(said)
            .with_context(|| format!("{}, {}", self.act.recording.tag, request.note))?
            .into_inner();
        let predicted = answer
            .endpoints
            .first()
            .map_or(0, |endpoint| endpoint.reusable_tokens);
        Ok(Row {
            prompt: headline(request),
            prompt_tokens: answer.prompt_tokens,
            predicted: u64::from(predicted),
            reported: request.cached_tokens,
            overlap: request.overlap,
        })
    }
}

/// Chats and completions go as the bodies that vLLM was sent, media as token ids.
fn input(request: &RecordedRequest) -> Result<Input> {
    Ok(match request.kind {
        RequestKind::Chat => Input::Chat(serde_json::to_vec(&request.body)?.into()),
        RequestKind::Completion => Input::Completion(serde_json::to_vec(&request.body)?.into()),
        RequestKind::Media | RequestKind::Reset => Input::Tokens(TokenIds {
            ids: request.token_ids.clone(),
        }),
    })
}

fn items(request: &RecordedRequest) -> Vec<MediaItem> {
    let spans = media_spans(&request.token_ids);
    spans
        .iter()
        .zip(media_identifiers(&request.note))
        .map(|(span, identifier)| MediaItem {
            identifier: (*identifier).to_owned(),
            offset: span.offset,
            length: span.length,
        })
        .collect()
}

/// The prompt's end in a few words: what the user asked last.
fn headline(request: &RecordedRequest) -> String {
    let body = &request.body;
    let last = body["messages"]
        .as_array()
        .and_then(|messages| messages.last());
    let message = last.and_then(|message| message["content"].as_str());
    let Some(text) = message.or_else(|| body["prompt"].as_str()) else {
        return format!("{} ({} token ids)", request.note, request.token_ids.len());
    };
    let short: String = text
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .take(44)
        .collect();
    format!("{} \u{201c}{short}\u{2026}\u{201d}", request.note)
}
