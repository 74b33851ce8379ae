//! What every test starts: engines that echo, a picker, an Envoy.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use http::{HeaderValue, Request};
use loadtest_gateway::{
    Answer, Body, EchoEngine, Gateway, GatewaySetup, Manifests, Mode, Pool, Programs, Seen, post,
};
use serde_json::{Value, json};

pub(crate) const CHAT: &str = "/v1/chat/completions";

/// A host that no virtual host of its own has.
pub(crate) const HOST: &str = "gateway.test";

/// The programs: `kvatlas` as `KVATLAS_BINARY` names it, or built as it is now,
/// beside the suite's own.
pub(crate) fn programs() -> &'static Programs {
    static FOUND: OnceLock<Programs> = OnceLock::new();
    FOUND.get_or_init(|| {
        let kvatlas = std::env::var_os("KVATLAS_BINARY").map_or_else(built, PathBuf::from);
        let envoy = std::env::var_os("KVATLAS_ENVOY").map(PathBuf::from);
        Programs::find(Some(&kvatlas), envoy.as_deref()).unwrap()
    })
}

fn built() -> PathBuf {
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--package", "services-kvatlas"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .expect("cargo runs");
    assert!(built.success(), "kvatlas does not compile");
    PathBuf::from(env!("CARGO_BIN_EXE_loadtest-gateway")).with_file_name("kvatlas")
}

/// Engines, picker and Envoy of one test.
pub(crate) struct Bench {
    pub(crate) engines: Vec<EchoEngine>,
    pub(crate) gateway: Gateway,
}

impl Bench {
    /// Two engines on 127.0.0.1, picked by load.
    pub(crate) async fn start(pool: Pool) -> Self {
        Self::with(pool, 2, |_| {}).await
    }

    /// So many engines; the rest as the change says.
    pub(crate) async fn with(
        pool: Pool,
        engines: usize,
        change: impl FnOnce(&mut GatewaySetup),
    ) -> Self {
        let engines = echoes(&vec!["127.0.0.1:0"; engines]).await;
        Self::before(engines, pool, change).await
    }

    /// These engines.
    pub(crate) async fn before(
        engines: Vec<EchoEngine>,
        pool: Pool,
        change: impl FnOnce(&mut GatewaySetup),
    ) -> Self {
        let manifests = Manifests::new(&addresses(&engines), Mode::Load);
        let mut setup = GatewaySetup::new(pool, manifests);
        change(&mut setup);
        let gateway = Gateway::start(programs(), &setup).await.unwrap();
        Self { engines, gateway }
    }

    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        addresses(&self.engines)
    }

    pub(crate) async fn ask(&self, request: Request<Body>) -> Answer {
        self.gateway.ask(request).await.unwrap()
    }

    /// The engine that answered.
    pub(crate) fn engine_of(&self, engine: &str) -> &EchoEngine {
        let index = engine.strip_prefix("engine-").expect("an engine's answer");
        &self.engines[index.parse::<usize>().unwrap()]
    }

    /// What the engine that answered was sent.
    pub(crate) fn seen(&self, answer: &Answer, test: &str) -> Seen {
        let engine = self.engine_of(answer.header("x-engine"));
        engine.seen(test).expect("the engine saw the request")
    }

    /// The request went to one engine of these, and is what it was told of.
    pub(crate) fn assert_served(&self, answer: &Answer, test: &str) -> Seen {
        assert_eq!(answer.status, 200, "{test}: {}", answer.text());
        let seen = self.seen(answer, test);
        let told: Vec<_> = seen
            .headers
            .get_all("x-gateway-destination-endpoint")
            .iter()
            .collect();
        let address = self.engine_of(answer.header("x-engine")).address();
        assert_eq!(told, [address.to_string().as_str()], "{test}");
        seen
    }
}

/// Engines on these addresses, called by their place in the list.
pub(crate) async fn echoes(addresses: &[&str]) -> Vec<EchoEngine> {
    let mut engines = Vec::new();
    for (index, address) in addresses.iter().enumerate() {
        let name = format!("engine-{index}");
        let address = address.parse().unwrap();
        engines.push(EchoEngine::start(&name, address).await.unwrap());
    }
    engines
}

pub(crate) fn addresses(engines: &[EchoEngine]) -> Vec<SocketAddr> {
    engines.iter().map(EchoEngine::address).collect()
}

/// A chat request that can be found again.
pub(crate) fn chat(test: &'static str) -> Request<Body> {
    marked(post(HOST, CHAT, &said("hello")), test)
}

pub(crate) fn said(content: &str) -> Value {
    json!({"model": "m", "messages": [{"role": "user", "content": content}]})
}

pub(crate) fn marked(request: Request<Body>, test: &'static str) -> Request<Body> {
    with_header(request, "x-test", test)
}

pub(crate) fn with_header(
    mut request: Request<Body>,
    name: &'static str,
    value: &str,
) -> Request<Body> {
    let value = HeaderValue::from_str(value).unwrap();
    request.headers_mut().insert(name, value);
    request
}
