//! The process as the system sees it, read when someone asks.
//!
//! Names and units are those that all Prometheus clients use.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

/// Linux counts a process's CPU time in hundredths of a second towards user
/// space on every architecture that Rust builds for.
const TICKS_PER_SEC: f64 = 100.0;

#[derive(Debug)]
pub(super) struct ProcessCollector {
    started_unix_secs: f64,
}

/// What `/proc` says; `None` where there is no `/proc`.
#[derive(Debug, Default, PartialEq)]
struct Snapshot {
    cpu_secs: Option<f64>,
    resident_bytes: Option<f64>,
    threads: Option<f64>,
    open_fds: Option<f64>,
    max_fds: Option<f64>,
}

impl ProcessCollector {
    pub(super) fn new() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            started_unix_secs: since_epoch.map_or(0.0, |since| since.as_secs_f64()),
        }
    }
}

impl Collector for ProcessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let now = Snapshot::read();
        let gauges = [
            (
                "process_start_time_seconds",
                "When this process started, Unix time",
                Some(self.started_unix_secs),
            ),
            (
                "process_resident_memory_bytes",
                "Memory held in RAM",
                now.resident_bytes,
            ),
            ("process_threads", "Operating system threads", now.threads),
            ("process_open_fds", "Open file descriptors", now.open_fds),
            (
                "process_max_fds",
                "Most file descriptors allowed",
                now.max_fds,
            ),
        ];
        for (name, help, value) in gauges {
            let Some(value) = value else { continue };
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        if let Some(secs) = now.cpu_secs {
            let counter = ConstCounter::new(secs);
            let help = "CPU time spent, user and system";
            let kind = counter.metric_type();
            counter.encode(encoder.encode_descriptor(
                "process_cpu_seconds",
                help,
                None,
                kind,
            )?)?;
        }
        Ok(())
    }
}

impl Snapshot {
    #[cfg(target_os = "linux")]
    fn read() -> Self {
        let text = |name: &str| std::fs::read_to_string(format!("/proc/self/{name}")).ok();
        let status = text("status").unwrap_or_default();
        let open = std::fs::read_dir("/proc/self/fd").ok();
        Self {
            cpu_secs: text("stat").and_then(|stat| cpu_secs(&stat)),
            resident_bytes: first_number(&status, "VmRSS:").map(|kib| kib * 1024.0),
            threads: first_number(&status, "Threads:"),
            #[allow(clippy::cast_precision_loss)]
            open_fds: open.map(|entries| entries.count() as f64),
            max_fds: text("limits").and_then(|limits| first_number(&limits, "Max open files")),
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn read() -> Self {
        Self::default()
    }
}

/// User plus system time from `/proc/self/stat`. The second field, a name in
/// parentheses, may itself contain spaces and parentheses.
#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
fn cpu_secs(stat: &str) -> Option<f64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    // Fields 14 and 15 of the line are 12 and 13 of those after the name.
    let mut ticks = after_name.split_ascii_whitespace().skip(11);
    let user: f64 = ticks.next()?.parse().ok()?;
    let system: f64 = ticks.next()?.parse().ok()?;
    Some((user + system) / TICKS_PER_SEC)
}

/// The first number after `label` at the beginning of a line.
#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
fn first_number(text: &str, label: &str) -> Option<f64> {
    text.lines()
        .find_map(|line| line.strip_prefix(label))?
        .split_ascii_whitespace()
        .next()?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_found_behind_a_hostile_name() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 1 0 999 1 1";
        assert_eq!(cpu_secs(stat), Some(3.0));
        assert_eq!(cpu_secs("7 (x) S 1"), None);
    }

    #[test]
    fn labelled_numbers() {
        let limits = "Max processes 5 5 x\nMax open files            1024    4096    files\n";
        assert_eq!(first_number(limits, "Max open files"), Some(1024.0));
        assert_eq!(first_number("VmRSS:\t  12 kB\n", "VmRSS:"), Some(12.0));
        assert_eq!(first_number("VmRSS:\n", "VmRSS:"), None);
    }
}
