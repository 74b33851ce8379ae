//! The rules, as tables. A new crate or library gets its row here first.

/// Crates without a runtime, sockets or clocks.
pub(crate) const SYNC_CORES: [&str; 6] = [
    "proto-model",
    "indexer-events",
    "indexer-state",
    "scorer-index",
    "scorer-prompt",
    "router-picker",
];

/// What would make a sync core asynchronous.
pub(crate) const ASYNC_LIBRARIES: [&str; 10] = [
    "async-trait",
    "axum",
    "futures",
    "hyper",
    "reqwest",
    "tokio",
    "tokio-stream",
    "tokio-util",
    "tonic",
    "zeromq",
];

/// TLS libraries and providers beside rustls with ring.
pub(crate) const FOREIGN_TLS: [&str; 5] = [
    "aws-lc-rs",
    "aws-lc-sys",
    "native-tls",
    "openssl",
    "openssl-sys",
];

/// Which packages of ours a package may import.
pub(crate) struct Allowed {
    normal: &'static [&'static str],
    /// In tests also these.
    tests: &'static [&'static str],
}

/// Stands for every package.
const ANYTHING: &[&str] = &["*"];
/// Real streams to test with.
const RECORDINGS: &[&str] = &["loadtest-recordings"];
const MODEL: &[&str] = &["proto-model"];

impl Allowed {
    pub(crate) fn normal(&self, name: &str) -> bool {
        covers(self.normal, name)
    }

    pub(crate) fn in_tests(&self, name: &str) -> bool {
        self.normal(name) || covers(self.tests, name)
    }
}

fn covers(names: &[&str], name: &str) -> bool {
    names.contains(&"*") || names.contains(&name)
}

/// The rule of a package; `None` if it has none yet.
pub(crate) fn imports_of(package: &str) -> Option<Allowed> {
    let (normal, tests): (&[&str], &[&str]) = match package {
        "proto-model" => (&[], RECORDINGS),
        "proto-api" => (MODEL, &[]),
        "indexer-events" | "indexer-state" | "scorer-index" | "scorer-prompt" => {
            (MODEL, RECORDINGS)
        }
        "indexer-store" => (&["proto-model", "indexer-state"], RECORDINGS),
        "indexer-ingest" => (
            &["proto-model", "indexer-events", "indexer-store"],
            &["indexer-state", "loadtest-recordings"],
        ),
        "indexer-store-grpc" => (
            &["proto-model", "proto-api", "indexer-store"],
            &["indexer-state"],
        ),
        "indexer-store-raft" => (
            &["proto-model", "proto-api", "indexer-state", "indexer-store"],
            &[],
        ),
        "indexer-store-redis" => (&["proto-model", "indexer-state", "indexer-store"], &[]),
        "scorer-server" => (
            &[
                "proto-model",
                "proto-api",
                "indexer-store",
                "scorer-index",
                "scorer-prompt",
            ],
            &["indexer-state", "loadtest-recordings"],
        ),
        "router-picker" => (&[], &[]),
        "router-discovery" => (&["router-picker"], &[]),
        "router-ext-proc" => (&["proto-api", "router-discovery", "router-picker"], &[]),
        "services-runtime" => (&[], &[]),
        "services-kvatlas" | "services-e2e" => (ANYTHING, &[]),
        // Engines and clients from outside know the wires only.
        "loadtest-recordings" | "loadtest-engines" => (&[], &[]),
        "loadtest-engine-sim" => (&["loadtest-engines"], RECORDINGS),
        // In virtual time the code itself runs, not a process of it.
        "loadtest-fleet" => (
            &[
                "proto-model",
                "indexer-state",
                "scorer-index",
                "router-picker",
                "loadtest-engine-sim",
                "loadtest-engines",
                // By the wall clock, processes of it after all.
                "loadtest-gateway",
            ],
            &[],
        ),
        "loadtest-gateway" => (
            &["proto-api", "loadtest-engines", "loadtest-engine-sim"],
            RECORDINGS,
        ),
        "loadtest-multi-round-qa" => (&[], &["loadtest-engine-sim", "loadtest-engines"]),
        "loadtest-churn" | "loadtest-chaos" => (&["proto-api", "loadtest-engines"], RECORDINGS),
        // Every step of the line by itself, and the line in one process.
        "loadtest-ingest-bench" => (ANYTHING, &[]),
        // Its floors are the key functions' own digests.
        "loadtest-score-bench" => (&["proto-model", "proto-api", "loadtest-engines"], &[]),
        // Appends of its own, which the wire takes as the model has them.
        "loadtest-store-bench" => (&["proto-model", "proto-api", "loadtest-engines"], &[]),
        _ => return None,
    };
    Some(Allowed { normal, tests })
}

