//! Real servers, each with a directory of its own, that end with the test.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use indexer_store_redis::{RedisOptions, RedisStore, Topology};
use tempfile::TempDir;

/// After this a wait is taken to be in vain.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// A process that is killed when the test lets go of it, also by a panic.
#[derive(Debug)]
pub(crate) struct Process(Child);

impl Process {
    pub(crate) fn spawn(command: &mut Command) -> Self {
        let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
        let child = quiet.spawn().expect("redis-server is installed and starts");
        Self(child)
    }

    /// SIGKILL, and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }

    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.0.try_wait(), Ok(None))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A Redis server.
#[derive(Debug)]
pub(crate) struct Server {
    process: Process,
    port: u16,
    arguments: Vec<String>,
    directory: TempDir,
}

impl Server {
    /// A server without any files.
    pub(crate) async fn start() -> Self {
        Self::with(&[]).await
    }

    /// A server with further arguments, which answers.
    pub(crate) async fn with(arguments: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let arguments: Vec<String> = arguments.iter().map(|a| (*a).to_owned()).collect();
        // Between choosing a port and using it another may take it.
        for _ in 0..10 {
            let port = free_port();
            let mut process = run(port, directory.path(), &arguments);
            if answers(port, &mut process).await {
                return Self {
                    process,
                    port,
                    arguments,
                    directory,
                };
            }
        }
        panic!("no server started");
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again where it was; it reads whatever files it finds.
    pub(crate) async fn start_again(&mut self) {
        self.kill();
        self.process = run(self.port, self.directory.path(), &self.arguments);
        assert!(
            answers(self.port, &mut self.process).await,
            "it starts again"
        );
    }

    /// Sends one command, on a connection of its own.
    pub(crate) async fn ask<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        ask(self.port, words).await.expect("the server answers")
    }

    pub(crate) fn options(&self) -> RedisOptions {
        options(Topology::Standalone {
            address: self.address(),
        })
    }

    pub(crate) async fn store(&self) -> Arc<RedisStore> {
        connect(self.options()).await
    }
}

/// Options with short waits.
pub(crate) fn options(topology: Topology) -> RedisOptions {
    let mut options = RedisOptions {
        topology,
        prefix: "test".to_owned(),
        poll: Duration::from_millis(20),
        load_timeout: PATIENCE,
        append_timeout: PATIENCE,
        ..RedisOptions::default()
    };
    options.history.heartbeat = Duration::from_millis(50);
    options
}

pub(crate) async fn connect(options: RedisOptions) -> Arc<RedisStore> {
    RedisStore::connect(options).await.expect("connects")
}

pub(crate) async fn ask<T: redis::FromRedisValue>(
    port: u16,
    words: &[&str],
) -> redis::RedisResult<T> {
    let client = redis::Client::open(format!("redis://127.0.0.1:{port}"))?;
    let mut connection = client.get_multiplexed_async_connection().await?;
    let mut command = redis::cmd(words[0]);
    for word in &words[1..] {
        command.arg(*word);
    }
    command.query_async(&mut connection).await
}

pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it has an address").port()
}

/// The binary of the server.
#[expect(clippy::disallowed_methods, reason = "a test may be told where it is")]
pub(crate) fn binary() -> String {
    std::env::var("REDIS_SERVER").unwrap_or_else(|_| "redis-server".to_owned())
}

fn run(port: u16, directory: &Path, arguments: &[String]) -> Process {
    let mut command = Command::new(binary());
    command.arg("--port").arg(port.to_string());
    command
        .args(["--bind", "127.0.0.1", "--dir"])
        .arg(directory);
    if !arguments.iter().any(|argument| argument == "--save") {
        command.args(["--save", ""]);
    }
    Process::spawn(command.args(arguments))
}

async fn answers(port: u16, process: &mut Process) -> bool {
    let begun = tokio::time::Instant::now();
    while begun.elapsed() < PATIENCE {
        if ask::<String>(port, &["PING"]).await.is_ok() {
            return true;
        }
        if !process.is_running() {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    false
}
