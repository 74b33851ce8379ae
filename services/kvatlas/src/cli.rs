//! The command line: what can be typed, and what it says about itself.

mod epp;
mod foreign;
mod roles;
mod store;

use std::path::PathBuf;

pub(crate) use epp::EppArgs;
pub(crate) use roles::{IngestorArgs, ScorerArgs, StandaloneArgs};
pub(crate) use store::{AdminArgs, NodeArgs, StoreAction, StoreArgs};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::config::Role;

/// One map of every KV-cache block in a fleet of inference engines.
#[derive(Debug, Parser)]
#[command(
    name = "kvatlas",
    version,
    about = "Which endpoint already holds how much of a prompt?",
    long_about = "KVAtlas listens to the KV-cache events of LLM engines, keeps one index of which \
                  endpoint holds which blocks, and tells for any prompt how many tokens of it each \
                  endpoint would reuse.",
    after_help = "Start here:\n  \
                  kvatlas demo                         real recordings, checked against vLLM's own figures\n  \
                  kvatlas standalone                   everything in one process; engines connect to port 5557\n  \
                  kvatlas doctor                       what is wrong with a running one, and how to mend it"
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Cli {
    /// Reads the command line, or ends the process saying what is wrong.
    pub(crate) fn read() -> Self {
        Self::try_parse().unwrap_or_else(|error| {
            let unknown = error.kind() == ErrorKind::UnknownArgument;
            let advice = match error.get(ContextKind::InvalidArg) {
                Some(ContextValue::String(argument)) if unknown => foreign::advice(argument),
                _ => None,
            };
            match advice {
                None => error.exit(),
                Some(advice) => Self::command()
                    .error(ErrorKind::UnknownArgument, advice)
                    .exit(),
            }
        })
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run all roles in one process on the embedded store.
    #[command(after_help = "Engines connect to the bound socket:\n  \
        vllm serve M --kv-events-config '{\"enable_kv_cache_events\":true,\"publisher\":\"zmq\",\n    \
        \"endpoint\":\"tcp://THIS_HOST:5557\",\"topic\":\"kv@ENGINE_IP:8000@M\"}'\n\
        or are connected to:  --connect tcp://ENGINE_IP:5557,endpoint=ENGINE_IP:8000,model=M,replay=tcp://ENGINE_IP:5558\n\n\
        Every key of the configuration file is also --set section.key=value, or an environment\n\
        variable KVATLAS__SECTION__KEY=value. `kvatlas config print` shows them all.")]
    Standalone(StandaloneArgs),
    /// Take in the events of engines and append them to a store.
    #[command(
        after_help = "Any number of ingestors may hear the same engines: the store drops what it has.\n\
        Engines connect or are connected to as with `kvatlas standalone`."
    )]
    Ingestor(IngestorArgs),
    /// Answer from a store's index, which is kept in memory.
    Scorer(ScorerArgs),
    /// Pick endpoints for a gateway: Envoy's external processing.
    #[command(
        after_help = "Manifests as for other endpoint pickers of the Gateway API Inference Extension:\n  \
        kvatlas epp --manifests pool.yaml --scorer scorer-1:50051 --scorer scorer-2:50051\n\
        or a fixed list:  kvatlas epp --endpoint 10.0.0.1:8000 --endpoint 10.0.0.2:8000 --scorer scorer:50051"
    )]
    Epp(EppArgs),
    /// Run a node of the replicated store, or change which nodes it has.
    #[command(
        after_help = "A node needs a number of its own and an address that others reach it by:\n  \
        kvatlas store --node-id 1 --advertise store-1:7400\n\
        then, once, at any of the first nodes:\n  \
        kvatlas store init --at store-1:7400 --node 1=store-1:7400 --node 2=store-2:7400 --node 3=store-3:7400"
    )]
    Store(StoreArgs),
    /// Play recorded vLLM streams into a standalone and compare with vLLM's own cache hits.
    Demo(DemoArgs),
    /// Ask a running scorer how much of a prompt each endpoint would reuse.
    Score(ScoreArgs),
    /// List the endpoints that a running scorer knows.
    Endpoints(ClientArgs),
    /// Forget an endpoint that is gone, with all it held.
    Forget(ForgetArgs),
    /// Examine a running KVAtlas: what was seen, what was expected, how to mend it.
    #[command(
        after_help = "Exit status: 0 nothing found, 1 warnings or errors found, 2 KVAtlas cannot be reached."
    )]
    Doctor(DoctorArgs),
    /// Check a configuration, or print it with every default filled in.
    Config {
        #[command(subcommand)]
        action: ConfigAction,
    },
}

