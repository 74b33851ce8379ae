//! What the system says of a process.

use std::fs;

use anyhow::{Context, Result};

/// Ticks per second of processor times in `/proc`: fixed by Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// Processor time that a process has used, in seconds.
///
/// # Errors
/// If it has ended.
pub fn processor_seconds(process: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"));
    let stat = stat.with_context(|| format!("process {process} has ended"))?;
    // The second field is the name, in brackets, and may hold anything.
    let fields = stat.rsplit_once(')').context("no name")?.1;
    let mut times = fields.split_whitespace().skip(11);
    let mut time = || -> Result<f64> { Ok(times.next().context("no time")?.parse()?) };
    Ok((time()? + time()?) / TICKS_PER_SECOND)
}

/// Files and sockets that a process has open.
///
/// # Errors
/// If it has ended.
pub fn open_files(process: u32) -> Result<usize> {
    let folder = format!("/proc/{process}/fd");
    let files = fs::read_dir(&folder).with_context(|| format!("process {process} has ended"))?;
    Ok(files.count())
}

/// Whether every thread of a process has been stopped by a signal.
///
/// # Errors
/// If it has ended.
pub(crate) fn is_stopped(process: u32) -> Result<bool> {
    let folder = format!("/proc/{process}/task");
    let tasks = fs::read_dir(&folder).with_context(|| format!("process {process} has ended"))?;
    for task in tasks {
        // A thread may end meanwhile.
        let Ok(stat) = fs::read_to_string(task?.path().join("stat")) else {
            continue;
        };
        let state = stat.rsplit_once(')').context("no name")?.1.trim_start();
        if !state.starts_with('T') {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What figures were measured on.
#[must_use]
pub fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let mut lines = info.lines();
    let model = lines.find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or("unknown processor", |rest| {
        rest.trim_start_matches([':', ' ', '\t'])
    });
    format!("{cores} cores, {model}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_the_processor_and_has_files_open() {
        let process = std::process::id();
        let before = processor_seconds(process).unwrap();
        let mut sum = 0_u64;
        while processor_seconds(process).unwrap() < before + 0.02 {
            sum = (0..10_000).fold(sum, |sum, n| sum ^ std::hint::black_box(n));
        }
        assert!(open_files(process).unwrap() >= 3);
        assert!(machine().contains("cores"));
    }
}
