//! Real signals to a real process: this test binary starts itself again.

#![cfg(unix)]

use std::io::{self, BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use services_runtime::drain::{FORCED_EXIT_CODE, Roles, cancel_on_signal};
use tokio_util::sync::CancellationToken;

/// Tells the child which of the two behaviours to show.
const MODE: &str = "RUNTIME_DRAIN_TEST_MODE";

/// What runs in the child. Ignored, so that only the tests below run it.
#[tokio::test]
#[ignore = "the child process of the other tests"]
async fn child() {
    let Ok(mode) = std::env::var(MODE) else {
        return;
    };
    let stop = CancellationToken::new();
    cancel_on_signal(stop.clone()).unwrap();
    let mut roles = Roles::new(stop.clone());
    roles.spawn("role", async move {
        say("started");
        stop.cancelled().await;
        say("draining");
        if mode == "stubborn" {
            std::future::pending::<()>().await;
        }
        io::Result::Ok(())
    });
    let served = roles.serve(Duration::from_secs(600)).await;
    std::process::exit(served.map_or(1, |()| 0));
}

/// Not `println!`: the test harness would keep it.
fn say(word: &str) {
    io::Write::write_all(&mut io::stdout(), format!("{word}\n").as_bytes()).unwrap();
}

fn start(mode: &str) -> (Child, BufReader<ChildStdout>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--ignored", "--nocapture"])
        .env(MODE, mode)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    (child, output)
}

fn wait_for(output: &mut BufReader<ChildStdout>, word: &str) {
    let found = output.lines().any(|line| line.unwrap().contains(word));
    assert!(found, "the child ended without saying {word}");
}

fn signal(child: &Child, name: &str) {
    let id = child.id().to_string();
    let status = Command::new("kill").args(["-s", name, &id]).status();
    assert!(status.unwrap().success());
}

#[test]
fn one_signal_drains() {
    for name in ["TERM", "INT"] {
        let (mut child, mut output) = start("obedient");
        wait_for(&mut output, "started");
        signal(&child, name);
        wait_for(&mut output, "draining");
        assert_eq!(child.wait().unwrap().code(), Some(0), "{name}");
    }
}

#[test]
fn a_second_signal_ends_at_once() {
    let (mut child, mut output) = start("stubborn");
    wait_for(&mut output, "started");
    signal(&child, "TERM");
    wait_for(&mut output, "draining");
    signal(&child, "INT");
    assert_eq!(child.wait().unwrap().code(), Some(FORCED_EXIT_CODE));
}
