//! The process's metrics, in the OpenMetrics text format.
//!
//! Each crate registers its own metrics once, through [`Metrics::register`].
//! What every process has anyway (build, start, CPU, memory, files) is there
//! from the beginning.

mod process;

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use prometheus_client::encoding::text;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use process::ProcessCollector;

/// The content type of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What a build says about itself; the labels of `NAME_build_info`.
#[derive(Clone, Copy, Debug)]
pub struct Build {
    /// The program's name, which also begins the names of its own metrics.
    pub name: &'static str,
    /// The version of the build.
    pub version: &'static str,
}

/// The registry of one process. Clones share it.
#[derive(Clone)]
pub struct Metrics {
    registries: Arc<RwLock<Registries>>,
}

/// This process's own registry, and those that roles filled by themselves.
struct Registries {
    own: Registry,
    attached: Vec<Registry>,
}

impl Metrics {
    /// A registry with the metrics of the process itself.
    #[must_use]
    pub fn new(build: Build) -> Self {
        let mut registry = Registry::default();
        registry.register(
            format!("{}_build", build.name),
            "The running build",
            Info::new([("version", build.version)]),
        );
        registry.register_collector(Box::new(ProcessCollector::new()));
        Self {
            registries: Arc::new(RwLock::new(Registries {
                own: registry,
                attached: Vec::new(),
            })),
        }
    }

    /// Lets `register` add metrics. Names are given in full, so that a search
    /// for a name finds where it is made.
    pub fn register<R>(&self, register: impl FnOnce(&mut Registry) -> R) -> R {
        let mut registries = self
            .registries
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        register(&mut registries.own)
    }

    /// Adds a registry that a role has filled by itself, for roles whose start
    /// takes longer than this registry may be locked.
    pub fn attach(&self, registry: Registry) {
        let mut registries = self
            .registries
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        registries.attached.push(registry);
    }

    /// All metrics as text of type [`CONTENT_TYPE`].
    ///
    /// # Errors
    /// If a metric refuses to be written.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        let registries = self
            .registries
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let mut encoded = String::new();
        for registry in std::iter::once(&registries.own).chain(&registries.attached) {
            text::encode_registry(&mut encoded, registry)?;
        }
        text::encode_eof(&mut encoded)?;
        Ok(encoded)
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::counter::Counter;

    use super::*;

    fn metrics() -> Metrics {
        Metrics::new(Build {
            name: "demo",
            version: "1.2.3",
        })
    }

    #[test]
    fn the_text_has_the_build_and_ends_as_the_format_says() {
        let text = metrics().encode().unwrap();
        assert!(
            text.contains("demo_build_info{version=\"1.2.3\"} 1\n"),
            "{text}"
        );
        assert!(text.ends_with("# EOF\n"), "{text}");
    }

    #[test]
    fn what_one_clone_registers_another_shows() {
        let metrics = metrics();
        let clone = metrics.clone();
        let counter = Counter::<u64>::default();
        clone.register(|registry| {
            registry.register("demo_things", "Things seen", counter.clone());
        });
        counter.inc_by(3);
        let text = metrics.encode().unwrap();
        assert!(text.contains("# HELP demo_things Things seen.\n"), "{text}");
        assert!(text.contains("demo_things_total 3\n"), "{text}");
    }

    #[test]
    fn an_attached_registry_is_shown_before_the_end() {
        let metrics = metrics();
        let mut registry = Registry::default();
        registry.register("demo_more", "More things", Counter::<u64>::default());
        metrics.attach(registry);
        let text = metrics.encode().unwrap();
        assert!(text.contains("demo_more_total 0\n"), "{text}");
        assert_eq!(text.matches("# EOF").count(), 1);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_process_is_described() {
        let text = metrics().encode().unwrap();
        let value = |name: &str| -> f64 {
            let line = text
                .lines()
                .find(|line| line.starts_with(&format!("{name} ")))
                .unwrap_or_else(|| panic!("no {name} in {text}"));
            line.rsplit(' ').next().unwrap().parse().unwrap()
        };
        assert!(value("process_resident_memory_bytes") > 100_000.0);
        assert!(value("process_open_fds") >= 3.0);
        assert!(value("process_max_fds") > value("process_open_fds"));
        assert!(value("process_threads") >= 1.0);
        assert!(value("process_cpu_seconds_total") >= 0.0);
        assert!(value("process_start_time_seconds") > 1_600_000_000.0);
    }
}
