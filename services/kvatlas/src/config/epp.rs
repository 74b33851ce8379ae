//! Section `epp`: the endpoint picker.

mod policy;

use std::path::PathBuf;

use router_discovery::{PoolGroup, parse_endpoint};
use router_ext_proc::{Settings, TlsSource};
use serde::{Deserialize, Serialize};
use services_runtime::config::{ByteSize, HumanDuration, ListenAddress, Mistakes};

pub(crate) use policy::PolicySection;

use super::host_port;

/// How requests of one InferencePool are routed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct EppSection {
    /// Where ext_proc listens.
    pub(crate) grpc: ListenAddress,
    /// Where gRPC health checks are answered, without TLS.
    pub(crate) health: ListenAddress,
    /// Where HTTP listens: metrics, health. A standalone has all of it on
    /// `scorer.http`.
    pub(crate) http: ListenAddress,
    /// Scorers as `host:port`; a name stands for every address that it leads to. A
    /// standalone asks its own.
    pub(crate) scorers: Vec<String>,
    /// Manifest files, and folders of them.
    pub(crate) manifests: Vec<PathBuf>,
    /// Endpoints as `ip:port` or `ip:port=name`, beside those of manifests.
    pub(crate) endpoints: Vec<String>,
    /// The pool and its endpoints from Kubernetes. So they are too where a pool is
    /// named, and neither manifests nor endpoints are given.
    pub(crate) kubernetes: bool,
    /// How endpoints are picked where there are no manifests that say it.
    pub(crate) strategy: StrategyKind,
    /// Which InferencePool is meant.
    pub(crate) pool: PoolSection,
    /// The cluster of the pool's endpoints, as the index names it; none: addresses
    /// are enough.
    pub(crate) cluster: Option<String>,
    /// Endpoints named to the gateway: the first choice, then fallbacks.
    pub(crate) choices: usize,
    /// How long scorers may take.
    pub(crate) scorer_timeout: HumanDuration,
    /// What is added to that per MiB of a request's body.
    pub(crate) scorer_timeout_per_mib: HumanDuration,
    /// An answer from a scorer that has not heard its store for longer is none.
    pub(crate) scorer_age_max: HumanDuration,
    /// Second requests to another scorer because the first is slow, per request.
    pub(crate) hedge_share: f64,
    /// How long a decision counts as held before the engine says so.
    pub(crate) speculation: HumanDuration,
    /// How long an endpoint must have been gone until what it held is removed.
    pub(crate) departure_grace: HumanDuration,
    /// How scores and load are weighed.
    pub(crate) policy: PolicySection,
    /// How engines' metrics are followed.
    pub(crate) scrape: ScrapeSection,
    /// How ext_proc is served.
    pub(crate) serve: ServeSection,
}

/// How endpoints are picked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum StrategyKind {
    /// By the engines' events.
    #[default]
    Tracking,
    /// By where requests went before.
    Estimated,
    /// By load alone.
    Load,
}

/// Which InferencePool is meant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct PoolSection {
    /// Its name; none: the only one of the files.
    pub(crate) name: Option<String>,
    /// Its namespace; none: any in files, the process's own in Kubernetes.
    pub(crate) namespace: Option<String>,
    /// Its API group, in Kubernetes; none: either.
    pub(crate) group: Option<String>,
}

/// How engines' metrics are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ScrapeSection {
    /// The pause between two looks at an engine.
    pub(crate) interval: HumanDuration,
    /// How long one may take.
    pub(crate) timeout: HumanDuration,
    /// Older figures count as none.
    pub(crate) stale_after: HumanDuration,
}

/// How ext_proc is served.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ServeSection {
    /// TLS on `epp.grpc`.
    pub(crate) tls: bool,
    /// The folder of `tls.crt` and `tls.key`; none: a certificate that is made at
    /// each start.
    pub(crate) certificates: Option<PathBuf>,
    /// Health checks on `epp.grpc` too.
    pub(crate) health_checking: bool,
    /// The longest body of a request.
    pub(crate) body_bytes: ByteSize,
    /// All bodies that wait for their decision.
    pub(crate) buffered_bytes: ByteSize,
    /// The longest message of the gateway.
    pub(crate) message_bytes: ByteSize,
    /// Streams, that is requests, at a time.
    pub(crate) streams: usize,
    /// From a request's last byte to its decision.
    pub(crate) decision_timeout: HumanDuration,
    /// Between two parts of a request's body.
    pub(crate) body_idle_timeout: HumanDuration,
    /// From a request's headers to its last byte.
    pub(crate) body_timeout: HumanDuration,
    /// How long a stopping picker still takes requests after it has turned not
    /// ready.
    pub(crate) drain_delay: HumanDuration,
    /// Whether the test header of GIE's conformance suite may choose endpoints.
    pub(crate) test_endpoint_selection: bool,
}

