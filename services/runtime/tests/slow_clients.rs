//! Clients that take their time must not cost others theirs.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::routing::{get, post};
use services_runtime::config::ListenAddress;
use services_runtime::http::{self, HttpLimits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

struct Server {
    port: u16,
    stop: CancellationToken,
    task: JoinHandle<std::io::Result<()>>,
}

/// Far longer than any test: what ends before has ended for another reason.
const NEVER: Duration = Duration::from_secs(3600);

const PATIENT: HttpLimits = HttpLimits {
    max_connections: 2,
    head_timeout: NEVER,
    body_timeout: NEVER,
    piece_timeout: NEVER,
    stop_timeout: NEVER,
    max_head_bytes: 64 * 1024,
};

async fn start(router: Router, limits: HttpLimits) -> Server {
    let listener = ListenAddress::loopback(0).bind().await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let stop = CancellationToken::new();
    let task = tokio::spawn(http::serve(listener, router, limits, stop.clone()));
    Server { port, stop, task }
}

fn routes() -> Router {
    let read = |body: Bytes| async move { format!("{} bytes", body.len()) };
    let routes = Router::new().route("/read", post(read));
    routes.route("/healthz", get(|| async { "alive" }))
}

impl Server {
    async fn send(&self, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        stream
    }

    /// A request whose body lacks its end. The server has read its head.
    async fn send_half(&self) -> TcpStream {
        let head = "POST /read HTTP/1.1\r\nconnection: close\r\nhost: x\r\ncontent-length: 9\r\n";
        let mut stream = self
            .send(&format!("{head}expect: 100-continue\r\n\r\n"))
            .await;
        let mut go_on = [0; 25];
        stream.read_exact(&mut go_on).await.unwrap();
        assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
        stream.write_all(b"half").await.unwrap();
        stream
    }

    async fn get(&self, path: &str) -> String {
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        rest(self.send(&request).await).await
    }
}

/// What still comes, until the server closes the connection.
async fn rest(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    // A connection that was given up may end with a reset.
    let _ = stream.read_to_end(&mut bytes).await;
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn unfinished_bodies_do_not_keep_probes_out() {
    let server = start(routes(), PATIENT).await;
    let first = server.send_half().await;
    let mut second = server.send_half().await;
    assert!(server.get("/healthz").await.ends_with("alive"));
    assert_eq!(rest(first).await, "", "the oldest gave way");
    second.write_all(b"other").await.unwrap();
    assert!(rest(second).await.ends_with("9 bytes"));
}

#[tokio::test]
async fn a_request_that_is_worked_on_never_gives_way() {
    let entered = Arc::new(Semaphore::new(0));
    let go_on = Arc::new(Semaphore::new(0));
    let (enter, wait) = (Arc::clone(&entered), Arc::clone(&go_on));
    let slow = get(move || async move {
        enter.add_permits(1);
        wait.acquire().await.unwrap().forget();
        "finished"
    });
    let server = start(routes().route("/slow", slow), PATIENT).await;
    let request = "GET /slow HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let busy = [server.send(request).await, server.send(request).await];
    entered.acquire_many(2).await.unwrap().forget();
    let (health, answers) = tokio::join!(server.get("/healthz"), async {
        go_on.add_permits(2);
        let [one, two] = busy;
        (rest(one).await, rest(two).await)
    });
    assert!(health.ends_with("alive"), "{health}");
    assert!(answers.0.ends_with("finished"), "{answers:?}");
    assert!(answers.1.ends_with("finished"), "{answers:?}");
}

#[tokio::test]
async fn a_body_that_stops_or_never_ends_is_refused() {
    let stops = HttpLimits {
        piece_timeout: Duration::from_millis(20),
        ..PATIENT
    };
    let never_ends = HttpLimits {
        body_timeout: Duration::from_millis(20),
        ..PATIENT
    };
    for limits in [stops, never_ends] {
        let server = start(routes(), limits).await;
        let answer = rest(server.send_half().await).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
        assert!(answer.contains("did not arrive in time"), "{answer}");
    }
}

#[tokio::test]
async fn half_a_request_does_not_hold_up_the_end() {
    let limits = HttpLimits {
        stop_timeout: Duration::from_millis(20),
        ..PATIENT
    };
    let server = start(routes(), limits).await;
    let body = server.send_half().await;
    let head = server.send("POST /read HTT").await;
    server.stop.cancel();
    server.task.await.unwrap().unwrap();
    assert_eq!(rest(body).await, "");
    assert_eq!(rest(head).await, "");
}
