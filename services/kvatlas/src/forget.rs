//! `kvatlas forget`: an endpoint that is gone is removed through the store.

use std::time::Duration;

use anyhow::{Context, Result};
use proto_model::Endpoint;

use crate::cli::ForgetArgs;

/// How long the answer may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Asks the standalone to forget it.
#[expect(clippy::print_stdout, reason = "the result is this command's output")]
pub(crate) async fn run(args: ForgetArgs) -> Result<()> {
    let endpoint: Endpoint = args.endpoint.parse().context("the endpoint")?;
    let url = format!("{}/v1/endpoints", args.http.trim_end_matches('/'));
    let name = endpoint.to_string();
    let asked = tokio::task::spawn_blocking(move || {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .build();
        let agent: ureq::Agent = config.into();
        let mut request = agent.delete(&url).query("endpoint", &name);
        if let Some(rank) = args.rank {
            request = request.query("rank", rank.to_string());
        }
        request
            .call()
            .map(drop)
            .with_context(|| format!("DELETE {url}"))
    });
    asked.await??;
    println!("{endpoint} is forgotten");
    Ok(())
}