impl Default for EppSection {
    fn default() -> Self {
        Self {
            grpc: ListenAddress::any(9002),
            health: ListenAddress::any(9003),
            http: ListenAddress::any(9090),
            scorers: Vec::new(),
            manifests: Vec::new(),
            endpoints: Vec::new(),
            kubernetes: false,
            strategy: StrategyKind::default(),
            pool: PoolSection::default(),
            cluster: None,
            choices: 1,
            scorer_timeout: HumanDuration::from_millis(200),
            scorer_timeout_per_mib: HumanDuration::from_millis(400),
            scorer_age_max: HumanDuration::from_secs(30),
            hedge_share: 0.1,
            speculation: HumanDuration::from_secs(5),
            departure_grace: HumanDuration::from_secs(30),
            policy: PolicySection::default(),
            scrape: ScrapeSection::default(),
            serve: ServeSection::default(),
        }
    }
}

impl Default for ScrapeSection {
    fn default() -> Self {
        Self {
            interval: HumanDuration::from_millis(200),
            timeout: HumanDuration::from_secs(1),
            stale_after: HumanDuration::from_secs(5),
        }
    }
}

impl Default for ServeSection {
    fn default() -> Self {
        let settings = Settings::default();
        let size = |bytes: usize| ByteSize(bytes as u64);
        Self {
            tls: true,
            certificates: None,
            health_checking: false,
            body_bytes: size(settings.body_bytes_max),
            buffered_bytes: size(settings.buffered_bytes_max),
            message_bytes: size(settings.message_bytes_max),
            streams: settings.streams_max,
            decision_timeout: HumanDuration(settings.decision_timeout),
            body_idle_timeout: HumanDuration(settings.body_idle_timeout),
            body_timeout: HumanDuration(settings.body_timeout),
            drain_delay: HumanDuration(settings.drain_delay),
            test_endpoint_selection: false,
        }
    }
}

/// The longest that a decision may be held for.
const SPECULATION_MAX: HumanDuration = HumanDuration::from_secs(60);

/// Fallbacks that make sense.
const CHOICES_MAX: usize = 16;

impl EppSection {
    /// Whether there is anything to route to.
    pub(crate) fn is_used(&self) -> bool {
        self.is_listed() || self.is_in_kubernetes()
    }

    /// Whether the pool is asked of Kubernetes.
    pub(crate) fn is_in_kubernetes(&self) -> bool {
        self.kubernetes || (self.pool.name.is_some() && !self.is_listed())
    }

    fn is_listed(&self) -> bool {
        !self.manifests.is_empty() || !self.endpoints.is_empty()
    }

    /// `required` where the process is nothing but a picker.
    pub(super) fn check(&self, required: bool, mistakes: &mut Mistakes) {
        if required && !self.is_used() {
            mistakes.push(
                "epp.manifests",
                "nothing to route to",
                "manifests (--manifests FILE), epp.endpoints (--endpoint IP:PORT), or a pool in \
                 Kubernetes (--pool-name NAME)",
            );
        }
        self.check_pool(mistakes);
        for (index, scorer) in self.scorers.iter().enumerate() {
            host_port::check(format!("epp.scorers.{index}"), scorer, mistakes);
        }
        for (index, text) in self.endpoints.iter().enumerate() {
            if let Err(error) = parse_endpoint(text) {
                let want = "ip:port or ip:port=name";
                mistakes.push(format!("epp.endpoints.{index}"), error, want);
            }
        }
        if let Some(cluster) = &self.cluster
            && proto_model::Endpoint::new(cluster, "a").is_err()
        {
            let want = "a name such as `default` or `eu-west-1`";
            mistakes.push("epp.cluster", format!("{cluster:?}"), want);
        }
        if !(1..=CHOICES_MAX).contains(&self.choices) {
            mistakes.push("epp.choices", self.choices, "a number from 1 to 16");
        }
        if !(0.0..=1.0).contains(&self.hedge_share) {
            mistakes.push("epp.hedge_share", self.hedge_share, "a number from 0 to 1");
        }
        self.check_times(mistakes);
        self.policy.check(mistakes);
        self.serve.check(mistakes);
    }

