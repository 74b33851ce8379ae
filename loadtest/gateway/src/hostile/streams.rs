//! Streams of events that go on beside everything else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use http_body_util::BodyExt;
use loadtest_gateway::Client;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::world::{World, raw, said, stepper};

/// Between two events.
const BEAT: Duration = Duration::from_millis(100);

/// An event that comes later than this was held up.
const HELD_UP: Duration = Duration::from_secs(30);

/// More than are ever allowed: a stream is ended by its client.
const EVENTS: u16 = u16::MAX;

/// Clients that read events; dropping it ends them.
pub(crate) struct Streams {
    began: Instant,
    over: Arc<AtomicBool>,
    reading: JoinSet<Result<usize>>,
}

impl Streams {
    pub(crate) async fn start(world: &World, count: usize) -> Result<Self> {
        let over = Arc::new(AtomicBool::new(false));
        let mut reading = JoinSet::new();
        for number in 0..count {
            let test = format!("beside-{number}");
            let mut request = raw(said("tell me a long story").to_string());
            request.headers_mut().insert("x-test", test.parse()?);
            let events = format!("sse={EVENTS}").parse()?;
            request.headers_mut().insert("x-echo", events);
            let mut client = Client::connect(world.gateway.envoy.inference()).await?;
            let response = client.send(request).await?;
            let stepper = stepper(world, &response, &test)?;
            reading.spawn(read(client, response, stepper, Arc::clone(&over)));
        }
        Ok(Self {
            began: Instant::now(),
            over,
            reading,
        })
    }

    /// Why one has ended by itself, if one has.
    pub(crate) fn broken(&mut self) -> Option<anyhow::Error> {
        match self.reading.try_join_next()? {
            Ok(Ok(events)) => Some(anyhow!("after {events} events")),
            Ok(Err(error)) => Some(error),
            Err(error) => Some(error.into()),
        }
    }

    /// Ends them when they have lasted so long; how many events came, all in time.
    pub(crate) async fn end(mut self, lasting: Duration) -> Result<usize> {
        while self.began.elapsed() < lasting && !self.reading.is_empty() {
            tokio::time::sleep(BEAT).await;
            if let Some(error) = self.broken() {
                return Err(error);
            }
        }
        self.over.store(true, Ordering::Relaxed);
        let mut events = 0;
        while let Some(read) = self.reading.join_next().await {
            events += read??;
        }
        Ok(events)
    }
}

/// Allows an event, waits for it, and so on: nothing may be held back.
async fn read(
    client: Client,
    mut response: http::Response<hyper::body::Incoming>,
    stepper: impl Fn(),
    over: Arc<AtomicBool>,
) -> Result<usize> {
    let mut events = 0;
    while !over.load(Ordering::Relaxed) {
        stepper();
        let frame = timeout(HELD_UP, response.frame()).await;
        let frame = frame.with_context(|| format!("event {events} was held up"))?;
        frame.context("the stream was cut")??;
        events += 1;
        tokio::time::sleep(BEAT).await;
    }
    drop(client);
    Ok(events)
}
