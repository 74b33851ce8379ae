//! `kvatlas score`: one question to a running scorer.

use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result};
use proto_api::v1::score_request::Input;
use proto_api::v1::{ScoreRequest, ScoreResponse, TokenIds};

use crate::cli::{ScoreArgs, ScoreInput};
use crate::client::{self, said, trust_word};
use crate::table::Table;

/// The largest chat body that is read from a file.
const BODY_LIMIT: u64 = 64 << 20;

/// Asks, and prints the answer.
pub(crate) async fn run(args: ScoreArgs) -> Result<()> {
    let request = ScoreRequest {
        model: args.model,
        input: Some(input(args.input)?),
        cache_salt: args.cache_salt,
        candidates: args.candidate,
        ..Default::default()
    };
    let channel = client::connect(&args.client.server).await?;
    let answer = client::scorer(channel)
        .score(request)
        .await
        .map_err(said)?
        .into_inner();
    if args.client.json {
        print_json(&answer)
    } else {
        print_table(&answer)
    }
    Ok(())
}

fn input(input: ScoreInput) -> Result<Input> {
    Ok(match input {
        ScoreInput {
            prompt: Some(text), ..
        } => Input::Text(text),
        ScoreInput {
            chat: Some(path), ..
        } => Input::Chat(read(&path)?.into()),
        ScoreInput { tokens, .. } => Input::Tokens(TokenIds { ids: tokens }),
    })
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    if path == Path::new("-") {
        std::io::stdin()
            .lock()
            .take(BODY_LIMIT)
            .read_to_end(&mut body)
            .context("standard input")?;
    } else {
        let file = std::fs::File::open(path)
            .with_context(|| format!("cannot open the chat body {}", path.display()))?;
        file.take(BODY_LIMIT).read_to_end(&mut body)?;
    }
    Ok(body)
}

#[expect(clippy::print_stdout, reason = "the answer is this command's output")]
fn print_table(answer: &ScoreResponse) {
    println!(
        "model {}  prompt {} tokens  revision {}  age {} ms",
        answer.model, answer.prompt_tokens, answer.revision, answer.age_ms
    );
    for warning in &answer.warnings {
        println!("warning: {warning}");
    }
    if answer.endpoints.is_empty() {
        println!("no endpoint holds any block of this prompt");
        return;
    }
    let mut table = Table::new([
        "endpoint", "rank", "reusable", "gpu", "cpu", "disk", "remote", "score", "trust",
    ]);
    for endpoint in &answer.endpoints {
        let medium = endpoint.by_medium.unwrap_or_default();
        table.row([
            format!("{}/{}", endpoint.cluster, endpoint.address),
            endpoint.rank.to_string(),
            endpoint.reusable_tokens.to_string(),
            medium.gpu.to_string(),
            medium.cpu.to_string(),
            medium.disk.to_string(),
            medium.remote.to_string(),
            format!("{:.3}", endpoint.score),
            trust_word(endpoint.trust).to_owned(),
        ]);
    }
    print!("{}", table.render());
}

#[expect(clippy::print_stdout, reason = "the answer is this command's output")]
fn print_json(answer: &ScoreResponse) {
    let endpoints: Vec<_> = answer
        .endpoints
        .iter()
        .map(|endpoint| {
            let medium = endpoint.by_medium.unwrap_or_default();
            serde_json::json!({
                "cluster": endpoint.cluster,
                "address": endpoint.address,
                "rank": endpoint.rank,
                "matched_tokens": endpoint.matched_tokens,
                "reusable_tokens": endpoint.reusable_tokens,
                "by_medium": {
                    "gpu": medium.gpu, "cpu": medium.cpu, "disk": medium.disk, "remote": medium.remote,
                },
                "score": endpoint.score,
                "trust": trust_word(endpoint.trust),
                "block_size": endpoint.block_size,
            })
        })
        .collect();
    let answer = serde_json::json!({
        "model": answer.model,
        "prompt_tokens": answer.prompt_tokens,
        "revision": answer.revision,
        "age_ms": answer.age_ms,
        "warnings": answer.warnings,
        "endpoints": endpoints,
    });
    println!("{answer}");
}
