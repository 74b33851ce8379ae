//! An HTTP/1.1 client that costs next to nothing: one connection, requests made
//! beforehand, answers read to their announced end.

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The longest answer that is read.
const ANSWER_LIMIT: usize = 4 << 20;

/// One kept connection.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// A request as it goes over the wire.
pub(crate) fn request(method: &str, path: &str, body: &str) -> Vec<u8> {
    format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

impl Connection {
    pub(crate) async fn open(port: u16) -> Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: Vec::with_capacity(64 << 10),
        })
    }

    /// Sends a request. Returns the status and the body.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> Result<(u16, &[u8])> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        let head = loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                break end + 4;
            }
            self.more().await?;
        };
        let text = std::str::from_utf8(&self.buffer[..head]).context("the head is no text")?;
        let status = text.get(9..12).context("no status")?.parse()?;
        let length = text.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            let named = name.eq_ignore_ascii_case("content-length");
            named.then(|| value.trim().parse::<usize>().ok()).flatten()
        });
        let length = length.context("no length")?;
        ensure!(length <= ANSWER_LIMIT, "an answer of {length} bytes");
        while self.buffer.len() < head + length {
            self.more().await?;
        }
        Ok((status, &self.buffer[head..head + length]))
    }

    /// Sends a request whose answer must be a success, in JSON.
    pub(crate) async fn json(&mut self, request: &[u8]) -> Result<serde_json::Value> {
        let (status, body) = self.ask(request).await?;
        if !(200..300).contains(&status) {
            bail!("status {status}: {}", String::from_utf8_lossy(body));
        }
        serde_json::from_slice(body).context("the answer is no JSON")
    }

    async fn more(&mut self) -> Result<()> {
        let read = self.stream.read_buf(&mut self.buffer).await?;
        ensure!(read > 0, "the connection was closed in an answer");
        Ok(())
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|part| part == wanted)
}
