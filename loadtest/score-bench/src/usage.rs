//! What the system says of processes.

use std::fs;
use std::ops::{AddAssign, Sub};

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

/// Processor time of the whole machine, in seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct MachineTime {
    /// Used by everything on it.
    pub(crate) used: f64,
    /// Wanted, but given to others by the host of a virtual machine.
    pub(crate) stolen: f64,
}

impl MachineTime {
    /// Since the machine started.
    pub(crate) fn now() -> Result<Self> {
        let stat = fs::read_to_string("/proc/stat")?;
        let all = stat.lines().next().context("no processors")?;
        let ticks: Vec<f64> = all
            .split_whitespace()
            .skip(1)
            .map(str::parse)
            .collect::<Result<_, _>>()?;
        // steal is not there before Linux 2.6.11; guest times are in user's.
        let [user, nice, system, _idle, _iowait, irq, softirq] = *ticks
            .first_chunk()
            .context("/proc/stat has fewer columns than Linux writes")?;
        Ok(Self {
            used: (user + nice + system + irq + softirq) / TICKS_PER_SECOND,
            stolen: ticks.get(7).copied().unwrap_or(0.0) / TICKS_PER_SECOND,
        })
    }
}

impl Sub for MachineTime {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            used: self.used - before.used,
            stolen: self.stolen - before.stolen,
        }
    }
}

impl AddAssign for MachineTime {
    fn add_assign(&mut self, more: Self) {
        self.used += more.used;
        self.stolen += more.stolen;
    }
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
        let machine = MachineTime::now().unwrap().used;
        assert!(
            machine >= before,
            "{machine} of all, {before} of this process"
        );
        assert_ne!(sum, 1);
    }
}
