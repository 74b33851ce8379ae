//! The admin routes and the HTTP server, over real sockets.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use services_runtime::admin::{self, Readiness};
use services_runtime::config::ListenAddress;
use services_runtime::http::{self, HttpLimits};
use services_runtime::metrics::{Build, Metrics};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const BUILD: Build = Build {
    name: "demo",
    version: "0",
};

struct Server {
    port: u16,
    stop: CancellationToken,
    task: JoinHandle<std::io::Result<()>>,
}

async fn start(router: Router, limits: HttpLimits) -> Server {
    let listener = ListenAddress::loopback(0).bind().await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let stop = CancellationToken::new();
    let task = tokio::spawn(http::serve(listener, router, limits, stop.clone()));
    Server { port, stop, task }
}

impl Server {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(("127.0.0.1", self.port)).await.unwrap()
    }

    async fn get(&self, path: &str) -> String {
        let mut stream = self.connect().await;
        ask(&mut stream, path).await;
        rest(stream).await
    }
}

async fn ask(stream: &mut TcpStream, path: &str) {
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
}

async fn rest(mut stream: TcpStream) -> String {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn probes_and_metrics_are_answered() {
    let stop = CancellationToken::new();
    let readiness = Readiness::until(&stop);
    let watch = readiness.gate("store watch");
    let admin = admin::router(Metrics::new(BUILD), readiness.clone());
    let own = Router::new().route("/query", get(|| async { "mine" }));
    let server = start(own.merge(admin), HttpLimits::default()).await;

    assert!(server.get("/healthz").await.starts_with("HTTP/1.1 200 OK"));
    assert!(server.get("/query").await.ends_with("mine"));

    let answer = server.get("/readyz").await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(
        answer
            .ends_with(r#"{"ready":false,"waiting":[{"name":"store watch","reason":"starting"}]}"#),
        "{answer}"
    );
    watch.ready();
    let answer = server.get("/readyz").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(
        answer.ends_with(r#"{"ready":true,"waiting":[]}"#),
        "{answer}"
    );

    stop.cancel();
    let answer = server.get("/readyz").await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(answer.contains("draining"), "{answer}");

    let answer = server.get("/metrics").await;
    assert!(
        answer.contains("content-type: application/openmetrics-text"),
        "{answer}"
    );
    assert!(
        answer.contains("demo_build_info{version=\"0\"} 1"),
        "{answer}"
    );

    server.stop.cancel();
    server.task.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_request_under_way_is_finished_and_idle_connections_are_closed() {
    let entered = Arc::new(Semaphore::new(0));
    let go_on = Arc::new(Semaphore::new(0));
    let (enter, wait) = (Arc::clone(&entered), Arc::clone(&go_on));
    let slow = get(move || async move {
        enter.add_permits(1);
        wait.acquire().await.unwrap().forget();
        "finished"
    });
    let server = start(Router::new().route("/slow", slow), HttpLimits::default()).await;
    let idle = server.connect().await;
    let mut busy = server.connect().await;
    ask(&mut busy, "/slow").await;
    entered.acquire().await.unwrap().forget();
    server.stop.cancel();
    assert_eq!(rest(idle).await, "");
    go_on.add_permits(1);
    assert!(rest(busy).await.ends_with("finished"));
    server.task.await.unwrap().unwrap();
    assert!(
        TcpStream::connect(("127.0.0.1", server.port))
            .await
            .is_err()
    );
}

#[tokio::test]
async fn who_sends_no_request_does_not_hold_a_slot_for_good() {
    let limits = HttpLimits {
        max_connections: 1,
        head_timeout: Duration::from_millis(20),
        ..HttpLimits::default()
    };
    let server = start(Router::new().route("/", get(|| async { "in" })), limits).await;
    let mut slow = server.connect().await;
    slow.write_all(b"GET / HTT").await.unwrap();
    assert!(server.get("/").await.ends_with("in"));
}

#[tokio::test]
async fn an_endless_head_is_refused() {
    let limits = HttpLimits {
        max_head_bytes: 0,
        ..HttpLimits::default()
    };
    let server = start(Router::new(), limits).await;
    let mut stream = server.connect().await;
    let head = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(20_000));
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut status = [0; 12];
    stream.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 431");
}
