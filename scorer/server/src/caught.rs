//! A panic while a question is answered is that question's failure, and nobody
//! else's.
//!
//! Left alone it would end the task that it happens in: over HTTP the connection,
//! with no answer; of a stream, all of its questions. Threads and other connections
//! go on either way, and no lock here is left unusable by a panic.

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::http::{Request, Response};
use futures::FutureExt;
use proto_api::{Failure, FailureKind};
use tower::{Layer, Service};

use crate::metrics::ScorerMetrics;

/// Runs the work. A panic of it is counted and becomes a failure, which tells
/// nothing of what the panic says: that may have been made of the question.
pub(crate) async fn caught<T>(
    metrics: &ScorerMetrics,
    work: impl Future<Output = T>,
) -> Result<T, Failure> {
    // What the work has touched it shares by locks and atomics only.
    let ended = AssertUnwindSafe(work).catch_unwind().await;
    ended.map_err(|_: Box<dyn Any + Send>| {
        metrics.panicked();
        Failure::new(
            FailureKind::Internal,
            "answering this request failed by a fault of the scorer; its log says where",
        )
    })
}

/// Answers requests whose handler panics.
#[derive(Clone)]
pub(crate) struct CatchPanics<A> {
    metrics: ScorerMetrics,
    answer: A,
}

impl<A> CatchPanics<A> {
    /// `answer` is the failure in the protocol's words.
    pub(crate) fn new(metrics: &ScorerMetrics, answer: A) -> Self {
        let metrics = metrics.clone();
        Self { metrics, answer }
    }
}

impl<S, A: Clone> Layer<S> for CatchPanics<A> {
    type Service = Caught<S, A>;

    fn layer(&self, inner: S) -> Caught<S, A> {
        Caught {
            inner,
            metrics: self.metrics.clone(),
            answer: self.answer.clone(),
        }
    }
}

/// A service whose panics are answered.
#[derive(Clone)]
pub(crate) struct Caught<S, A> {
    inner: S,
    metrics: ScorerMetrics,
    answer: A,
}

impl<S, R, A, B> Service<Request<R>> for Caught<S, A>
where
    S: Service<Request<R>, Response = Response<B>, Future: Send + 'static>,
    A: Fn(Failure) -> Response<B> + Clone + Send + 'static,
    B: 'static,
{
    type Response = Response<B>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<B>, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<R>) -> Self::Future {
        let (metrics, answer) = (self.metrics.clone(), self.answer.clone());
        let work = self.inner.call(request);
        Box::pin(async move {
            match caught(&metrics, work).await {
                Ok(answered) => answered,
                Err(failure) => Ok(answer(failure)),
            }
        })
    }
}

#[cfg(test)]
mod tests;
