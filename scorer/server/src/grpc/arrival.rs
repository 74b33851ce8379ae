//! Requests that do not arrive.
//!
//! A message is read before it can be answered or refused, and what is being read
//! takes a place. A client that sends a part and no more would keep its place for
//! as long as its connection lives.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::http::{Request, Response};
use proto_api::{Failure, FailureKind};
use tonic::body::Body;
use tower::{Layer, Service};

/// Has requests answered within a time, reading included; of streams, it bounds
/// the time until they begin.
#[derive(Debug, Clone, Copy)]
pub(super) struct InTime(pub(super) Duration);

impl<S> Layer<S> for InTime {
    type Service = Timed<S>;

    fn layer(&self, inner: S) -> Timed<S> {
        Timed {
            inner,
            limit: self.0,
        }
    }
}

/// A service whose requests are given up after a time.
#[derive(Debug, Clone)]
pub(super) struct Timed<S> {
    inner: S,
    limit: Duration,
}

impl<S, R> Service<Request<R>> for Timed<S>
where
    S: Service<Request<R>, Response = Response<Body>, Future: Send + 'static>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<R>) -> Self::Future {
        let (limit, work) = (self.limit, self.inner.call(request));
        Box::pin(async move {
            match tokio::time::timeout(limit, work).await {
                Ok(answered) => answered,
                Err(_) => Ok(super::failed(late(limit))),
            }
        })
    }
}

fn late(limit: Duration) -> Failure {
    let text = format!(
        "the request was not there as a whole, and answered, within {} ms; send it in one go",
        limit.as_millis()
    );
    Failure::new(FailureKind::DeadlineExceeded, text)
}
