//! One HTTP connection, over which requests go one after the other.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::Body;
use crate::body::{empty, full};

/// How long anything may take before it counts as a hang.
pub const LIMIT: Duration = Duration::from_secs(90);

/// A connection; closed when dropped.
#[derive(Debug)]
pub struct Client {
    sender: Sender,
    driving: JoinHandle<()>,
}

#[derive(Debug)]
enum Sender {
    One(http1::SendRequest<Body>),
    Two(http2::SendRequest<Body>),
}

/// A response that has come to its end.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// Its trailers, if there were any.
    pub trailers: Option<HeaderMap>,
}

impl Client {
    /// Connects with HTTP/1.1.
    ///
    /// # Errors
    /// If nobody listens.
    pub async fn connect(address: SocketAddr) -> Result<Self> {
        let stream = connected(address).await?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let driving = tokio::spawn(async move {
            // What fails here fails for the request's sender too.
            let _ = connection.await;
        });
        let sender = Sender::One(sender);
        Ok(Self { sender, driving })
    }

    /// Connects with HTTP/2, known beforehand.
    ///
    /// # Errors
    /// If nobody listens.
    pub async fn connect_http2(address: SocketAddr) -> Result<Self> {
        let stream = connected(address).await?;
        let io = TokioIo::new(stream);
        let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await?;
        let driving = tokio::spawn(async move {
            let _ = connection.await;
        });
        let sender = Sender::Two(sender);
        Ok(Self { sender, driving })
    }

    /// Another sender on the same HTTP/2 connection.
    ///
    /// # Errors
    /// If this is HTTP/1.1.
    pub fn beside(&self) -> Result<Self> {
        let Sender::Two(sender) = &self.sender else {
            bail!("HTTP/1.1 has one request at a time on a connection");
        };
        let sender = Sender::Two(sender.clone());
        let driving = tokio::spawn(async {});
        Ok(Self { sender, driving })
    }

    /// Sends a request; returns with the response's headers.
    ///
    /// # Errors
    /// If the connection breaks, or nothing comes within [`LIMIT`].
    pub async fn send(&mut self, request: Request<Body>) -> Result<Response<Incoming>> {
        let what = format!("{} {}", request.method(), request.uri());
        let sent = async {
            match &mut self.sender {
                Sender::One(sender) => {
                    sender.ready().await?;
                    sender.send_request(origin_form(request)).await
                }
                Sender::Two(sender) => {
                    sender.ready().await?;
                    sender.send_request(request).await
                }
            }
        };
        let response = timeout(LIMIT, sent).await;
        let response = response.with_context(|| format!("{what}: no answer within {LIMIT:?}"))?;
        response.with_context(|| what)
    }

    /// Sends a request and reads the response to its end.
    ///
    /// # Errors
    /// If either breaks off or takes longer than [`LIMIT`].
    pub async fn ask(&mut self, request: Request<Body>) -> Result<Answer> {
        Answer::read(self.send(request).await?).await
    }

    /// Asks over a connection of its own.
    ///
    /// # Errors
    /// As [`Client::connect`] and [`Client::ask`].
    pub async fn once(address: SocketAddr, request: Request<Body>) -> Result<Answer> {
        let mut client = Self::connect(address).await?;
        client.ask(request).await
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.driving.abort();
    }
}

impl Answer {
    /// Reads a response to its end.
    ///
    /// # Errors
    /// If it breaks off or takes longer than [`LIMIT`].
    pub async fn read(response: Response<Incoming>) -> Result<Self> {
        let (head, body) = response.into_parts();
        let body = timeout(LIMIT, body.collect()).await;
        let body = body.with_context(|| format!("no end of the response within {LIMIT:?}"))?;
        let body = body.context("the response broke off")?;
        let trailers = body.trailers().cloned();
        Ok(Self {
            status: head.status,
            headers: head.headers,
            body: body.to_bytes(),
            trailers,
        })
    }

    /// A header's text; empty if there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.and_then(|value| value.to_str().ok()).unwrap_or("")
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// If it is none.
    pub fn json(&self) -> Result<Value> {
        let parsed = serde_json::from_slice(&self.body);
        parsed.with_context(|| format!("{}: {}", self.status, self.text()))
    }

    /// The last `usage` of a response, streamed or not.
    #[must_use]
    pub fn usage(&self) -> Option<Value> {
        let text = self.text();
        let events = text.lines().filter_map(|line| line.strip_prefix("data: "));
        let whole = std::iter::once(text.as_str());
        let objects = events.chain(whole);
        let parsed = objects.filter_map(|json| serde_json::from_str::<Value>(json).ok());
        let mut usages = parsed.filter_map(|mut value| value.get_mut("usage").map(Value::take));
        usages.rfind(|usage| !usage.is_null())
    }
}

async fn connected(address: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(address).await;
    let stream = stream.with_context(|| format!("connect to {address}"))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// A POST of JSON; `host` chooses Envoy's virtual host.
#[must_use]
pub fn post(host: &str, path: &str, json: &Value) -> Request<Body> {
    let mut request = Request::new(full(json.to_string()));
    *request.method_mut() = http::Method::POST;
    set_target(&mut request, host, path);
    let json = http::HeaderValue::from_static("application/json");
    request.headers_mut().insert("content-type", json);
    request
}

/// A GET.
#[must_use]
pub fn get(host: &str, path: &str) -> Request<Body> {
    let mut request = Request::new(empty());
    set_target(&mut request, host, path);
    request
}

/// HTTP/2 takes the authority from the URI.
fn set_target(request: &mut Request<Body>, host: &str, path: &str) {
    let uri = format!("http://{host}{path}").parse();
    *request.uri_mut() = uri.expect("hosts and paths of this suite are valid");
}

/// HTTP/1.1 takes it from `host`, and a bare path.
fn origin_form(mut request: Request<Body>) -> Request<Body> {
    let uri = request.uri().clone();
    let host = uri.authority().map(|host| host.as_str().parse());
    if let Some(Ok(host)) = host {
        request.headers_mut().entry("host").or_insert(host);
    }
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    if let Ok(path) = path.parse() {
        *request.uri_mut() = path;
    }
    request
}
