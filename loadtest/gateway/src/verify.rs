//! The two requests that users verify a picker with, one after the other, in both
//! modes, before simulated engines that publish as vLLM does.

use anyhow::{Context, Result, bail};
use http::HeaderValue;
use loadtest_gateway::{
    Answer, Client, Fleet, Gateway, GatewaySetup, Index, IndexSetup, Manifests, Mode, Pool,
    Programs, Report, post, round_one, round_two,
};
use serde_json::Value;

use crate::world::{CHAT, HOST, MODEL, decides_by};

/// How it is run.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Simulated engines.
    #[arg(long, default_value_t = 2)]
    engines: usize,
    /// Users who send both rounds.
    #[arg(long, default_value_t = 10)]
    users: u32,
}

const COLUMNS: &[&str] = &[
    "mode",
    "user",
    "round 1 at",
    "round 2 at",
    "same",
    "predicted",
    "cached",
    "matching ratio",
];

pub(crate) async fn run(args: &Args, programs: &Programs) -> Result<Vec<Report>> {
    let mut report = Report::new("Round 1, then round 2", COLUMNS);
    for mode in [Mode::Tracking, Mode::Estimation] {
        let folder = tempfile::tempdir()?;
        let index = Index::start(programs, &IndexSetup::new(MODEL), folder.path()).await?;
        let fleet = Fleet::start(args.engines, MODEL, &index, |_| {}).await?;
        let manifests = Manifests::new(&fleet.addresses(), mode);
        let mut setup = GatewaySetup::new(Pool::OriginalDst, manifests);
        setup.scorers = vec![index.grpc()];
        let gateway = Gateway::start(programs, &setup).await?;
        let name = match mode {
            Mode::Tracking => "tracking",
            Mode::Estimation | Mode::Load => "estimated",
        };
        decides_by(&gateway, name).await?;
        for user in 0..args.users {
            rounds(&gateway, name, user, &mut report).await?;
        }
        plain(&gateway, &fleet).await?;
    }
    Ok(vec![report])
}

async fn rounds(gateway: &Gateway, mode: &str, user: u32, report: &mut Report) -> Result<()> {
    let first = round(
        gateway,
        &round_one(MODEL, user),
        &format!("{mode}-{user}-1"),
    )
    .await?;
    let id = format!("{mode}-{user}-2");
    let second = round(gateway, &round_two(MODEL, user), &id).await?;
    let same = first.endpoint == second.endpoint;
    report.check(same, || {
        format!(
            "{mode}, user {user}: {} and {}",
            first.endpoint, second.endpoint
        )
    });
    let mut ratio = String::new();
    if mode == "estimated" {
        let line = gateway.line("Do prefix-aware routing!", &id).await?;
        line["matching ratio"]
            .as_str()
            .unwrap_or("")
            .clone_into(&mut ratio);
        report.check(ratio.contains(" > 0.50"), || {
            format!("user {user}: {ratio:?}")
        });
    } else {
        report.check(second.predicted == second.cached, || {
            format!(
                "{mode}, user {user}: predicted {} of {}",
                second.predicted, second.cached
            )
        });
    }
    report.row([
        mode.to_owned(),
        user.to_string(),
        first.endpoint,
        second.endpoint,
        same.to_string(),
        second.predicted.to_string(),
        second.cached.to_string(),
        ratio,
    ]);
    Ok(())
}

/// What came of one round.
struct Round {
    endpoint: String,
    predicted: u64,
    cached: u64,
}

async fn round(gateway: &Gateway, body: &Value, id: &str) -> Result<Round> {
    let mut request = post(HOST, CHAT, body);
    let header = HeaderValue::from_str(id)?;
    request.headers_mut().insert("x-request-id", header);
    let answer = gateway.ask(request).await?;
    if answer.status != 200 {
        bail!("{id}: {}: {}", answer.status, answer.text());
    }
    let line = gateway.handled(id).await?;
    let endpoint = line["endpoint"].as_str().context("endpoint")?;
    let address = endpoint.split("Address:").nth(1).context("Address")?;
    let address = address.split_whitespace().next().unwrap_or(address);
    Ok(Round {
        endpoint: address.to_owned(),
        predicted: line["predicted_cached_tokens"].as_u64().unwrap_or(0),
        cached: cached(&answer)?,
    })
}

fn cached(answer: &Answer) -> Result<u64> {
    let usage = answer.usage().context("no usage in the answer")?;
    let cached = usage["prompt_tokens_details"]["cached_tokens"].as_u64();
    Ok(cached.unwrap_or(0))
}

/// The listener beside it takes the same requests.
async fn plain(gateway: &Gateway, fleet: &Fleet) -> Result<()> {
    for _ in 0..fleet.addresses().len() {
        let request = post(HOST, CHAT, &round_one(MODEL, 0));
        let answer = Client::once(gateway.envoy.plain(), request).await?;
        if answer.status != 200 {
            bail!("the plain listener: {}", answer.status);
        }
    }
    Ok(())
}
