//! Readiness as an orchestrator sees it.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use loadtest_engines::Process;

/// Between two questions.
const PAUSE: Duration = Duration::from_millis(5);

/// Waits until `/readyz` on a port of 127.0.0.1 answers 200. Returns how long that
/// took.
pub(crate) async fn ready(process: &mut Process, port: u16, limit: Duration) -> Result<Duration> {
    let started = Instant::now();
    let mut last = String::new();
    while started.elapsed() < limit {
        if let Some(status) = process.ended() {
            bail!("it ended: {status}");
        }
        match ask(port).await {
            Ok(answer) if answer.starts_with("HTTP/1.1 200") => return Ok(started.elapsed()),
            Ok(answer) => last = answer,
            Err(error) => last = error.to_string(),
        }
        tokio::time::sleep(PAUSE).await;
    }
    bail!("not ready after {limit:?}: {last}")
}

async fn ask(port: u16) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let question = "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(question.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(4096).read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