    fn check_pool(&self, mistakes: &mut Mistakes) {
        if self.kubernetes && self.pool.name.is_none() {
            let want = "the InferencePool's name (--pool-name)";
            mistakes.push("epp.pool.name", "none, with epp.kubernetes", want);
        }
        if self.kubernetes && self.is_listed() {
            let want = "either Kubernetes, or manifests and endpoints";
            mistakes.push(
                "epp.kubernetes",
                "true, beside manifests or endpoints",
                want,
            );
        }
        if let Some(group) = &self.pool.group
            && self.pool.known_group().is_none()
        {
            let known = PoolGroup::ALL.map(PoolGroup::name).join(" or ");
            mistakes.push("epp.pool.group", format!("{group:?}"), known);
        }
    }

    fn check_times(&self, mistakes: &mut Mistakes) {
        let speculation = self.speculation.duration();
        if speculation.as_millis() == 0 || self.speculation > SPECULATION_MAX {
            mistakes.push("epp.speculation", self.speculation, "1ms to 1m");
        }
        for (key, value) in [
            ("scorer_timeout", self.scorer_timeout),
            ("scorer_age_max", self.scorer_age_max),
        ] {
            if value.duration().is_zero() {
                mistakes.push(format!("epp.{key}"), value, "more than 0s");
            }
        }
        if let Err(error) = self.scrape.settings().validate() {
            mistakes.push("epp.scrape", error, "times that go together");
        }
    }

    /// For the server; `drain` is how long open streams may take.
    pub(crate) fn settings(&self, drain: std::time::Duration) -> Settings {
        let serve = &self.serve;
        Settings {
            tls: match (&serve.certificates, serve.tls) {
                (_, false) => TlsSource::Plaintext,
                (None, true) => TlsSource::SelfSigned,
                (Some(folder), true) => TlsSource::Directory(folder.clone()),
            },
            health_on_ext_proc: serve.health_checking,
            body_bytes_max: serve.body_bytes.as_usize(),
            buffered_bytes_max: serve.buffered_bytes.as_usize(),
            message_bytes_max: serve.message_bytes.as_usize(),
            streams_max: serve.streams,
            destinations_max: self.choices,
            decision_timeout: serve.decision_timeout.duration(),
            body_idle_timeout: serve.body_idle_timeout.duration(),
            body_timeout: serve.body_timeout.duration(),
            drain_delay: serve.drain_delay.duration().min(drain),
            drain_timeout: drain,
            test_endpoint_selection: serve.test_endpoint_selection,
            ..Settings::default()
        }
    }
}

impl PoolSection {
    /// The API group, where one of the known ones is named.
    pub(crate) fn known_group(&self) -> Option<PoolGroup> {
        let named = self.group.as_deref()?;
        PoolGroup::ALL
            .into_iter()
            .find(|group| group.name() == named)
    }
}

impl ScrapeSection {
    /// For the scraper.
    pub(crate) fn settings(&self) -> router_discovery::ScrapeSettings {
        router_discovery::ScrapeSettings {
            interval: self.interval.duration(),
            timeout: self.timeout.duration(),
            stale_after: self.stale_after.duration(),
            ..Default::default()
        }
    }
}

impl ServeSection {
    fn check(&self, mistakes: &mut Mistakes) {
        let sizes = [
            ("body_bytes", self.body_bytes),
            ("message_bytes", self.message_bytes),
        ];
        for (key, value) in sizes {
            if value.bytes() == 0 {
                mistakes.push(format!("epp.serve.{key}"), value, "more than 0");
            }
        }
        if self.buffered_bytes < self.body_bytes {
            let want = "at least epp.serve.body_bytes";
            mistakes.push("epp.serve.buffered_bytes", self.buffered_bytes, want);
        }
        if self.streams == 0 {
            mistakes.push("epp.serve.streams", 0, "at least 1");
        }
        for (key, value) in [
            ("decision_timeout", self.decision_timeout),
            ("body_idle_timeout", self.body_idle_timeout),
        ] {
            if value.duration().is_zero() {
                mistakes.push(format!("epp.serve.{key}"), value, "more than 0s");
            }
        }
        if self.body_timeout < self.body_idle_timeout {
            let want = "at least epp.serve.body_idle_timeout";
            mistakes.push("epp.serve.body_timeout", self.body_timeout, want);
        }
        if self.certificates.is_some() && !self.tls {
            let want = "no folder, or epp.serve.tls: true";
            mistakes.push("epp.serve.certificates", "a folder, without TLS", want);
        }
    }
}
