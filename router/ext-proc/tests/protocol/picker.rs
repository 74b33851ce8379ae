//! A picker under test, and a gateway's side of its streams.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use envoy_types::pb::envoy::service::ext_proc::v3::external_processor_client::ExternalProcessorClient;
use envoy_types::pb::envoy::service::ext_proc::v3::{ProcessingRequest, ProcessingResponse};
use futures::future::BoxFuture;
use router_ext_proc::{
    Asked, Decide, End, Lifecycle, Listeners, Refused, RefusedKind, Routed, ServeError, Settings,
    StreamStats, Subset, Ticket, TlsSource, Usage, serve,
};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use tonic::{Status, Streaming};

/// Long enough for every machine; reached only where something hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) const FIRST: &str = "10.0.0.1:8000";

/// What a ticket was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Note {
    Responded(u16, Option<SocketAddr>),
    Progressed,
    Finished(End, Option<Usage>),
    Dropped,
}

/// The notes of all tickets, and what was asked.
#[derive(Default)]
pub(crate) struct Books {
    notes: Mutex<Vec<Note>>,
    pub(crate) asked: Mutex<Vec<Asked>>,
}

impl Books {
    pub(crate) fn notes(&self) -> Vec<Note> {
        self.notes.lock().unwrap().clone()
    }

    fn note(&self, note: Note) {
        self.notes.lock().unwrap().push(note);
    }

    pub(crate) fn ticket(self: &Arc<Self>) -> Box<dyn Ticket> {
        Box::new(Recorded {
            books: Arc::clone(self),
            finished: false,
        })
    }
}

struct Recorded {
    books: Arc<Books>,
    finished: bool,
}

impl Ticket for Recorded {
    fn responded(&mut self, status: u16, served: Option<SocketAddr>) {
        self.books.note(Note::Responded(status, served));
    }

    fn progressed(&mut self) {
        self.books.note(Note::Progressed);
    }

    fn finished(mut self: Box<Self>, end: End, usage: Option<Usage>) {
        self.finished = true;
        self.books.note(Note::Finished(end, usage));
    }
}

impl Drop for Recorded {
    fn drop(&mut self) {
        if !self.finished {
            self.books.note(Note::Dropped);
        }
    }
}

pub(crate) type Answer = Result<Routed, Refused>;
type Script = Box<dyn Fn(Asked, Arc<Books>) -> BoxFuture<'static, Answer> + Send + Sync>;

struct Scripted {
    script: Script,
    books: Arc<Books>,
}

#[async_trait]
impl Decide for Scripted {
    async fn decide(&self, asked: Asked) -> Answer {
        (self.script)(asked, Arc::clone(&self.books)).await
    }
}

/// To this endpoint, with nothing changed.
pub(crate) fn routed_to(endpoint: &str, books: &Arc<Books>) -> Routed {
    Routed {
        endpoints: vec![endpoint.parse().unwrap()],
        body: None,
        set_headers: Vec::new(),
        ticket: books.ticket(),
    }
}

pub(crate) fn refused(kind: RefusedKind) -> Refused {
    Refused {
        kind,
        message: "because".to_owned(),
        retry_after: None,
    }
}

/// The first of three endpoints that the subset allows.
fn first_allowed(asked: Asked, books: &Arc<Books>) -> Answer {
    let pool = [FIRST, "10.0.0.2:8000", "[2001:db8::1]:8000"];
    let allowed = |endpoint: &&str| {
        let address: SocketAddr = endpoint.parse().unwrap();
        match &asked.subset {
            Subset::Whole => true,
            Subset::Only(entries) => entries.iter().any(|entry| {
                entry.ip == address.ip() && entry.port.is_none_or(|port| port == address.port())
            }),
        }
    };
    let chosen = pool.into_iter().find(allowed);
    books.asked.lock().unwrap().push(asked);
    let endpoint = chosen.ok_or_else(|| refused(RefusedKind::NoEndpoint))?;
    Ok(routed_to(endpoint, books))
}

/// A picker that serves.
pub(crate) struct Picker {
    pub(crate) address: SocketAddr,
    pub(crate) health: SocketAddr,
    pub(crate) stats: Arc<StreamStats>,
    pub(crate) books: Arc<Books>,
    pub(crate) ready: watch::Sender<bool>,
    pub(crate) shutdown: CancellationToken,
    pub(crate) serving: JoinHandle<Result<(), ServeError>>,
}

