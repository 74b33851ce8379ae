//! The engines as a process.

use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::Command;

const LIMIT: Duration = Duration::from_secs(60);

#[tokio::test]
async fn it_says_where_its_engines_listen_and_ends_when_asked_to() {
    let mut process = Command::new(env!("CARGO_BIN_EXE_loadtest-engine-sim"))
        .args(["--engines", "2", "--listen", "127.0.0.1:0", "--speed", "0"])
        .args(["--events", "bind=127.0.0.1:0", "--replay", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    for number in 0..2 {
        let line = tokio::time::timeout(LIMIT, lines.next_line()).await;
        let line = line.expect("a line in time").unwrap().unwrap();
        let line: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line["engine"], format!("engine-{number}"));
        assert!(line["events"].is_string() && line["replay"].is_string());
        let answer = ask(line["http"].as_str().unwrap()).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
        assert!(answer.contains(&format!("engine-{number}")), "{answer}");
    }
    let id = process.id().unwrap().to_string();
    Command::new("kill").arg(id).status().await.unwrap();
    let ended = tokio::time::timeout(LIMIT, process.wait()).await;
    assert!(ended.expect("an end in time").unwrap().success());
}

#[tokio::test]
async fn arguments_that_make_no_engine_are_refused() {
    for (arguments, message) in [
        (["--events", "tcp://127.0.0.1:1"], "connect=tcp://host:port"),
        (["--lora", "name"], "name=path"),
        (["--speed", "nan"], "--speed"),
        (["--kv-tokens", "10"], "max_model_len"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_loadtest-engine-sim"))
            .args(["--listen", "127.0.0.1:0"])
            .args(arguments)
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(LIMIT, output).await.unwrap().unwrap();
        assert!(!output.status.success());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(message), "{message} in {said}");
    }
}

async fn ask(address: &str) -> String {
    let body = r#"{"model":"Qwen3-32B","prompt":"hi","max_tokens":2}"#;
    let head = format!(
        "POST /v1/completions HTTP/1.1\r\nhost: engine\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    let mut connection = TcpStream::connect(address).await.unwrap();
    connection
        .write_all((head + body).as_bytes())
        .await
        .unwrap();
    let mut answer = String::new();
    let read = connection.read_to_string(&mut answer);
    tokio::time::timeout(LIMIT, read).await.unwrap().unwrap();
    answer
}
