//! Requests that do not arrive.
//!
//! A message is read before it can be answered or refused, and what is being read
//! takes a place. A client that sends a part and no more would keep its place for
//! as long as its connection lives, and have those wait who come after it.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::http::{Request, Response};
use proto_api::{Failure, FailureKind};
use tonic::body::Body;
use tower::layer::util::Stack;
use tower::limit::GlobalConcurrencyLimitLayer;
use tower::{Layer, Service, ServiceExt};

/// Has requests answered within a time, which includes waiting until the service
/// within is ready, and reading; of streams, it bounds the time until they begin.
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

/// So many requests at a time; the time of those who wait for a place runs, too.
pub(super) fn places(count: usize, time: InTime) -> Stack<GlobalConcurrencyLimitLayer, InTime> {
    Stack::new(GlobalConcurrencyLimitLayer::new(count), time)
}

/// A service whose requests are given up after a time.
#[derive(Debug, Clone)]
pub(super) struct Timed<S> {
    inner: S,
    limit: Duration,
}

impl<S, R> Service<Request<R>> for Timed<S>
where
    S: Service<Request<R>, Response = Response<Body>, Error: Send, Future: Send>,
    S: Clone + Send + 'static,
    R: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    /// Always: to wait for the service within is part of the time.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<R>) -> Self::Future {
        let (limit, work) = (self.limit, self.inner.clone().oneshot(request));
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
        "the request was not there as a whole, and answered, within {} ms, waiting for others \
         included; send it in one go, or ask another scorer",
        limit.as_millis()
    );
    Failure::new(FailureKind::DeadlineExceeded, text)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures::future::join_all;
    use tokio::time::Instant;
    use tonic::Code;
    use tower::service_fn;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_a_place_is_given_up_in_time_as_well() {
        let limit = Duration::from_secs(20);
        let service = places(1, InTime(limit)).layer(service_fn(|_: Request<()>| {
            std::future::pending::<Result<Response<Body>, Infallible>>()
        }));
        let began = Instant::now();
        let call = || service.clone().oneshot(Request::new(()));
        for answered in join_all([call(), call(), call()]).await {
            let status = answered.expect("an answer").headers()["grpc-status"].clone();
            assert_eq!(status, (Code::DeadlineExceeded as i32).to_string());
        }
        assert_eq!(began.elapsed(), limit);
    }
}
