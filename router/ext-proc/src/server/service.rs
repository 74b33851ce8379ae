//! The gRPC service: a place for each stream, and a task to drive it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use envoy_types::pb::envoy::service::ext_proc::v3::external_processor_server::{
    ExternalProcessor, ExternalProcessorServer,
};
use envoy_types::pb::envoy::service::ext_proc::v3::{ProcessingRequest, ProcessingResponse};
use futures::FutureExt;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::driver::{Answers, Driver};
use super::limits::{Place, Shared};
use crate::{Refused, RefusedKind, wire};

/// Answers that wait for the gateway to read them. With the gateway's chunks of up
/// to a megabyte, that bounds a stream's memory.
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

    pub(super) fn server(self) -> ExternalProcessorServer<Self> {
        let bytes = self.shared.settings.message_bytes_max;
        ExternalProcessorServer::new(self).max_decoding_message_size(bytes)
    }
}

#[tonic::async_trait]
impl ExternalProcessor for Processor {
    type ProcessStream = ReceiverStream<Result<ProcessingResponse, Status>>;

    async fn process(
        &self,
        request: Request<Streaming<ProcessingRequest>>,
    ) -> Result<Response<Self::ProcessStream>, Status> {
        let (answers, outgoing) = mpsc::channel(ANSWERS_WAITING);
        match Place::take(&self.shared) {
            Some(place) => {
                let shared = Arc::clone(&self.shared);
                tokio::spawn(drive(shared, place, request.into_inner(), answers));
            }
            None => {
                // The channel is new: there is room.
                let _ = answers.try_send(Ok(wire::immediate(&crowded(&self.shared))));
            }
        }
        Ok(Response::new(ReceiverStream::new(outgoing)))
    }
}

async fn drive(
    shared: Arc<Shared>,
    place: Place,
    mut incoming: Streaming<ProcessingRequest>,
    answers: Answers,
) {
    let driver = Driver::new(shared, place, answers.clone());
    let driven = AssertUnwindSafe(driver.run(&mut incoming)).catch_unwind();
    if Box::pin(driven).await.is_err() {
        // Ending with OK would make the gateway send an empty body on.
        let status = Status::internal("the picker failed on this stream");
        let _ = timeout(LINGER, answers.send(Err(status))).await;
    }
    drop(answers);
    let rest = async { while let Ok(Some(_)) = incoming.message().await {} };
    // Whoever still sends after that is cut off.
    let _ = timeout(LINGER, rest).await;
}

fn crowded(shared: &Shared) -> Refused {
    Refused {
        kind: RefusedKind::Unavailable,
        message: format!(
            "this endpoint picker serves {} requests already, which is its limit",
            shared.settings.streams_max
        ),
        retry_after: Some(Duration::from_secs(1)),
    }
}
