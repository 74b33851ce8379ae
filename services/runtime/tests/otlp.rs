//! Spans arrive at a collector that speaks the OTLP trace service.

use axum::http::HeaderMap;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::trace::v1::Span as SentSpan;
use services_runtime::metrics::Build;
use services_runtime::telemetry::{
    self, OtlpSettings, TelemetrySettings, adopt_parent, inject_current,
};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

struct Collector(mpsc::Sender<ExportTraceServiceRequest>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let sent = self.0.send(request.into_inner()).await;
        sent.map_err(|_| Status::unavailable("the test is over"))?;
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

/// A collector's URL, and what it receives.
async fn collector() -> (String, mpsc::Receiver<ExportTraceServiceRequest>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (sender, receiver) = mpsc::channel(16);
    let service = TraceServiceServer::new(Collector(sender));
    tokio::spawn(
        tonic::transport::Server::builder()
            .add_service(service)
            .serve_with_incoming(TcpListenerStream::new(listener)),
    );
    (endpoint, receiver)
}

fn span_named<'a>(requests: &'a [ExportTraceServiceRequest], name: &str) -> &'a SentSpan {
    let spans = requests
        .iter()
        .flat_map(|request| &request.resource_spans)
        .flat_map(|resource| &resource.scope_spans)
        .flat_map(|scope| &scope.spans);
    let mut named = spans.filter(|span| span.name == name);
    let found = named.next().unwrap_or_else(|| panic!("no span {name}"));
    assert!(named.next().is_none(), "{name} was sent twice");
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_arrive_with_their_parent_at_the_latest_by_shutdown() {
    let (endpoint, mut receiver) = collector().await;
    let settings = TelemetrySettings {
        log_level: "warn".to_owned(),
        otlp: OtlpSettings {
            endpoint: Some(endpoint),
            ..OtlpSettings::default()
        },
        ..TelemetrySettings::default()
    };
    let build = Build {
        name: "demo",
        version: "1.2.3",
    };
    let telemetry = telemetry::init(&settings, build).unwrap();
    let headers = HeaderMap::from_iter([("traceparent".parse().unwrap(), CALLER.parse().unwrap())]);
    let mut onward = HeaderMap::new();
    let span = tracing::info_span!("score", model = "m");
    adopt_parent(&span, &headers);
    span.in_scope(|| {
        tracing::info_span!("tokenise").in_scope(|| ());
        inject_current(&mut onward);
    });
    drop(span);
    telemetry.shutdown().await;

    receiver.close();
    let mut requests = Vec::new();
    while let Some(request) = receiver.recv().await {
        requests.push(request);
    }
    let score = span_named(&requests, "score");
    let tokenise = span_named(&requests, "tokenise");
    let hex = |bytes: &[u8]| -> String { bytes.iter().map(|b| format!("{b:02x}")).collect() };
    assert_eq!(hex(&score.trace_id), CALLER[3..35]);
    assert_eq!(hex(&score.parent_span_id), CALLER[36..52]);
    assert_eq!(tokenise.parent_span_id, score.span_id);
    assert!(score.attributes.iter().any(|pair| pair.key == "model"));
    let forwarded = onward["traceparent"].to_str().unwrap();
    assert_eq!(forwarded[3..35], CALLER[3..35]);
    assert_eq!(forwarded[36..52], hex(&score.span_id));
    let resource = requests[0].resource_spans[0].resource.as_ref().unwrap();
    let service = resource.attributes.iter().find(|a| a.key == "service.name");
    assert!(format!("{service:?}").contains("demo"), "{service:?}");
}