/// Where the configuration comes from.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ConfigArgs {
    /// The YAML file.
    #[arg(long, env = "KVATLAS_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// One setting, as section.key=value; the value is read as YAML. May be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) overrides: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// The folder with the recordings.
    #[arg(long, value_name = "DIR", default_value = "testdata/vllm")]
    pub(crate) recordings: PathBuf,
    /// Play only recordings whose name contains this text.
    #[arg(long, value_name = "TEXT")]
    pub(crate) only: Option<String>,
    /// How block keys come about: content, or engine (where the engine's hash can be reproduced).
    #[arg(long, value_name = "PROFILE", default_value = "content", value_parser = ["content", "engine"])]
    pub(crate) profile: String,
    /// Print every row of the long recording too.
    #[arg(long)]
    pub(crate) all_rows: bool,
}

/// Which scorer to ask.
#[derive(Debug, Clone, Args)]
pub(crate) struct ClientArgs {
    /// The scorer's gRPC address.
    #[arg(
        long,
        env = "KVATLAS_SERVER",
        value_name = "URL",
        default_value = "http://127.0.0.1:50051"
    )]
    pub(crate) server: String,
    /// Print JSON instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ScoreArgs {
    #[command(flatten)]
    pub(crate) client: ClientArgs,
    /// The model that the request would name (a LoRA adapter's name is fine).
    #[arg(long)]
    pub(crate) model: String,
    #[command(flatten)]
    pub(crate) input: ScoreInput,
    /// The request's cache salt.
    #[arg(long, env = "KVATLAS_CACHE_SALT", hide_env_values = true)]
    pub(crate) cache_salt: Option<String>,
    /// Only these endpoints, as IP:PORT or CLUSTER/IP:PORT. May be repeated.
    #[arg(long, value_name = "ENDPOINT")]
    pub(crate) candidate: Vec<String>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct ScoreInput {
    /// A completion prompt.
    #[arg(long, value_name = "TEXT")]
    pub(crate) prompt: Option<String>,
    /// An OpenAI chat completion body, as JSON; - reads standard input.
    #[arg(long, value_name = "FILE")]
    pub(crate) chat: Option<PathBuf>,
    /// Token ids.
    #[arg(long, value_name = "ID,ID,...", value_delimiter = ',')]
    pub(crate) tokens: Vec<u32>,
}

#[derive(Debug, Args)]
pub(crate) struct ForgetArgs {
    /// The endpoint, as CLUSTER/IP:PORT or as `kvatlas endpoints` prints it.
    pub(crate) endpoint: String,
    /// Only this data-parallel rank.
    #[arg(long)]
    pub(crate) rank: Option<u32>,
    /// The HTTP address of an ingestor, or of a standalone.
    #[arg(
        long,
        env = "KVATLAS_HTTP",
        value_name = "URL",
        default_value = "http://127.0.0.1:8090"
    )]
    pub(crate) http: String,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    pub(crate) client: ClientArgs,
    /// The scorer's HTTP address.
    #[arg(
        long,
        env = "KVATLAS_HTTP",
        value_name = "URL",
        default_value = "http://127.0.0.1:8090"
    )]
    pub(crate) http: String,
    /// An ingestor's HTTP address, for what it found; default: the scorer's, as in
    /// a standalone. May be repeated.
    #[arg(
        long,
        env = "KVATLAS_INGESTORS",
        value_name = "URL",
        value_delimiter = ','
    )]
    pub(crate) ingestor: Vec<String>,
    /// A running engine's OpenAI URL: compare templates and tokenizers with it.
    #[arg(long, value_name = "URL")]
    pub(crate) engine: Option<String>,
    /// The model to compare on that engine.
    #[arg(long, requires = "engine")]
    pub(crate) model: Option<String>,
    /// Report publishers that have been silent for longer than this many seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    pub(crate) silent_after: u64,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigAction {
    /// Read the configuration and report every mistake.
    Check {
        #[command(flatten)]
        source: ConfigArgs,
        /// Also what this role needs of it.
        #[arg(long)]
        role: Option<Role>,
    },
    /// Print the configuration with every default filled in.
    Print(ConfigArgs),
}
