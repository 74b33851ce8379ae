//! Predicted against real cached tokens, over conversations of several turns.
//!
//! The picker predicts when it decides; the engine says in `usage` what it really
//! reused. One after the other they must be equal for every single request; with
//! many at once the share is reported.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, bail};
use http::HeaderValue;
use loadtest_gateway::{
    Answer, Client, Fleet, Gateway, GatewaySetup, Index, IndexSetup, Manifests, Mode, Pool,
    Programs, Report, post,
};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::world::{CHAT, HOST, MODEL, decides_by, text};

/// How it is run.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// Conversations.
    #[arg(long, default_value_t = 1_000)]
    count: usize,
    /// Conversations at the same time.
    #[arg(long, default_value_t = 1)]
    concurrency: usize,
    /// Turns of each.
    #[arg(long, default_value_t = 4)]
    turns: usize,
    /// Conversations that are open at the same time, turn by turn.
    #[arg(long, default_value_t = 20)]
    open: usize,
    /// Simulated engines.
    #[arg(long, default_value_t = 4)]
    engines: usize,
    /// Tokens that each engine's cache has room for.
    #[arg(long, default_value_t = 307_328)]
    kv_tokens: usize,
    /// How much faster than the calibration time passes; 0: nothing is waited for.
    #[arg(long, default_value_t = 0.0)]
    speed: f64,
    /// The requests that are shown of those that differ.
    #[arg(long, default_value_t = 5)]
    examples: usize,
}

/// Tokens of the contexts that conversations share, about; and how many there are.
const SHARED: (usize, usize) = (600, 10);

/// Tokens of one question, about.
const QUESTION: usize = 90;

/// Tokens of one answer.
const ANSWER: usize = 40;

/// What an engine said of one request.
struct Told {
    id: String,
    prompt: u64,
    cached: u64,
}

pub(crate) async fn run(args: &Args, programs: &Programs) -> Result<Vec<Report>> {
    let folder = tempfile::tempdir()?;
    let index = Index::start(programs, &IndexSetup::new(MODEL), folder.path()).await?;
    let (kv_tokens, speed) = (args.kv_tokens, args.speed);
    let fleet = Fleet::start(args.engines, MODEL, &index, |config| {
        config.engine.kv_tokens = kv_tokens;
        config.speed = speed;
    });
    let fleet = fleet.await?;
    let manifests = Manifests::new(&fleet.addresses(), Mode::Tracking);
    let mut setup = GatewaySetup::new(Pool::OriginalDst, manifests);
    setup.scorers = vec![index.grpc()];
    let gateway = Gateway::start(programs, &setup).await?;
    decides_by(&gateway, "tracking").await?;
    let told = converse(args, &gateway).await?;
    compare(args, &gateway, &told)
        .await
        .map(|report| vec![report])
}

/// Every conversation to its end.
async fn converse(args: &Args, gateway: &Gateway) -> Result<Vec<Told>> {
    let address = gateway.envoy.inference();
    let next = Arc::new(AtomicUsize::new(0));
    let mut talking = JoinSet::new();
    for _ in 0..args.concurrency {
        let (args, next) = (args.clone(), Arc::clone(&next));
        talking.spawn(async move {
            let mut client = Client::connect(address).await?;
            let mut told = Vec::new();
            loop {
                let first = next.fetch_add(args.open, Ordering::Relaxed);
                let last = (first + args.open).min(args.count);
                if first >= last {
                    return anyhow::Ok(told);
                }
                let mut open: Vec<_> = (first..last).map(Conversation::new).collect();
                for turn in 0..args.turns {
                    for conversation in &mut open {
                        told.push(conversation.turn(turn, &mut client).await?);
                    }
                }
            }
        });
    }
    let mut told = Vec::new();
    while let Some(some) = talking.join_next().await {
        told.extend(some??);
    }
    Ok(told)
}

/// One conversation as its client holds it.
struct Conversation {
    number: usize,
    messages: Vec<Value>,
}

impl Conversation {
    fn new(number: usize) -> Self {
        let context = text(SHARED.0, (number % SHARED.1) as u64);
        let messages = vec![json!({"role": "system", "content": context})];
        Self { number, messages }
    }

