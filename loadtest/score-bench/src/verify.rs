//! Answers are compared with what the publishers hold, before anything is timed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::MODEL;
use crate::asked::Asked;
use crate::fleet::{Bound, Fleet};
use crate::grpc::{self, Caller};
use crate::http::{self, Connection};
use crate::servers::Kvatlas;

/// How long an index may take to hold all that was sent.
const LIMIT: Duration = Duration::from_secs(180);

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(100);

/// Between two looks at an indexer that is asked to catch up by replays.
const NUDGE_PAUSE: Duration = Duration::from_secs(1);

/// Matched tokens by engine.
type Held = BTreeMap<usize, u32>;

/// Waits until kvatlas answers rightly in every way that is measured.
pub(crate) async fn ours(kvatlas: &Kvatlas, asked: &[Asked]) -> Result<()> {
    let (requests, dense) = (grpc::requests(asked), grpc::dense_requests(asked));
    let mut caller = Caller::connect(kvatlas.grpc).await?;
    let both = requests.iter().chain(dense.iter());
    for (asked, request) in asked.iter().chain(asked).zip(both) {
        let started = Instant::now();
        loop {
            // Before the first message the model is not known, which is an error.
            let answer = caller.score(request.clone()).await;
            let held = answer.map(|answer| -> Held {
                let rows = answer.endpoints.iter();
                let held = rows.filter(|row| row.matched_tokens > 0);
                held.filter_map(|row| Some((Fleet::number(&row.address)?, row.matched_tokens)))
                    .collect()
            });
            if matches!(&held, Ok(held) if *held == asked.held) {
                break;
            }
            let wanted = &asked.held;
            ensure!(
                started.elapsed() < LIMIT,
                "Score: wanted {wanted:?}, got {held:?}"
            );
            tokio::time::sleep(PAUSE).await;
        }
    }
    let mut connection = Connection::open(kvatlas.http).await?;
    for asked in asked {
        for (body, read) in [
            (
                dynamo_body(asked),
                in_dynamos_words as fn(&Value) -> Result<Held>,
            ),
            (mooncake_body(asked), in_mooncakes_words),
        ] {
            let request = http::request("POST", "/query", &body.to_string());
            let answer = connection.json(&request).await?;
            let held = read(&answer)?;
            ensure!(held == asked.held, "wanted {:?}, got {held:?}", asked.held);
        }
    }
    Ok(())
}

/// Waits until the other indexer answers rightly.
pub(crate) async fn dynamo(port: u16, bound: &mut Bound, asked: &[Asked]) -> Result<()> {
    let mut connection = Connection::open(port).await?;
    for asked in asked {
        let request = http::request("POST", "/query", &dynamo_body(asked).to_string());
        let started = Instant::now();
        loop {
            let held = in_dynamos_words(&connection.json(&request).await?)?;
            if held == asked.held {
                break;
            }
            let wanted = &asked.held;
            ensure!(started.elapsed() < LIMIT, "wanted {wanted:?}, got {held:?}");
            bound.nudge().await?;
            tokio::time::sleep(NUDGE_PAUSE).await;
        }
    }
    Ok(())
}

/// A query of Dynamo's form.
pub(crate) fn dynamo_body(asked: &Asked) -> Value {
    json!({ "token_ids": asked.tokens(), "model_name": MODEL })
}

/// A query of Mooncake's form.
pub(crate) fn mooncake_body(asked: &Asked) -> Value {
    json!({
        "model": MODEL,
        "token_ids": asked.tokens(),
        "block_size": loadtest_engines::BLOCK_SIZE,
    })
}

/// Both of the answer's parts must tell the same.
fn in_dynamos_words(answer: &Value) -> Result<Held> {
    let scores = answer["scores"].as_object().context("no scores")?;
    let scores = held(scores.iter().map(|(id, ranks)| (id, &ranks["0"])))?;
    let instances = answer["instances"].as_object().context("no instances")?;
    let longest = held(
        instances
            .iter()
            .map(|(id, one)| (id, &one["longest_matched"])),
    )?;
    ensure!(
        scores == longest,
        "scores {scores:?}, instances {longest:?}"
    );
    Ok(scores)
}

fn in_mooncakes_words(answer: &Value) -> Result<Held> {
    let instances = answer["default"].as_object().context("no tenant")?;
    held(
        instances
            .iter()
            .map(|(id, one)| (id, &one["longest_matched"])),
    )
}

fn held<'a>(rows: impl Iterator<Item = (&'a String, &'a Value)>) -> Result<Held> {
    let mut held = Held::new();
    for (id, tokens) in rows {
        let tokens = tokens.as_u64().context("no number of tokens")?;
        if tokens > 0 {
            held.insert(id.parse()?, u32::try_from(tokens)?);
        }
    }
    Ok(held)
}
