//! An engine's `/tokenize` route, answered by the test.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::Scope;

use serde_json::Value;

/// Answers a fixed number of requests, each on a connection of its own.
pub(crate) struct EngineDouble;

impl EngineDouble {
    /// Starts it and returns its URL.
    pub(crate) fn start<'scope>(
        scope: &'scope Scope<'scope, '_>,
        requests: usize,
        answer: impl Fn(&Value) -> Value + Send + 'scope,
    ) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        scope.spawn(move || {
            for stream in listener.incoming().take(requests) {
                serve(stream.expect("a connection"), &answer);
            }
        });
        url
    }
}

fn serve(mut stream: TcpStream, answer: &impl Fn(&Value) -> Value) {
    let mut reader = BufReader::new(stream.try_clone().expect("a clone"));
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).expect("a header");
        let line = line.to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().expect("a number");
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("a body");
    let reply = answer(&serde_json::from_slice(&body).expect("JSON")).to_string();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        reply.len()
    );
    stream.write_all(head.as_bytes()).expect("an answer");
    stream.write_all(reply.as_bytes()).expect("an answer");
}
