//! The suite's short form: every kind of fault once or twice, and the suite's own
//! alarm.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

/// `kvatlas`, built as it is now, beside the suite's own binary.
fn kvatlas() -> &'static PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let built = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--package", "services-kvatlas"])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status()
            .expect("cargo runs");
        assert!(built.success(), "kvatlas does not compile");
        PathBuf::from(env!("CARGO_BIN_EXE_loadtest-chaos")).with_file_name("kvatlas")
    })
}

fn suite(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_loadtest-chaos"))
        .args(arguments)
        .arg("--kvatlas")
        .arg(kvatlas())
        .stdin(Stdio::null())
        .output()
        .expect("the suite runs")
}

/// Runs a scenario; not one violation.
fn holds(arguments: &[&str], runs: usize) {
    let output = suite(arguments);
    let printed = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{printed}\n{errors}");
    let right = printed.lines().filter(|line| line.contains(" ok ")).count();
    assert_eq!(right, runs, "{printed}\n{errors}");
}

#[test]
fn the_leader_dies() {
    holds(&["leader-kill", "--seed", "1", "--runs", "2"], 2);
}

#[test]
fn all_nodes_lose_power() {
    holds(&["power-loss", "--seed", "1", "--runs", "2"], 2);
}

#[test]
fn everything_is_restarted_under_load() {
    holds(&["rolling-restart", "--seed", "1"], 1);
}

#[test]
fn nodes_are_cut_off() {
    holds(&["partition", "--seed", "1", "--runs", "2"], 2);
}

#[test]
fn processes_freeze() {
    holds(&["freeze", "--seed", "1", "--runs", "2"], 2);
}

#[test]
fn files_are_damaged() {
    holds(&["damaged-disk", "--seed", "1"], 1);
}

#[test]
fn one_of_two_ingestors_dies() {
    holds(&["active-active", "--seed", "1"], 1);
}

#[test]
fn a_scorer_starts_with_nothing() {
    holds(&["cold-start", "--seed", "1"], 1);
}

#[test]
fn whatever_the_seed_says() {
    holds(&["mixed", "--seed", "1"], 1);
}

#[test]
fn redis_is_killed() {
    holds(&["power-loss", "--backend", "redis", "--seed", "1"], 1);
}

#[test]
fn engines_restart_beside_a_standalone() {
    let arguments = ["engine-restart", "--backend", "standalone", "--runs", "2"];
    holds(&arguments, 2);
}

#[test]
fn an_index_that_is_not_right_is_found() {
    let arguments = [
        "engine-restart",
        "--backend",
        "standalone",
        "--seed",
        "7",
        "--settle-seconds",
        "5",
        "--forget-unheard",
    ];
    let output = suite(&arguments);
    let printed = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{printed}");
    assert!(printed.contains("seed 7"), "{printed}");
    assert!(printed.contains("oracle"), "{printed}");
}

#[test]
fn a_process_that_does_not_start_is_found() {
    let output = Command::new(env!("CARGO_BIN_EXE_loadtest-chaos"))
        .args([
            "cold-start",
            "--backend",
            "standalone",
            "--kvatlas",
            "/bin/false",
        ])
        .output()
        .expect("the suite runs");
    let printed = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{printed}");
    assert!(printed.contains("ended with"), "{printed}");
}
