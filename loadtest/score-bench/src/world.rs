//! Everything that is measured, running and filled.

use anyhow::{Context, Result};
use indicatif::ProgressBar;
use serde_json::json;
use tempfile::TempDir;

use crate::MODEL;
use crate::args::{Args, Part};
use crate::asked::{Asked, Placement, SHARING};
use crate::fleet::{Bound, Fleet};
use crate::http::{self, Connection};
use crate::servers::{Kvatlas, Server};
use crate::verify;

/// The servers, what fills them, and what they are asked.
pub(crate) struct World {
    pub(crate) kvatlas: Kvatlas,
    pub(crate) dynamo: Option<Server>,
    pub(crate) echo: Server,
    pub(crate) fleet: Fleet,
    pub(crate) asked: Vec<Asked>,
    pub(crate) memberships: u64,
    /// Keeps the publishers that the other indexer is connected to.
    _bound: Option<Bound>,
    _folder: TempDir,
}

impl World {
    /// Starts the servers, fills them, and checks that all answer alike.
    pub(crate) async fn build(args: &Args) -> Result<Self> {
        let progress = ProgressBar::new_spinner();
        let folder = tempfile::tempdir()?;
        let placement = Placement::new(args.engines, args.memberships, args.tokens);
        let asked = placement.asked();
        say(&progress, "filling kvatlas");
        let names: Vec<String> = (0..args.engines).map(Fleet::address).collect();
        let kvatlas = Kvatlas::start(&args.kvatlas, &folder, &names).await?;
        let fleet = Fleet::fill(&kvatlas.events, &placement, args.engines).await?;
        verify::ours(&kvatlas, &asked).await.context("kvatlas")?;
        let (mut dynamo, mut bound) = (None, None);
        if let Some(binary) = args.dynamo.as_ref().filter(|_| args.has(Part::Rate)) {
            say(&progress, "filling the other indexer");
            let server = Server::dynamo(binary, &folder, args.dynamo_threads).await?;
            let mut publishers = fill(&server, &placement, args.engines).await?;
            let verified = verify::dynamo(server.port, &mut publishers, &asked).await;
            verified.context("dynamo")?;
            bound = Some(publishers);
            dynamo = Some(server);
        }
        let echo = Server::echo(&folder, SHARING.min(args.engines)).await?;
        progress.finish_and_clear();
        Ok(Self {
            kvatlas,
            dynamo,
            echo,
            fleet,
            asked,
            memberships: placement.memberships(),
            _bound: bound,
            _folder: folder,
        })
    }
}

/// Registers every engine with the other indexer, the way its users do, and sends
/// it what they hold.
async fn fill(server: &Server, placement: &Placement, engines: usize) -> Result<Bound> {
    let mut bound = Bound::open(placement, engines).await?;
    let mut connection = Connection::open(server.port).await?;
    for engine in 0..engines {
        let (endpoint, replay) = bound.addresses(engine)?;
        let body = json!({
            "instance_id": engine,
            "endpoint": endpoint,
            "replay_endpoint": replay,
            "model_name": MODEL,
            "block_size": loadtest_engines::BLOCK_SIZE,
        });
        let request = http::request("POST", "/register", &body.to_string());
        connection.json(&request).await.context("/register")?;
    }
    bound.fill().await?;
    Ok(bound)
}

pub(crate) fn say(progress: &ProgressBar, what: impl Into<std::borrow::Cow<'static, str>>) {
    progress.set_message(what);
    progress.tick();
}