impl Drop for Picker {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Plaintext, and as quick to end as can be.
pub(crate) fn settings() -> Settings {
    Settings {
        tls: TlsSource::Plaintext,
        drain_delay: Duration::ZERO,
        // A busy machine is no reason for a late decision.
        decision_timeout: PATIENCE,
        ..Settings::default()
    }
}

impl Picker {
    /// Picks the first endpoint that the subset allows.
    pub(crate) async fn start() -> Self {
        Self::with(settings()).await
    }

    pub(crate) async fn with(settings: Settings) -> Self {
        Self::scripted(settings, |asked, books| {
            Box::pin(async move { first_allowed(asked, &books) })
        })
        .await
    }

    pub(crate) async fn scripted(
        settings: Settings,
        script: impl Fn(Asked, Arc<Books>) -> BoxFuture<'static, Answer> + Send + Sync + 'static,
    ) -> Self {
        let listen = || async { TcpListener::bind("127.0.0.1:0").await.unwrap() };
        let (ext_proc, health) = (listen().await, listen().await);
        let (address, health_address) =
            (ext_proc.local_addr().unwrap(), health.local_addr().unwrap());
        let (books, stats) = (Arc::new(Books::default()), Arc::new(StreamStats::default()));
        let (ready, readiness) = watch::channel(true);
        let shutdown = CancellationToken::new();
        let decide = Arc::new(Scripted {
            script: Box::new(script),
            books: Arc::clone(&books),
        });
        let listeners = Listeners {
            ext_proc,
            health: Some(health),
        };
        let life = Lifecycle {
            readiness,
            shutdown: shutdown.clone(),
        };
        let serving = serve(listeners, decide, settings, Arc::clone(&stats), life);
        Self {
            address,
            health: health_address,
            stats,
            books,
            ready,
            shutdown,
            serving: tokio::spawn(serving),
        }
    }

    pub(crate) async fn channel(&self) -> Channel {
        connect(format!("http://{}", self.address)).await
    }

    /// Whether at least so many bytes are counted.
    pub(crate) fn holds(&self, bytes: u64) -> bool {
        self.stats.bytes_buffered.get() >= bytes
    }

    /// A stream on a connection of its own.
    pub(crate) async fn call(&self) -> Call {
        Call::on(self.channel().await).await
    }
}

pub(crate) async fn connect(address: String) -> Channel {
    let endpoint = Channel::from_shared(address).unwrap();
    endpoint.connect().await.unwrap()
}

/// One stream, as a gateway sees it.
pub(crate) struct Call {
    /// `None` once half-closed.
    send: Option<mpsc::Sender<ProcessingRequest>>,
    answers: Streaming<ProcessingResponse>,
}

impl Call {
    pub(crate) async fn on(channel: Channel) -> Self {
        let (send, messages) = mpsc::channel(1_024);
        let mut client =
            ExternalProcessorClient::new(channel).max_decoding_message_size(usize::MAX);
        let answers = client.process(ReceiverStream::new(messages)).await.unwrap();
        Self {
            send: Some(send),
            answers: answers.into_inner(),
        }
    }

    pub(crate) async fn send(&self, message: ProcessingRequest) {
        let send = self.send.as_ref().expect("an open stream");
        timeout(PATIENCE, send.send(message))
            .await
            .unwrap()
            .unwrap();
    }

    /// Sends if the picker still listens.
    pub(crate) async fn try_send(&self, message: ProcessingRequest) -> bool {
        let send = self.send.as_ref().expect("an open stream");
        timeout(PATIENCE, send.send(message)).await.unwrap().is_ok()
    }

    pub(crate) fn half_close(&mut self) {
        self.send = None;
    }

    /// The next answer; `None` at an end with OK.
    pub(crate) async fn next(&mut self) -> Result<Option<ProcessingResponse>, Status> {
        let answer = timeout(PATIENCE, self.answers.message()).await;
        answer.expect("an answer in time")
    }

    pub(crate) async fn answer(&mut self) -> ProcessingResponse {
        self.next().await.unwrap().expect("an answer")
    }

    pub(crate) async fn ended(&mut self) {
        let end = self.next().await;
        assert!(matches!(end, Ok(None)), "an end with OK, not {end:?}");
    }

    /// A request without body, routed.
    pub(crate) async fn routed(&mut self) {
        self.send(super::messages::request_headers(&[], true)).await;
        super::messages::common(&self.answer().await);
    }
}

/// Waits for a condition, as long as it takes.
pub(crate) async fn until(mut condition: impl FnMut() -> bool) {
    let waiting = async {
        while !condition() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, waiting).await.expect("the condition");
}

/// The body of the last request that was asked about.
pub(crate) fn last_body(books: &Books) -> Option<Bytes> {
    let asked = books.asked.lock().unwrap();
    asked.last().expect("a request").body.clone()
}
