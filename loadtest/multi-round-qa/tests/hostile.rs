//! Against servers that do not behave.

use std::time::Duration;

use loadtest_multi_round_qa::{Client, ClientError, Options, Outcome, RunError, Tally, run};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// How long anything may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);

const TOKEN: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"}}]}\n\n";

/// Answers every connection's first bytes with this, and leaves it open. Gives the URL.
async fn server(answer: Option<String>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut bytes = vec![0; 64 << 10];
                if socket.read(&mut bytes).await.is_ok()
                    && let Some(answer) = answer
                {
                    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
                    let _ = socket.write_all(format!("{head}{answer}").as_bytes()).await;
                }
                std::future::pending::<()>().await;
                drop(socket);
            });
        }
    });
    url
}

fn options(warm_up: bool) -> Options {
    Options {
        users: 2,
        rounds: 2,
        qps: 100.0,
        system_words: 10,
        history_words: 10,
        answer_tokens: 8,
        model: "m".to_owned(),
        first_user: 0,
        user_header: false,
        warm_up,
    }
}

async fn until(url: &str, warm_up: bool, requests: u64) -> Result<Outcome, RunError> {
    let client = Client::new(url, "EMPTY").unwrap();
    let (enough, over) = oneshot::channel::<()>();
    let mut enough = Some(enough);
    let mut progress = |tally: &Tally, _: u64, failed: u64| {
        if tally.finished() + failed >= requests
            && let Some(enough) = enough.take()
        {
            let _ = enough.send(());
        }
    };
    let end = async {
        let _ = over.await;
    };
    let mut file = Vec::new();
    let running = run(
        client,
        options(warm_up),
        None,
        end,
        &mut file,
        &mut progress,
    );
    let outcome = tokio::time::timeout(LIMIT, running).await;
    outcome.expect("enough requests in time")
}

fn usage(prompt: u64, completion: u64) -> String {
    format!(
        "data: {{\"choices\":null,\"usage\":{{\"prompt_tokens\":{prompt},\"completion_tokens\":{completion}}}}}\n\n"
    )
}

#[tokio::test]
async fn done_ends_an_answer_whose_connection_stays_open() {
    let answer = format!("{TOKEN}{}data: [DONE]\n\n", usage(10, 2));
    let outcome = until(&server(Some(answer)).await, true, 4).await.unwrap();
    assert!(outcome.last_error.is_none(), "{:?}", outcome.last_error);
    assert!(outcome.summary.finished >= 4);
}

#[tokio::test]
async fn counts_that_cannot_be_are_failures() {
    let answer = format!("{TOKEN}{}data: [DONE]\n\n", usage(u64::MAX, u64::MAX));
    let url = server(Some(answer)).await;
    let outcome = until(&url, false, 3).await.unwrap();
    assert_eq!(outcome.summary.finished, 0);
    let error = outcome.last_error.unwrap();
    assert!(!error.retryable());
    assert!(error.to_string().contains("usage.prompt_tokens"), "{error}");
    let warm = until(&url, true, 1).await.unwrap_err();
    assert!(matches!(
        warm,
        RunError::WarmUp(ClientError::Count {
            field: "prompt_tokens"
        })
    ));
}

fn program(url: &str, folder: &std::path::Path) -> tokio::process::Command {
    let mut program = tokio::process::Command::new(env!("CARGO_BIN_EXE_loadtest-multi-round-qa"));
    program
        .args("--num-users 4 --num-rounds 3 --qps 100 --shared-system-prompt 10".split(' '))
        .args("--user-history-prompt 10 --answer-len 8 --model m --base-url".split(' '))
        .arg(url)
        .arg("--output")
        .arg(folder.join("q.csv"))
        .kill_on_drop(true);
    program
}

#[tokio::test]
async fn time_ends_the_warm_up_with_a_summary() {
    let (url, folder) = (server(None).await, tempfile::tempdir().unwrap());
    let mut program = program(&url, folder.path());
    let output = program.args(["--time", "1"]).output();
    let output = tokio::time::timeout(LIMIT, output).await;
    let output = output.expect("it ends").unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("Requests answered, failed: 0, 0"), "{said}");
    assert_eq!(output.status.code(), Some(1));
}

#[tokio::test]
async fn an_interrupt_ends_the_warm_up_with_a_summary() {
    let (url, folder) = (server(None).await, tempfile::tempdir().unwrap());
    let mut program = program(&url, folder.path());
    let child = program
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let id = child.id().unwrap().to_string();
    let deadline = tokio::time::Instant::now() + LIMIT;
    // Made when the handlers are there.
    while !folder.path().join("q.csv").exists() {
        assert!(tokio::time::Instant::now() < deadline, "it does not begin");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let sent = tokio::process::Command::new("kill")
        .args(["-INT", &id])
        .status();
    assert!(sent.await.unwrap().success());
    let output = tokio::time::timeout(LIMIT, child.wait_with_output()).await;
    let output = output.expect("it ends").unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("Performance summary"), "{said}");
}

#[tokio::test]
async fn files_that_cannot_be_written_are_named_before_the_run() {
    let (url, folder) = (server(None).await, tempfile::tempdir().unwrap());
    let mut program = program(&url, folder.path());
    let json = folder.path().join("nowhere").join("q.json");
    let output = program.arg("--json").arg(json).output();
    let output = tokio::time::timeout(LIMIT, output).await;
    let output = output.expect("it ends").unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("--json"), "{said}");
    assert!(!output.status.success());
}
