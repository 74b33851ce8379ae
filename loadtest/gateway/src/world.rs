//! What most commands start: engines that echo, an index, a gateway.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{HeaderValue, Request};
use loadtest_gateway::{
    Body, EchoEngine, Gateway, GatewaySetup, Index, IndexSetup, Manifests, Mode, Pool, Programs,
    eventually, post,
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The model of every request.
pub(crate) const MODEL: &str = "Qwen3-32B";

/// The path of every request.
pub(crate) const CHAT: &str = "/v1/chat/completions";

/// The host of every request that asks for nothing special.
pub(crate) const HOST: &str = "gateway.test";

/// Engines, an index and a gateway in tracking mode.
pub(crate) struct World {
    pub(crate) engines: Vec<EchoEngine>,
    pub(crate) index: Index,
    pub(crate) gateway: Gateway,
    _folder: TempDir,
}

impl World {
    /// Starts everything; the picker asks the index directly, unless the change says
    /// otherwise.
    pub(crate) async fn start(
        programs: &Programs,
        engines: Vec<EchoEngine>,
        pool: Pool,
        change: impl FnOnce(&mut GatewaySetup),
    ) -> Result<Self> {
        let (index, folder) = index(programs).await?;
        Self::before((index, folder), programs, engines, pool, change).await
    }

    /// Starts everything before an index that is there.
    pub(crate) async fn before(
        (index, folder): (Index, TempDir),
        programs: &Programs,
        engines: Vec<EchoEngine>,
        pool: Pool,
        change: impl FnOnce(&mut GatewaySetup),
    ) -> Result<Self> {
        let addresses: Vec<_> = engines.iter().map(EchoEngine::address).collect();
        let manifests = Manifests::new(&addresses, Mode::Tracking);
        let mut setup = GatewaySetup::new(pool, manifests);
        setup.scorers = vec![index.grpc()];
        change(&mut setup);
        let gateway = Gateway::start(programs, &setup).await?;
        Ok(Self {
            engines,
            index,
            gateway,
            _folder: folder,
        })
    }

    /// Returns when the picker decides in this way.
    pub(crate) async fn decides_by(&self, mode: &str) -> Result<()> {
        decides_by(&self.gateway, mode).await
    }
}

/// An index that knows [`MODEL`], and the folder of its log.
pub(crate) async fn index(programs: &Programs) -> Result<(Index, TempDir)> {
    let folder = tempfile::tempdir()?;
    let setup = IndexSetup::new(MODEL);
    let index = Index::start(programs, &setup, folder.path()).await?;
    Ok((index, folder))
}

/// Engines that echo, called `engine-0` and on.
pub(crate) async fn echoes(count: usize) -> Result<Vec<EchoEngine>> {
    let mut engines = Vec::new();
    for index in 0..count {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        engines.push(EchoEngine::forgetful(&format!("engine-{index}"), any).await?);
    }
    Ok(engines)
}

/// Returns when the picker's line of a new request names this mode.
pub(crate) async fn decides_by(gateway: &Gateway, mode: &str) -> Result<()> {
    let mut number = 0;
    eventually(&format!("decisions by {mode}"), async || {
        number += 1;
        let id = format!("probe-{mode}-{number}-{}", rand::random::<u32>());
        let mut request = post(HOST, CHAT, &said("which way?"));
        let value = HeaderValue::from_str(&id)?;
        request.headers_mut().insert("x-request-id", value);
        if gateway.ask(request).await?.status != 200 {
            return Ok(None);
        }
        let line = gateway.handled(&id).await?;
        Ok((line["mode"] == mode).then_some(()))
    })
    .await
}

/// What lets the answer to the request with this `x-test` go on, at its engine.
pub(crate) fn stepper<B>(
    world: &World,
    response: &http::Response<B>,
    test: &str,
) -> Result<impl Fn() + Send + Sync + 'static> {
    let name = response.headers().get("x-engine").context("no engine")?;
    let engine = world.engines.iter().find(|engine| engine.name() == name);
    Ok(engine.context("an unknown engine")?.stepper(test))
}

/// A chat request with one message.
pub(crate) fn said(content: &str) -> Value {
    json!({"model": MODEL, "messages": [{"role": "user", "content": content}]})
}

/// A POST of these bytes.
pub(crate) fn raw(bytes: impl Into<Bytes>) -> Request<Body> {
    use http_body_util::BodyExt;
    let body = http_body_util::Full::new(bytes.into());
    post(HOST, CHAT, &Value::Null).map(|_| body.map_err(|never| match never {}).boxed())
}

/// About so many tokens of the test model, different for every seed.
pub(crate) fn text(tokens: usize, seed: u64) -> String {
    use rand::{Rng, SeedableRng};
    const WORDS: [&str; 16] = [
        "the", "of", "and", "in", "to", "was", "is", "for", "as", "on", "with", "by", "he", "at",
        "from", "his",
    ];
    let mut random = rand::rngs::SmallRng::seed_from_u64(seed);
    let words = (0..tokens).map(|_| WORDS[random.random_range(0..WORDS.len())]);
    words.collect::<Vec<_>>().join(" ")
}