/// The packages that may use a library; `None` if all may.
pub(crate) fn owners_of(library: &str) -> Option<&'static [&'static str]> {
    Some(match library {
        "zeromq" => &["indexer-ingest", "services-kvatlas"],
        "rmp" | "rmp-serde" | "rmpv" => &["indexer-events"],
        // Simulated engines have tokenizers, as real ones do.
        "tokenizers" => &["scorer-prompt", "loadtest-engine-sim"],
        "minijinja" | "minijinja-contrib" => &["scorer-prompt"],
        // The hub's files, and the operator's commands.
        "ureq" => &["scorer-prompt", "services-kvatlas"],
        // The picker reads Envoy's messages in bounds of its own.
        "prost" => &["proto-api", "router-ext-proc"],
        "prost-types" | "protox" | "tonic-prost" | "tonic-prost-build" => &["proto-api"],
        "postcard" => &["indexer-store", "indexer-store-raft", "indexer-store-redis"],
        // Manifests are YAML too.
        "serde_yaml_ng" => &["services-runtime", "router-discovery"],
        // Servers with limits of their own; scrapes; load.
        "hyper" | "hyper-util" => &[
            "services-runtime",
            "router-discovery",
            "loadtest-engine-sim",
            "loadtest-gateway",
            "loadtest-multi-round-qa",
        ],
        "tracing-subscriber"
        | "opentelemetry"
        | "opentelemetry_sdk"
        | "opentelemetry-otlp"
        | "tracing-opentelemetry" => &["services-runtime"],
        "clap" => &[
            "services-kvatlas",
            "loadtest-chaos",
            "loadtest-engine-sim",
            "loadtest-fleet",
            "loadtest-gateway",
            "loadtest-multi-round-qa",
        ],
        "envoy-types" | "rcgen" => &["router-ext-proc"],
        "openraft" | "sled" => &["indexer-store-raft"],
        "redis" => &["indexer-store-redis"],
        "kube" | "k8s-openapi" => &["router-discovery"],
        _ => return None,
    })
}

/// A `clippy.toml` below the root's, which it replaces for its crates.
pub(crate) struct ClippyFile {
    pub(crate) file: &'static str,
    /// Bans of the root that need not hold here.
    pub(crate) may_lift: &'static [&'static str],
    /// Bans that must hold here beside the root's.
    pub(crate) must_ban: &'static [&'static str],
}

const ENVIRONMENT: &[&str] = &["\"std::env::var\"", "\"std::env::vars\""];
const CLOCKS: &[&str] = &["std::time::SystemTime::now", "std::time::Instant::now"];

/// `scorer-prompt` is not among them: chat templates may ask for the date.
pub(crate) const CLIPPY_FILES: [ClippyFile; 7] = [
    ClippyFile {
        file: "services/clippy.toml",
        may_lift: ENVIRONMENT,
        must_ban: &[],
    },
    // Its build script gets its folder from cargo's variables.
    ClippyFile {
        file: "proto/api/clippy.toml",
        may_lift: ENVIRONMENT,
        must_ban: &[],
    },
    sync_core("proto/model/clippy.toml"),
    sync_core("indexer/events/clippy.toml"),
    sync_core("scorer/index/clippy.toml"),
    sync_core("router/picker/clippy.toml"),
    ClippyFile {
        file: "indexer/state/clippy.toml",
        may_lift: &[],
        must_ban: &[
            "std::time::SystemTime::now",
            "std::time::Instant::now",
            "std::collections::HashMap",
            "hashbrown::HashMap::iter",
        ],
    },
];

const fn sync_core(file: &'static str) -> ClippyFile {
    ClippyFile {
        file,
        may_lift: &[],
        must_ban: CLOCKS,
    }
}
