//! The figures, for people.

use std::fmt::{Display, Write};

use crate::report::{Disk, ProcessUse, Report, StoreReport};

/// The whole report as text.
pub(crate) fn render(report: &Report) -> String {
    let mut text = format!("{}, {} engines\n", report.machine, report.engines);
    for store in &report.stores {
        render_store(&mut text, store);
    }
    text
}

fn line(text: &mut String, what: &str, figures: impl Display) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "  {what:<18} {figures}");
}

fn render_store(text: &mut String, store: &StoreReport) {
    let _ = writeln!(text, "\n{}", store.store.name());
    if let Some(found) = &store.throughput {
        let of_embedded = found
            .of_embedded
            .map(|share| format!(", {share:.2} of embedded"));
        line(
            text,
            "through ZeroMQ",
            format_args!(
                "{:.0} block events/s ({} in {:.1} s, drain {:.1} s){}",
                found.events_per_second,
                found.block_events,
                found.seconds,
                found.drain_seconds,
                of_embedded.unwrap_or_default()
            ),
        );
        render_processes(text, &found.processes);
    }
    if let Some(found) = &store.freshness {
        line(
            text,
            "freshness",
            format_args!(
                "p50 {:.1} ms, p99 {:.1} ms, p99.9 {:.1} ms, max {:.1} ms at {:.0} block events/s ({} messages; looking adds {:.1} ms)",
                found.p50_ms,
                found.p99_ms,
                found.p999_ms,
                found.max_ms,
                found.events_per_second,
                found.messages,
                found.look_p50_ms
            ),
        );
    }
    if let Some(found) = &store.direct {
        line(
            text,
            "direct appends",
            format_args!(
                "{:.0} block events/s, {} writers, {} events a batch, p50 {:.1} ms, p99 {:.1} ms",
                found.events_per_second,
                found.writers,
                found.events_per_batch,
                found.append_p50_ms,
                found.append_p99_ms
            ),
        );
        render_processes(text, &found.processes);
    }
    if let Some(found) = &store.disk {
        render_disk(text, found);
    }
    if let Some(found) = &store.cold_start {
        let wire = found
            .wire_bytes
            .map(|bytes| format!(", {} over the wire", mib(bytes)));
        line(
            text,
            "cold start",
            format_args!(
                "{:.2} s for {} memberships, peak {}{}",
                found.ready_seconds,
                found.memberships,
                mib(found.peak_bytes),
                wire.unwrap_or_default()
            ),
        );
    }
    if let Some(failed) = &store.failed {
        line(text, "FAILED", failed);
    }
}

fn render_processes(text: &mut String, processes: &[ProcessUse]) {
    for found in processes {
        line(
            text,
            "",
            format_args!(
                "{:<14} {:.2} s of processor per million, {:>3.0} % of a core, {}",
                found.process,
                found.processor_seconds_per_million,
                found.processor_share * 100.0,
                mib(found.resident_bytes)
            ),
        );
    }
}

fn render_disk(text: &mut String, disk: &Disk) {
    line(
        text,
        "disk",
        format_args!("{} memberships", disk.memberships),
    );
    for sample in &disk.curve {
        let bytes: Vec<String> = sample.bytes.iter().map(|bytes| mib(*bytes)).collect();
        line(
            text,
            "",
            format_args!(
                "{:>12} block events, {:>7.1} s: {}",
                sample.block_events,
                sample.seconds,
                bytes.join(", ")
            ),
        );
    }
    for found in &disk.restarts {
        let [term, kill] = found.ready_seconds;
        line(
            text,
            "",
            format_args!(
                "{:<14} {}, {:.0} bytes per membership, ready {term:.2} s after SIGTERM, {kill:.2} s after SIGKILL",
                found.process,
                mib(found.bytes),
                found.bytes_per_membership
            ),
        );
    }
}

fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
