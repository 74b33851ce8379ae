//! What the figures were measured on, and with what.

use std::process::Command;

use serde::Serialize;

/// A note of the machine and of the code.
#[derive(Debug, Serialize)]
pub(crate) struct Note {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) memory_gib: f64,
    pub(crate) kernel: String,
    /// Commit of this checkout, with `+` if files under test differ from it.
    pub(crate) commit: String,
    pub(crate) compiler: String,
    /// Crates under comparison, from the lock file that this was built with.
    pub(crate) versions: Vec<String>,
    pub(crate) profile: &'static str,
    pub(crate) arguments: Vec<String>,
    /// `/proc/loadavg` before the first run.
    pub(crate) load_before: String,
}

const LOCK: &str = include_str!("../Cargo.lock");

impl Note {
    pub(crate) fn take() -> Self {
        let dirty = command(
            "git",
            &[
                "status",
                "--porcelain",
                "--",
                "scorer/index",
                "proto/model",
                "loadtest/peers",
            ],
        );
        let mark = if dirty.is_empty() { "" } else { "+" };
        Self {
            processor: field("/proc/cpuinfo", "model name"),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_gib: field("/proc/meminfo", "MemTotal")
                .trim_end_matches(" kB")
                .parse()
                .map_or(0.0, |kib: f64| kib / 1024.0 / 1024.0),
            kernel: read("/proc/sys/kernel/osrelease"),
            commit: command("git", &["rev-parse", "--short=12", "HEAD"]) + mark,
            compiler: command("rustc", &["--version"]),
            versions: versions(),
            profile: if cfg!(debug_assertions) {
                "debug: figures mean nothing"
            } else {
                "release"
            },
            arguments: std::env::args().skip(1).collect(),
            load_before: load(),
        }
    }
}

/// The machine's load now.
pub(crate) fn load() -> String {
    read("/proc/loadavg")
}

fn versions() -> Vec<String> {
    let value = |line: Option<&str>| line.and_then(|line| line.split('"').nth(1).map(String::from));
    let mut found = Vec::new();
    let mut lines = LOCK.lines();
    while let Some(line) = lines.next() {
        let name = line
            .strip_prefix("name = ")
            .map(|name| name.trim_matches('"'));
        if let Some(name @ ("kv-index" | "dynamo-kv-router" | "scorer-index")) = name {
            let version = value(lines.next()).unwrap_or_default();
            found.push(format!("{name} {version}"));
        }
    }
    found
}

fn read(path: &str) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.trim().to_owned()
}

fn field(path: &str, name: &str) -> String {
    let text = read(path);
    let line = text.lines().find(|line| line.starts_with(name));
    let value = line.and_then(|line| line.split_once(':'));
    value.map_or_else(String::new, |(_, value)| value.trim().to_owned())
}

/// What a command says, or nothing: the note is no reason to fail.
fn command(program: &str, arguments: &[&str]) -> String {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let output = Command::new(program)
        .args(arguments)
        .current_dir(root)
        .output();
    output.map_or_else(
        |_| String::new(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}
