//! What the system says of processes.

use std::fs;

use anyhow::{Context, Result};

/// Ticks per second of processor times in `/proc`: fixed by Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// Processor time that a process has used, in seconds.
pub(crate) fn processor_seconds(process: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))
        .with_context(|| format!("process {process} has ended"))?;
    // The second field is the name, in brackets, and may hold anything.
    let fields = stat.rsplit_once(')').context("no name")?.1;
    let mut times = fields.split_whitespace().skip(11);
    let mut time = || -> Result<u64> { Ok(times.next().context("no time")?.parse()?) };
    Ok((time()? + time()?) as f64 / TICKS_PER_SECOND)
}

/// Processor time that everything on this machine has used, in seconds.
pub(crate) fn machine_processor_seconds() -> Result<f64> {
    let stat = fs::read_to_string("/proc/stat")?;
    let all = stat.lines().next().context("no processors")?;
    let mut busy = 0;
    // user, nice, system, idle, iowait, irq, softirq, steal
    for (index, ticks) in all.split_whitespace().skip(1).take(8).enumerate() {
        if index != 3 && index != 4 {
            busy += ticks.parse::<u64>()?;
        }
    }
    Ok(busy as f64 / TICKS_PER_SECOND)
}

/// What the figures were measured on.
pub(crate) fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or("unknown processor", |rest| {
        rest.trim_start_matches([':', ' ', '\t'])
    });
    format!("{cores} cores, {model}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_the_processor() {
        let before = processor_seconds(std::process::id()).unwrap();
        let mut sum = 0_u64;
        while processor_seconds(std::process::id()).unwrap() < before + 0.02 {
            sum = (0..10_000).fold(sum, |sum, n| sum ^ std::hint::black_box(n));
        }
        let machine = machine_processor_seconds().unwrap();
        assert!(
            machine >= before,
            "{machine} of all, {before} of this process"
        );
        assert_ne!(sum, 1);
    }
}
