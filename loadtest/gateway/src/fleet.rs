//! Simulated engines that publish what they hold to an index.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use loadtest_engine_sim::{EngineSim, SimConfig, Tokenizer};
use loadtest_engines::EventsEndpoint;

use crate::Index;

/// The test model of this project.
const TOKENIZER: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../testdata/vllm/model/tokenizer.json"
);

/// Engines in this process; they end when dropped.
pub struct Fleet {
    engines: Vec<EngineSim>,
}

impl Fleet {
    /// So many engines of one model on 127.0.0.1, as the change says. They answer as
    /// soon as they can. On return the index hears them all.
    ///
    /// # Errors
    /// If one does not start.
    pub async fn start(
        count: usize,
        model: &str,
        index: &Index,
        change: impl Fn(&mut SimConfig),
    ) -> Result<Self> {
        let tokenizer = Arc::new(Tokenizer::from_file(Path::new(TOKENIZER))?);
        let mut engines = Vec::new();
        for number in 0..count {
            let mut config = SimConfig {
                name: format!("engine-{number}"),
                models: vec![model.to_owned()],
                tokenizer: Arc::clone(&tokenizer),
                speed: 0.0,
                events: Some(EventsEndpoint::Connect(index.events())),
                ..SimConfig::default()
            };
            change(&mut config);
            let engine = EngineSim::start(config).await?;
            engine.subscribed().await;
            engines.push(engine);
        }
        Ok(Self { engines })
    }

    /// Where they listen.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.engines.iter().map(EngineSim::address).collect()
    }

    /// The engines.
    #[must_use]
    pub fn engines(&self) -> &[EngineSim] {
        &self.engines
    }
}
