//! `kvatlas forget`: an endpoint that is gone is removed through the store.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use proto_model::Endpoint;

use crate::cli::ForgetArgs;

/// How long the answer may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The most that is read of why not.
const SAID_MAX: u64 = 64 << 10;

/// Asks the ingestor or the standalone to forget it. Exit code 1 says that the
/// store does not know it.
#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the result is this command's output"
)]
pub(crate) async fn run(args: ForgetArgs) -> Result<ExitCode> {
    let endpoint: Endpoint = args.endpoint.parse().context("the endpoint")?;
    let url = format!("{}/v1/endpoints", args.http.trim_end_matches('/'));
    let name = endpoint.to_string();
    let asked = tokio::task::spawn_blocking(move || {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .http_status_as_error(false)
            .build();
        let agent: ureq::Agent = config.into();
        let mut request = agent.delete(&url).query("endpoint", &name);
        if let Some(rank) = args.rank {
            request = request.query("rank", rank.to_string());
        }
        let mut answer = request
            .call()
            .with_context(|| format!("DELETE {url}; is --http an ingestor's address?"))?;
        if answer.status().is_success() {
            return Ok(None);
        }
        let said = answer.body_mut().with_config().limit(SAID_MAX);
        let said = said.read_to_string().unwrap_or_default();
        match answer.status().as_u16() {
            404 => Ok(Some(said.trim().to_owned())),
            405 => bail!(
                "{url} takes no removals; it may be a scorer's: ask an ingestor, --http http://INGESTOR:7501"
            ),
            status => bail!("DELETE {url}: {status}: {}", said.trim()),
        }
    });
    if let Some(unknown) = asked.await?? {
        eprintln!("kvatlas: {unknown}");
        return Ok(ExitCode::from(1));
    }
    println!("{endpoint} is forgotten");
    Ok(ExitCode::SUCCESS)
}
