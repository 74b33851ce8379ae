//! The gRPC service: a place for each stream, and a task to drive it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use envoy_types::pb::envoy::service::ext_proc::v3::external_processor_server::{
    ExternalProcessor, ExternalProcessorServer,
};
use envoy_types::pb::envoy::service::ext_proc::v3::{ProcessingRequest, ProcessingResponse};
use futures::FutureExt;
use futures::stream::BoxStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::body::Body;
use tonic::{Request, Response, Status, Streaming};

use super::driver::{Answers, Driver, Waiting};
use super::limits::{Place, Shared};
use super::messages::{Messages, Raw, Unwrapped};
use crate::{Refused, RefusedKind, wire};

/// Answers that wait for the gateway to read them. What they hold is counted.
const ANSWERS_WAITING: usize = 4;

/// A stream that has ended is read for so long until the gateway ends it as well:
/// without that, parts under way would be answered with errors.
const LINGER: Duration = Duration::from_secs(2);

pub(super) struct Processor {
    shared: Arc<Shared>,
}

impl Processor {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    pub(super) fn server(self) -> Unwrapped<ExternalProcessorServer<Self>> {
        Unwrapped(ExternalProcessorServer::new(self))
    }
}

#[tonic::async_trait]
impl ExternalProcessor for Processor {
    type ProcessStream = BoxStream<'static, Result<ProcessingResponse, Status>>;

    async fn process(
        &self,
        request: Request<Streaming<ProcessingRequest>>,
    ) -> Result<Response<Self::ProcessStream>, Status> {
        let body = request.extensions().get().and_then(Raw::take);
        let body = body.ok_or_else(|| Status::internal("a stream without a body"))?;
        let (answers, outgoing) = mpsc::channel(ANSWERS_WAITING);
        match Place::take(&self.shared) {
            Some(place) => {
                let shared = Arc::clone(&self.shared);
                tokio::spawn(drive(shared, place, body, answers));
            }
            None => {
                // The channel is new: there is room.
                let _ = answers.try_send(Waiting::new(Ok(wire::immediate(&crowded(&self.shared)))));
            }
        }
        let outgoing = ReceiverStream::new(outgoing).map(Waiting::taken);
        Ok(Response::new(Box::pin(outgoing)))
    }
}

async fn drive(shared: Arc<Shared>, place: Place, body: Body, answers: Answers) {
    let mut incoming = Messages::new(body, &shared);
    let driver = Driver::new(shared, place, answers.clone());
    let driven = AssertUnwindSafe(driver.run(&mut incoming)).catch_unwind();
    if Box::pin(driven).await.is_err() {
        // Ending with OK would make the gateway send an empty body on.
        let status = Status::internal("the picker failed on this stream");
        let _ = timeout(LINGER, answers.send(Waiting::new(Err(status)))).await;
    }
    incoming.forget();
    drop(answers);
    // Whoever still sends after that is cut off.
    let _ = timeout(LINGER, incoming.drain()).await;
}

fn crowded(shared: &Shared) -> Refused {
    Refused {
        kind: RefusedKind::Crowded,
        message: format!(
            "this endpoint picker serves {} requests already, which is its limit",
            shared.settings.streams_max
        ),
        retry_after: Some(Duration::from_secs(1)),
    }
}
