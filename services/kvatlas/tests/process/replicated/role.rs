//! One process with one role.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

use serde_json::Value;

use crate::running::{kvatlas, wait_for};

/// A running role; killed when dropped.
pub(crate) struct Role {
    child: Child,
    args: Vec<String>,
    /// What it logged when it was up.
    up: Value,
}

impl Role {
    /// Starts it and waits until it says that it is up.
    pub(crate) fn start(args: &[&str]) -> Self {
        let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
        Self::start_again(args)
    }

    fn start_again(args: Vec<String>) -> Self {
        let all: Vec<&str> = args
            .iter()
            .map(String::as_str)
            .chain(["--set", "telemetry.log_format=json"])
            .collect();
        let mut child = kvatlas(&all)
            .stderr(Stdio::piped())
            .spawn()
            .expect("kvatlas starts");
        let log = BufReader::new(child.stderr.take().expect("piped"));
        let mut role = Self {
            child,
            args,
            up: Value::Null,
        };
        role.up = up_line(log);
        role
    }

    /// A word of its "up" line.
    pub(crate) fn at(&self, name: &str) -> String {
        self.up[name].as_str().expect(name).to_owned()
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("kill");
        self.child.wait().expect("wait");
    }

    /// SIGTERM; its exit code.
    pub(crate) fn terminate(&mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status();
        assert!(sent.expect("kill").success());
        wait_for("the end", || self.child.try_wait().expect("wait")).code()
    }

    /// Another process with the same arguments.
    pub(crate) fn again(&mut self) {
        let args = std::mem::take(&mut self.args);
        *self = Self::start_again(args);
    }

    /// Drained and started again, as in a rolling restart.
    pub(crate) fn restart(&mut self) {
        assert_eq!(self.terminate(), Some(0), "{:?}", self.args);
        self.again();
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads to the line that says so; the rest is read and let go.
fn up_line(mut log: BufReader<std::process::ChildStderr>) -> Value {
    let mut seen = String::new();
    loop {
        let mut line = String::new();
        let read = log.read_line(&mut line).expect("log");
        assert!(read > 0, "kvatlas ended before it was up:\n{seen}");
        if line.contains(" is up\"") {
            std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
            return serde_json::from_str(&line).expect("a JSON line");
        }
        seen.push_str(&line);
    }
}

/// A port that nobody listens on, below those that the system gives to clients,
/// so that it is still free after a restart.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let own = u16::try_from(std::process::id() % 1_200).expect("small") * 10;
    for _ in 0..1_000 {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = 20_000 + (own + step) % 12_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no free port from 20000 to 32000");
}

/// The HTTP status and body of a GET, or of another method.
pub(crate) fn http(method: &str, url: &str) -> (u16, String) {
    let output = Command::new("curl")
        .args(["--silent", "--max-time", "30", "--request", method])
        .args(["--write-out", "\n%{http_code}", url])
        .output()
        .expect("curl is installed");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let (body, status) = printed.rsplit_once('\n').expect("a status");
    // 000: nobody listens.
    (status.parse().expect("a number"), body.to_owned())
}

/// Waits until the process is ready, and says what it waited for if it never is.
pub(crate) fn ready(url: &str) {
    wait_for("readiness", || {
        (http("GET", &format!("{url}/readyz")).0 == 200).then_some(())
    });
}
