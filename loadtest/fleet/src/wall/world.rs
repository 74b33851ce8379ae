//! What is started: engines, an index, a picker, an Envoy.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use loadtest_engine_sim::{EngineSim, SimConfig, Tokenizer};
use loadtest_engines::{EventsEndpoint, free_port};
use loadtest_gateway::{
    Envoy, Index, IndexSetup, Picker, PickerSetup, Plain, Pool, Programs, Setup, eventually,
};
use tempfile::TempDir;

use crate::options::FleetOptions;
use crate::strategy::Strategy;

use super::predictions;
use super::send::Sender;

/// The model of every request.
pub(super) const MODEL: &str = "Qwen3-32B";

/// The test model of this project.
const TOKENIZER: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../testdata/vllm/model/tokenizer.json"
);

/// The programs that are run, and where their logs go.
#[derive(Debug, Clone)]
pub struct WallPrograms {
    programs: Programs,
    logs: Option<PathBuf>,
}

impl WallPrograms {
    /// Those given; or `kvatlas` beside this program, and Envoy as the gateway suite
    /// finds it. Logs go into a folder per strategy below `logs`; none: they are not
    /// kept.
    ///
    /// # Errors
    /// If one is missing.
    pub fn find(
        kvatlas: Option<&Path>,
        envoy: Option<&Path>,
        logs: Option<PathBuf>,
    ) -> Result<Self> {
        Ok(Self {
            programs: Programs::find(kvatlas, envoy)?,
            logs,
        })
    }
}

/// One fleet. Processes are killed, and engines end, when it is dropped.
pub(super) struct World {
    pub(super) engines: Vec<EngineSim>,
    pub(super) picker: Picker,
    pub(super) strategy: Strategy,
    envoy: Envoy,
    _index: Index,
    _folder: Folder,
}

/// Where logs are.
enum Folder {
    Kept(PathBuf),
    Temporary(TempDir),
}

impl World {
    /// Starts everything. On return the index hears every engine, and the picker
    /// decides in the strategy's way.
    pub(super) async fn start(
        fleet: &FleetOptions,
        strategy: Strategy,
        score: Duration,
        programs: &WallPrograms,
    ) -> Result<Self> {
        let folder = Folder::new(programs.logs.as_deref(), strategy)?;
        let replay = free_port().await?;
        let setup = IndexSetup {
            block_size: fleet.block_size,
            // Keys are computed from the tokens in events, as by default.
            hash_seed: None,
            replay_port: Some(replay),
            ..IndexSetup::new(MODEL)
        };
        let index = Index::start(&programs.programs, &setup, folder.path()).await?;
        let engines = engines(fleet, &index, replay).await?;
        let addresses: Vec<_> = engines.iter().map(EngineSim::address).collect();
        let mut picker = picker(fleet, strategy, score, &addresses);
        picker.scorers = vec![index.grpc()];
        let picker = Picker::start(&programs.programs, &picker, folder.path()).await?;
        let mut envoy = Setup::new(Pool::OriginalDst, addresses, picker.ext_proc());
        envoy.plain = Plain::Random;
        let envoy = Envoy::start(programs.programs.envoy(), &envoy, folder.path()).await?;
        envoy.picker_is_healthy().await?;
        let world = Self {
            engines,
            picker,
            strategy,
            envoy,
            _index: index,
            _folder: folder,
        };
        world.decides().await?;
        Ok(world)
    }

    /// Where requests are sent to: past the picker, if chance is to decide.
    pub(super) fn address(&self) -> SocketAddr {
        match self.strategy {
            Strategy::Random => self.envoy.plain(),
            _ => self.envoy.inference(),
        }
    }

    /// Returns when a request is decided on as it should be, and every engine's load
    /// is known.
    async fn decides(&self) -> Result<()> {
        let Some(mode) = mode(self.strategy) else {
            return Ok(());
        };
        let sender = Sender::new(self.address());
        let mut number = 0;
        eventually(&format!("decisions by {mode}"), async || {
            number += 1;
            let id = format!("probe-{number}");
            // Less than a block: it leaves nothing in any cache.
            sender.ask(&id, " the".to_owned(), 1).await?;
            let decided = predictions::of(self.picker.log(), &[id]).await?;
            let by_mode = decided.iter().all(|decided| decided.mode == mode);
            let known = self
                .picker
                .metrics()
                .await?
                .sum("kvatlas_epp_loads_fresh", &[]);
            Ok((by_mode && known as usize >= self.engines.len()).then_some(()))
        })
        .await
    }
}

impl Folder {
    fn new(logs: Option<&Path>, strategy: Strategy) -> Result<Self> {
        let Some(logs) = logs else {
            return Ok(Self::Temporary(tempfile::tempdir()?));
        };
        let folder = logs.join(strategy.name());
        let made = std::fs::create_dir_all(&folder);
        made.with_context(|| format!("logs in {}", folder.display()))?;
        Ok(Self::Kept(folder))
    }

    fn path(&self) -> &Path {
        match self {
            Self::Kept(path) => path,
            Self::Temporary(folder) => folder.path(),
        }
    }
}

/// What the picker's log calls the strategy; none if it is not asked.
pub(super) fn mode(strategy: Strategy) -> Option<&'static str> {
    match strategy {
        Strategy::Precise => Some("tracking"),
        Strategy::Estimated => Some("estimated"),
        Strategy::LoadOnly => Some("load"),
        _ => None,
    }
}

fn picker(
    fleet: &FleetOptions,
    strategy: Strategy,
    score: Duration,
    engines: &[SocketAddr],
) -> PickerSetup {
    let mode = mode(strategy).unwrap_or("load");
    let millis = |time: Duration| format!("{}ms", time.as_millis());
    let settings = [
        ("epp.strategy", mode.to_owned()),
        ("epp.scrape.interval", millis(fleet.scrape)),
        ("epp.speculation", millis(fleet.speculation)),
        ("epp.scorer_timeout", millis(score)),
        // As by default, a little longer than a score may take.
        (
            "epp.serve.decision_timeout",
            millis(score + Duration::from_millis(800)),
        ),
    ];
    let set = |(name, value)| ["--set".to_owned(), format!("{name}={value}")];
    PickerSetup {
        endpoints: engines.to_vec(),
        more: settings.into_iter().flat_map(set).collect(),
        ..PickerSetup::default()
    }
}

/// Each on an address of its own: the index finds their replay sockets by it.
async fn engines(fleet: &FleetOptions, index: &Index, replay: u16) -> Result<Vec<EngineSim>> {
    let tokenizer = Arc::new(Tokenizer::from_file(Path::new(TOKENIZER))?);
    let mut engines = Vec::new();
    for number in 0..fleet.engines {
        let last = u8::try_from(number + 11).context("too many engines")?;
        let address = Ipv4Addr::new(127, 0, 0, last);
        let config = SimConfig {
            name: format!("engine-{number}"),
            listen: SocketAddr::from((address, 0)),
            models: vec![MODEL.to_owned()],
            engine: fleet.engine(),
            tokenizer: Arc::clone(&tokenizer),
            events: Some(EventsEndpoint::Connect(index.events())),
            replay: Some(SocketAddr::from((address, replay))),
            ..SimConfig::default()
        };
        let engine = EngineSim::start(config).await?;
        engine.subscribed().await;
        engines.push(engine);
    }
    Ok(engines)
}
