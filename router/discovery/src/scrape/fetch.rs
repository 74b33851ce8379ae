//! One scrape over HTTP/1.1.

use std::net::SocketAddr;
use std::time::Duration;

use http::header::ACCEPT;
use http::{Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Bytes, Incoming};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::text::{Reader, Reading};
use super::{LoadMistake, ScrapeSettings};

/// Room for an answer's head, and for the piece of its body that is read at once.
const BUFFER_BYTES: usize = 64 << 10;
/// Connections of endpoints that have left close after this.
const IDLE: Duration = Duration::from_secs(30);

/// Asks engines for their metrics, over connections that stay open.
pub(super) struct Fetcher {
    client: Client<HttpConnector, Empty<Bytes>>,
    timeout: Duration,
    body_limit_bytes: usize,
}

impl Fetcher {
    pub(super) fn new(settings: &ScrapeSettings) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(settings.timeout));
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(1)
            .http1_max_buf_size(BUFFER_BYTES)
            .build(connector);
        Self {
            client,
            timeout: settings.timeout,
            body_limit_bytes: settings.body_limit_bytes,
        }
    }

    /// Asks one engine; takes no longer than the timeout.
    pub(super) async fn fetch(&self, address: SocketAddr) -> Result<Reading, LoadMistake> {
        match tokio::time::timeout(self.timeout, self.exchange(address)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(LoadMistake::TimedOut {
                after: self.timeout,
            }),
        }
    }

    async fn exchange(&self, address: SocketAddr) -> Result<Reading, LoadMistake> {
        let uri = metrics_of(address)?;
        let mut request = Request::new(Empty::new());
        *request.method_mut() = Method::GET;
        *request.uri_mut() = uri;
        request
            .headers_mut()
            .insert(ACCEPT, http::HeaderValue::from_static("text/plain"));
        let response = self.client.request(request).await.map_err(|error| {
            if error.is_connect() {
                LoadMistake::Connect(error)
            } else {
                LoadMistake::Head(error)
            }
        })?;
        if response.status() != StatusCode::OK {
            return Err(LoadMistake::Status {
                status: response.status().as_u16(),
            });
        }
        self.read(response.into_body()).await
    }

    async fn read(&self, mut body: Incoming) -> Result<Reading, LoadMistake> {
        let mut reader = Reader::default();
        let mut left = self.body_limit_bytes;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(LoadMistake::Body)?;
            let Some(piece) = frame.data_ref() else {
                continue;
            };
            left = left.checked_sub(piece.len()).ok_or(LoadMistake::TooLong {
                limit_bytes: self.body_limit_bytes,
            })?;
            reader.push(piece);
        }
        reader.finish()
    }
}

fn metrics_of(address: SocketAddr) -> Result<Uri, LoadMistake> {
    // A zone would be taken for a name, and looked up.
    if let SocketAddr::V6(v6) = address
        && v6.scope_id() != 0
    {
        return Err(LoadMistake::Address);
    }
    format!("http://{address}/metrics")
        .parse()
        .map_err(|_| LoadMistake::Address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_both_kinds_make_urls() {
        for (address, url) in [
            ("10.0.0.7:8000", "http://10.0.0.7:8000/metrics"),
            ("[2001:db8::7]:8000", "http://[2001:db8::7]:8000/metrics"),
        ] {
            let uri = metrics_of(address.parse().unwrap()).unwrap();
            assert_eq!(uri.to_string(), url);
        }
        let zoned = metrics_of("[fe80::1%2]:8000".parse().unwrap());
        assert!(matches!(zoned, Err(LoadMistake::Address)));
    }
}
