//! Engines played by `tests/peers/engines.py`, and what they truly hold.

use std::collections::BTreeMap;
use std::process::Stdio;

use proto_model::{ContentChain, LocalHash};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// A Python process that plays any number of engines.
pub(crate) struct Peers {
    child: Child,
    stdin: ChildStdin,
    stdout: Lines<BufReader<ChildStdout>>,
}

impl Peers {
    pub(crate) async fn start() -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "which Python has pyzmq is up to the machine"
        )]
        let python = std::env::var("KVATLAS_PYTHON").unwrap_or_else(|_| "python3".to_owned());
        let check = Command::new(&python)
            .args(["-c", "import zmq, msgpack"])
            .output()
            .await;
        assert!(
            check.is_ok_and(|output| output.status.success()),
            "{python} cannot import zmq and msgpack: install pyzmq and msgpack there, or name a \
             Python that has them in KVATLAS_PYTHON"
        );
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/engines.py");
        let mut child = Command::new(python)
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("python starts");
        let stdin = child.stdin.take().expect("piped");
        let stdout = BufReader::new(child.stdout.take().expect("piped")).lines();
        Self {
            child,
            stdin,
            stdout,
        }
    }

    pub(crate) async fn call(&mut self, command: &Value) -> Value {
        let line = format!("{command}\n");
        self.stdin
            .write_all(line.as_bytes())
            .await
            .expect("peers read");
        let answer = self
            .stdout
            .next_line()
            .await
            .expect("peers answer")
            .expect("peers live");
        let answer: Value = serde_json::from_str(&answer).expect("peers answer in JSON");
        assert_eq!(answer.get("error"), None, "{command}");
        answer
    }

    /// SIGKILL: sockets vanish without a farewell from the engine.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.expect("killed");
    }
}

/// One engine, and the blocks that it holds: hash to chain value.
pub(crate) struct Engine {
    pub(crate) name: String,
    pub(crate) held: BTreeMap<u64, u64>,
    pub(crate) published: u64,
    next_hash: u64,
    /// Seconds; `None` for the real time.
    pub(crate) clock: Option<f64>,
}

impl Engine {
    pub(crate) fn new(name: &str, first_hash: u64) -> Self {
        Self {
            name: name.to_owned(),
            held: BTreeMap::new(),
            published: 0,
            next_hash: first_hash,
            clock: None,
        }
    }

    pub(crate) fn topic(&self) -> String {
        format!("kv@{}@m", self.name)
    }

    /// Stores a run of two new blocks; sends it, or loses it.
    pub(crate) async fn store(&mut self, peers: &mut Peers, send: bool) {
        let first = self.next_hash;
        self.next_hash += 2;
        let tokens: Vec<u32> = (0..8).map(|index| (first as u32) * 16 + index).collect();
        let mut chain = ContentChain::root();
        for (index, block) in tokens.chunks(4).enumerate() {
            let key = chain.push(LocalHash::of(block, &[]));
            self.held.insert(first + index as u64, key);
        }
        let event = json!([
            "BlockStored",
            [first, first + 1],
            null,
            tokens,
            4,
            null,
            "GPU",
            null,
            [null, null]
        ]);
        self.publish(peers, vec![event], send).await;
    }

    /// Evicts the second block of the oldest run, or the first if only it is left.
    pub(crate) async fn evict(&mut self, peers: &mut Peers, send: bool) {
        let Some(oldest) = self.held.keys().next().copied() else {
            return;
        };
        let hash = if self.held.contains_key(&(oldest + 1)) {
            oldest + 1
        } else {
            oldest
        };
        self.held.remove(&hash);
        self.publish(peers, vec![json!(["BlockRemoved", [hash], "GPU"])], send)
            .await;
    }

    async fn publish(&mut self, peers: &mut Peers, events: Vec<Value>, send: bool) {
        self.published += 1;
        let timestamp = self
            .clock
            .map(|clock| clock + self.published as f64 / 1000.0);
        let command = json!({
            "op": "publish", "name": self.name, "events": events, "send": send,
            "timestamp": timestamp,
        });
        peers.call(&command).await;
    }
}
