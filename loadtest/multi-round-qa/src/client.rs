//! One request to an OpenAI server, with the times that count.

use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, InvalidHeaderValue};
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;

use crate::stream::{Stream, StreamError, Usage};

/// The whole of a request, as the documented tool's client has it.
const LIMIT: Duration = Duration::from_secs(600);

/// How long a finished answer's connection has to end the body, too, and so to serve
/// the next request.
const BODY_END: Duration = Duration::from_millis(100);

/// Bytes read of an error's body.
const ERROR_BYTES: usize = 64 << 10;

/// A server and its model.
#[derive(Debug, Clone)]
pub struct Client {
    pool: Pool<HttpConnector, Full<Bytes>>,
    uri: Uri,
    authorization: HeaderValue,
}

/// An address that no request can be sent to.
#[derive(Debug, thiserror::Error)]
pub enum UrlError {
    /// Not a URL of plain HTTP with a host.
    #[error(
        "--base-url {url:?} is not http://HOST[:PORT][/PATH]: give the server's, http://localhost:8000/v1 say"
    )]
    Url {
        /// As it was given.
        url: String,
    },
    /// The key cannot stand in a header.
    #[error("--api-key has characters that no header can have: give printable ASCII")]
    Key(#[source] InvalidHeaderValue),
}

/// Why a request has no answer. Neither texts nor what servers say of them are in it.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No connection, or it broke off before the answer's head.
    #[error("no answer from the server: is it listening at --base-url?")]
    Connection(#[source] hyper_util::client::legacy::Error),
    /// The server refuses.
    #[error("the server says {status}{kind}")]
    Status {
        /// Its status.
        status: StatusCode,
        /// The error's type, in parentheses, where it names one.
        kind: String,
    },
    /// The answer broke off.
    #[error("the answer broke off")]
    Broken(#[source] hyper::Error),
    /// The answer ended before the server said so.
    #[error("the answer ended without [DONE]")]
    Cut,
    /// The answer is no stream of chunks.
    #[error("the answer is not a stream of chat completion chunks: does --base-url end in /v1?")]
    Malformed,
    /// The server says in the middle of the answer that it failed.
    #[error("the server gave up in the middle of the answer")]
    Server,
    /// The usage cannot be.
    #[error("the answer's usage.{field} is above 2^40: no server counts so many tokens")]
    Count {
        /// Which count.
        field: &'static str,
    },
    /// Nothing was generated.
    #[error("the answer has no token")]
    Empty,
    /// The server does not count.
    #[error("the answer has no usage: the server must honour stream_options.include_usage")]
    NoUsage,
    /// It took too long.
    #[error("no end of the answer within 600 s")]
    TimedOut,
}

impl ClientError {
    /// Whether the same request may succeed later.
    #[must_use]
    pub fn retryable(&self) -> bool {
        match self {
            Self::Status { status, .. } => {
                status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS
            }
            Self::Malformed | Self::Count { .. } | Self::Empty | Self::NoUsage => false,
            Self::Connection(_) | Self::Broken(_) | Self::Cut | Self::Server | Self::TimedOut => {
                true
            }
        }
    }
}

/// An answer to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) text: String,
    pub(crate) usage: Usage,
    pub(crate) launched: SystemTime,
    /// From the sending to the first text.
    pub(crate) first: Duration,
    /// From there to the end.
    pub(crate) rest: Duration,
}

impl Client {
    /// For a base such as `http://localhost:8000/v1`.
    ///
    /// # Errors
    /// If it is no URL of plain HTTP, or the key no header's value.
    pub fn new(base_url: &str, api_key: &str) -> Result<Self, UrlError> {
        let wrong = || UrlError::Url {
            url: base_url.chars().take(200).collect(),
        };
        let uri = format!("{}/chat/completions", base_url.trim_end_matches('/'));
        let uri: Uri = uri.parse().map_err(|_| wrong())?;
        if uri.scheme_str() != Some("http") || uri.host().is_none_or(str::is_empty) {
            return Err(wrong());
        }
        let key = HeaderValue::from_str(&format!("Bearer {api_key}"));
        let mut authorization = key.map_err(UrlError::Key)?;
        authorization.set_sensitive(true);
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Ok(Self {
            pool: Pool::builder(TokioExecutor::new()).build(connector),
            uri,
            authorization,
        })
    }

