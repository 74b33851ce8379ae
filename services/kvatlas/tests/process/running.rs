//! Starting the binary and waiting for it.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::slice::from_ref;
use std::time::{Duration, Instant};

/// Nothing here takes this long unless it is broken.
const LIMIT: Duration = Duration::from_secs(60);

/// `kvatlas` with arguments, ready to be run.
pub(crate) fn kvatlas(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kvatlas"));
    command.args(args).stdin(Stdio::null());
    command
}

/// Runs to the end.
pub(crate) fn run(args: &[&str]) -> Output {
    kvatlas(args).output().expect("kvatlas runs")
}

/// What a command printed.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The recordings' folder.
pub(crate) fn recordings() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/vllm"))
}

/// The Python with libzmq and gRPC.
pub(crate) fn python(script: &str, args: &[&str]) -> Command {
    // What ./test.sh prepares, for runs without it.
    let prepared = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/peers/bin/python");
    let python = std::env::var("KVATLAS_PYTHON").unwrap_or_else(|_| prepared.to_owned());
    let mut command = Command::new(python);
    command
        .arg(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(script))
        .args(args);
    command
}

/// A standalone on free ports; killed when dropped.
pub(crate) struct Running {
    child: Child,
    pub(crate) events: String,
    pub(crate) grpc: String,
    pub(crate) http: String,
}

impl Running {
    /// Starts it and waits until every port is bound.
    pub(crate) fn start(args: &[&str]) -> Self {
        let free = [
            "standalone",
            "--bind",
            "tcp://127.0.0.1:0",
            "--grpc",
            "127.0.0.1:0",
            "--http",
            "127.0.0.1:0",
            "--set",
            "telemetry.log_format=json",
        ];
        let child = kvatlas(&[&free, args].concat())
            .stderr(Stdio::piped())
            .spawn()
            .expect("kvatlas starts");
        let mut running = Self {
            child,
            events: String::new(),
            grpc: String::new(),
            http: String::new(),
        };
        let mut log = BufReader::new(running.child.stderr.take().expect("piped"));
        let mut seen = String::new();
        loop {
            let mut line = String::new();
            let read = log.read_line(&mut line).expect("log");
            assert!(read > 0, "kvatlas ended before it was up:\n{seen}");
            if line.contains("standalone is up") {
                let up: serde_json::Value = serde_json::from_str(&line).expect("a JSON line");
                let field = |name: &str| up[name].as_str().expect(name).to_owned();
                // Whoever fills the pipe must not stop the process.
                std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
                running.events = field("events");
                running.grpc = field("grpc");
                running.http = field("http");
                return running;
            }
            seen.push_str(&line);
        }
    }

    /// Asks it to end, as an orchestrator does, and returns its exit code.
    pub(crate) fn terminate(mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .expect("kill");
        assert!(sent.success());
        wait_for("the end", || self.child.try_wait().expect("wait")).code()
    }

    /// One HTTP exchange with curl: status and body.
    pub(crate) fn curl(&self, path: &str, body: Option<&str>) -> (u16, String) {
        let url = format!("{}{path}", self.http);
        let mut command = Command::new("curl");
        command.args([
            "--silent",
            "--show-error",
            "--write-out",
            "\n%{http_code}",
            &url,
        ]);
        if let Some(body) = body {
            command.args([
                "--header",
                "content-type: application/json",
                "--data-binary",
                body,
            ]);
        }
        let output = command.output().expect("curl is installed");
        assert!(output.status.success(), "{}", text(&output.stderr));
        let printed = text(&output.stdout);
        let (body, status) = printed.rsplit_once('\n').expect("status");
        (status.parse().expect("number"), body.to_owned())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A libzmq engine that plays a recording and stays connected.
pub(crate) struct Engine {
    child: Child,
    printed: BufReader<ChildStdout>,
    /// Messages that it has published.
    pub(crate) published: u64,
}

impl Engine {
    /// Publishes the whole recording of a server.
    pub(crate) fn play(standalone: &Running, tag: &str, topic: &str) -> Self {
        let events = recordings().join(format!("traces/{tag}.events.jsonl"));
        let mut engine = Self::connect(from_ref(&standalone.events), &events, topic, &[]);
        engine.listen();
        engine
    }

    /// Connects, and publishes only what [`Engine::publish`] asks for.
    pub(crate) fn stepwise(standalone: &Running, experiment: &str, topic: &str) -> Self {
        let events = recordings().join(format!("experiments/{experiment}.jsonl"));
        Self::connect(from_ref(&standalone.events), &events, topic, &["--step"])
    }

    /// Publishes the next messages.
    pub(crate) fn publish(&mut self, count: u64) {
        let input = self.child.stdin.as_mut().expect("piped");
        writeln!(input, "{count}").expect("the peer listens");
        let wanted = self.published + count;
        self.listen();
        assert_eq!(self.published, wanted, "the recording has ended");
    }

    /// Connects to bound subscribers.
    pub(crate) fn connect(to: &[String], events: &Path, topic: &str, more: &[&str]) -> Self {
        let events = events.to_str().expect("UTF-8");
        let to = to.iter().flat_map(|address| ["--connect", address]);
        let args: Vec<&str> = to.chain(["--topic", topic, "--events", events]).collect();
        let mut child = python("tests/peers/publish.py", &[&args, more].concat())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python runs; ./test.sh installs it");
        let printed = BufReader::new(child.stdout.take().expect("piped"));
        Self {
            child,
            printed,
            published: 0,
        }
    }

    fn listen(&mut self) {
        let mut line = String::new();
        self.printed.read_line(&mut line).expect("output");
        let count = line
            .trim()
            .strip_prefix("published ")
            .and_then(|count| count.parse().ok());
        self.published = count.unwrap_or_else(|| panic!("the peer said {line:?}"));
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for something to come about.
pub(crate) fn wait_for<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = attempt() {
            return found;
        }
        assert!(start.elapsed() < LIMIT, "no {what} within {LIMIT:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A command's answer as JSON.
pub(crate) fn parsed(output: &Output) -> serde_json::Value {
    let printed = text(&output.stdout);
    serde_json::from_str(&printed)
        .unwrap_or_else(|_| panic!("not JSON: {printed}\n{}", text(&output.stderr)))
}

/// The one endpoint, once the index has seen everything that was published.
pub(crate) fn settled(standalone: &Running, engine: &Engine) -> serde_json::Value {
    wait_for("endpoint", || {
        let list = parsed(&run(&["endpoints", "--server", &standalone.grpc, "--json"]));
        let endpoint = list.get(0)?.clone();
        (endpoint["next_sequence"] == engine.published).then_some(endpoint)
    })
}
