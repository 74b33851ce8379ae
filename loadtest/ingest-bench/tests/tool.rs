//! The program itself: a small run of the whole line, and what it refuses.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn run(arguments: &[&str]) -> Output {
    let mut tool = Command::new(env!("CARGO_BIN_EXE_loadtest-ingest-bench"));
    tool.args(arguments).output().unwrap()
}

fn refused(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert!(!output.status.success(), "{arguments:?}: {output:?}");
    assert!(output.stdout.is_empty(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn the_whole_line_takes_in_what_was_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let json = directory.path().join("figures.json");
    let line = "--rounds 0 --publishers 1 --publishers 3 --cores 1 --block-events 20000 --json";
    let mut arguments: Vec<_> = line.split(' ').collect();
    arguments.push(json.to_str().unwrap());
    let output = run(&arguments);
    assert!(output.status.success(), "{output:?}");
    let figures: Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    assert_eq!(figures["stages"], Value::Array(vec![]));
    let lines = figures["line"].as_array().unwrap();
    // In whole messages of 128, as many for each publisher.
    for (line, (publishers, block_events)) in lines.iter().zip([(1, 20_096), (3, 20_352)]) {
        assert_eq!(line["publishers"], publishers, "{line}");
        assert_eq!(line["block_events"], block_events, "{line}");
        assert!(
            line["block_events_per_second"].as_f64().unwrap() > 0.0,
            "{line}"
        );
    }
    assert_eq!(lines.len(), 2);
    let table = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        table.lines().filter(|line| !line.is_empty()).count(),
        3,
        "{table}"
    );
}

#[test]
fn nothing_is_measured_if_something_is_wrong() {
    let error = refused(&["--rounds", "0", "--publishers", "0"]);
    assert!(error.contains("nothing would be measured"), "{error}");
    let error = refused(&["--cores", "4000"]);
    assert!(
        error.contains("--cores is 4000, but this process may use"),
        "{error}"
    );
    let error = refused(&["--block-events", "0"]);
    assert!(
        error.contains("--block-events is 0; expected 1 to"),
        "{error}"
    );
    let error = refused(&["--bogus"]);
    assert!(error.contains("--bogus"), "{error}");
}

#[test]
fn a_file_that_cannot_be_made_is_said_before_the_run() {
    let nowhere = Path::new("no such folder").join("figures.json");
    let error = refused(&["--json", nowhere.to_str().unwrap()]);
    assert!(error.contains("--json no such folder"), "{error}");
}

#[test]
fn a_line_that_is_told_nonsense_ends() {
    // Its input is at its end at once.
    let output = run(&["--serve"]);
    assert!(!output.status.success(), "{output:?}");
}