    /// Sends a chat's body and reads the answer.
    pub(crate) async fn ask(
        &self,
        body: Vec<u8>,
        user: Option<u32>,
    ) -> Result<Answer, ClientError> {
        let asked = self.ask_without_limit(body, user);
        let limited = tokio::time::timeout(LIMIT, asked).await;
        limited.unwrap_or(Err(ClientError::TimedOut))
    }

    async fn ask_without_limit(
        &self,
        body: Vec<u8>,
        user: Option<u32>,
    ) -> Result<Answer, ClientError> {
        let request = self.request(body, user);
        let (launched, begin) = (SystemTime::now(), Instant::now());
        let sent = self.pool.request(request).await;
        let response = sent.map_err(ClientError::Connection)?;
        if response.status() != StatusCode::OK {
            return Err(refused(response).await);
        }
        let mut incoming = response.into_body();
        let mut stream = Stream::default();
        let mut first = None;
        while let Some(frame) = incoming.frame().await {
            let frame = frame.map_err(ClientError::Broken)?;
            let Some(bytes) = frame.data_ref() else {
                continue;
            };
            stream.push(bytes).map_err(|error| match error {
                StreamError::Malformed => ClientError::Malformed,
                StreamError::Server => ClientError::Server,
                StreamError::Count { field } => ClientError::Count { field },
            })?;
            if first.is_none() && stream.begun {
                first = Some(begin.elapsed());
            }
            if stream.done {
                break;
            }
        }
        let all = begin.elapsed();
        if !stream.done {
            return Err(ClientError::Cut);
        }
        // Servers that leave the body open lose the connection, not the answer.
        let rest = async { while let Some(Ok(_)) = incoming.frame().await {} };
        let _ = tokio::time::timeout(BODY_END, rest).await;
        let first = first.ok_or(ClientError::Empty)?;
        Ok(Answer {
            text: stream.text,
            usage: stream.usage.ok_or(ClientError::NoUsage)?,
            launched,
            first,
            rest: all - first,
        })
    }

    fn request(&self, body: Vec<u8>, user: Option<u32>) -> Request<Full<Bytes>> {
        let mut request = Request::post(self.uri.clone())
            .header(CONTENT_TYPE, "application/json")
            .header(AUTHORIZATION, self.authorization.clone())
            .body(Full::new(Bytes::from(body)))
            .expect("the parts are checked");
        if let Some(user) = user {
            let name = HeaderName::from_static("x-user-id");
            request.headers_mut().insert(name, HeaderValue::from(user));
        }
        request
    }
}

/// The status, and the error's type as OpenAI servers name it.
async fn refused(response: http::Response<hyper::body::Incoming>) -> ClientError {
    #[derive(Deserialize)]
    struct Body {
        error: Kind,
    }
    #[derive(Deserialize)]
    struct Kind {
        r#type: String,
    }
    let status = response.status();
    let body = http_body_util::Limited::new(response.into_body(), ERROR_BYTES);
    let bytes = body
        .collect()
        .await
        .map(http_body_util::Collected::to_bytes);
    let named = bytes.ok().and_then(|bytes| {
        let body: Body = serde_json::from_slice(&bytes).ok()?;
        let named = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | ' ');
        let kind: String = body.error.r#type.chars().filter(named).take(64).collect();
        (!kind.is_empty()).then(|| format!(" ({kind})"))
    });
    ClientError::Status {
        status,
        kind: named.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_http_is_taken() {
        let client = Client::new("http://localhost:8000/v1/", "EMPTY").unwrap();
        assert_eq!(
            client.uri.to_string(),
            "http://localhost:8000/v1/chat/completions"
        );
        for url in [
            "",
            "localhost:8000",
            "https://localhost/v1",
            "http://",
            "/v1",
        ] {
            let error = Client::new(url, "EMPTY").unwrap_err().to_string();
            assert!(error.contains("--base-url"), "{url}: {error}");
        }
        let error = Client::new("http://localhost/v1", "a\nb").unwrap_err();
        assert!(error.to_string().starts_with("--api-key"));
    }
}