    async fn turn(&mut self, turn: usize, client: &mut Client) -> Result<Told> {
        let seed = 1_000 + (self.number * 100 + turn) as u64;
        let question = format!("{seed} {}", text(QUESTION, seed));
        self.messages
            .push(json!({"role": "user", "content": question}));
        let mut body = json!({
            "model": MODEL, "max_tokens": ANSWER, "temperature": 0, "messages": self.messages,
        });
        if turn.is_multiple_of(2) {
            body["stream"] = json!(true);
            body["stream_options"] = json!({"include_usage": true});
        }
        let id = format!("conversation-{}-{turn}", self.number);
        let mut request = post(HOST, CHAT, &body);
        let header = HeaderValue::from_str(&id)?;
        request.headers_mut().insert("x-request-id", header);
        let answer = client.ask(request).await?;
        if answer.status != 200 {
            bail!("{id}: {}: {}", answer.status, answer.text());
        }
        let usage = answer.usage().with_context(|| format!("{id}: no usage"))?;
        let content = content(&answer);
        self.messages
            .push(json!({"role": "assistant", "content": content}));
        Ok(Told {
            id,
            prompt: usage["prompt_tokens"].as_u64().unwrap_or(0),
            cached: usage["prompt_tokens_details"]["cached_tokens"]
                .as_u64()
                .unwrap_or(0),
        })
    }
}

/// What the engine said, streamed or not.
fn content(answer: &Answer) -> String {
    let text = answer.text();
    let events = text.lines().filter_map(|line| line.strip_prefix("data: "));
    let parsed = events.filter_map(|json| serde_json::from_str::<Value>(json).ok());
    let deltas = parsed.filter_map(|event| {
        let delta = &event["choices"][0]["delta"]["content"];
        delta.as_str().map(str::to_owned)
    });
    let streamed: String = deltas.collect();
    let whole = answer.json().ok();
    let whole = whole.and_then(|body| {
        let content = &body["choices"][0]["message"]["content"];
        content.as_str().map(str::to_owned)
    });
    whole.unwrap_or(streamed)
}

/// What the picker's log says of one request.
struct Predicted {
    tokens: u64,
    prompt: u64,
    mode: String,
}

async fn compare(args: &Args, gateway: &Gateway, told: &[Told]) -> Result<Report> {
    let last = told.last().context("no request was made")?;
    gateway.handled(&last.id).await?;
    let predicted = predictions(gateway)?;
    let title = format!(
        "{} conversations of {} turns, {} at once, {} engines of {} tokens",
        args.count, args.turns, args.concurrency, args.engines, args.kv_tokens
    );
    let columns = [
        "requests",
        "equal",
        "share",
        "prompt tokens",
        "predicted",
        "cached",
        "difference",
        "not by tracking",
    ];
    let mut report = Report::new(title, &columns);
    let (mut equal, mut elsewhere, mut difference, mut shown) = (0, 0, 0, 0);
    let (mut prompt, mut cached, mut promised) = (0, 0, 0);
    for told in told {
        let of = predicted.get(&told.id);
        let of = of.with_context(|| format!("no line of {}", told.id))?;
        prompt += told.prompt;
        cached += told.cached;
        promised += of.tokens;
        difference += of.tokens.abs_diff(told.cached);
        equal += usize::from(of.tokens == told.cached);
        elsewhere += usize::from(of.mode != "tracking");
        if of.tokens != told.cached && shown < args.examples {
            shown += 1;
            said_so(told, of);
        }
    }
    let all = told.len();
    report.check(args.concurrency > 1 || equal == all, || {
        format!(
            "{} of {all} requests reused other than predicted",
            all - equal
        )
    });
    report.check(cached > 0, || "nothing was ever reused".to_owned());
    report.row([
        all.to_string(),
        equal.to_string(),
        format!("{:.4}", equal as f64 / all as f64),
        prompt.to_string(),
        promised.to_string(),
        cached.to_string(),
        difference.to_string(),
        elsewhere.to_string(),
    ]);
    Ok(report)
}

#[expect(clippy::print_stderr, reason = "shows what differs")]
fn said_so(told: &Told, of: &Predicted) {
    eprintln!(
        "{}: predicted {} of {} tokens by {}, reused {} of {}",
        told.id, of.tokens, of.prompt, of.mode, told.cached, told.prompt
    );
}

/// By request id.
fn predictions(gateway: &Gateway) -> Result<HashMap<String, Predicted>> {
    let lines = gateway.picker.log().lines()?;
    let handled = lines
        .iter()
        .filter(|line| line["message"] == "Request handled");
    let by_id = handled.filter_map(|line| {
        let predicted = Predicted {
            tokens: line["predicted_cached_tokens"].as_u64()?,
            prompt: line["prompt_tokens"].as_u64()?,
            mode: line["mode"].as_str()?.to_owned(),
        };
        Some((line["x-request-id"].as_str()?.to_owned(), predicted))
    });
    Ok(by_id.collect())
}
