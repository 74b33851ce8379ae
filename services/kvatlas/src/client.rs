//! Talking to a running scorer.

use anyhow::{Context, Result};
use proto_api::v1::index_client::IndexClient;
use proto_api::v1::scorer_client::ScorerClient;
use proto_api::v1::{EndpointInfo, ListEndpointsRequest, Trust};
use tonic::Status;
use tonic::transport::Channel;

/// The largest answer that the commands take: a fleet's list of endpoints.
const ANSWER_LIMIT: usize = 64 << 20;

/// Connects, or says what to check.
pub(crate) async fn connect(url: &str) -> Result<Channel> {
    let endpoint = Channel::from_shared(url.to_owned())
        .with_context(|| format!("{url:?} is not a URL such as http://127.0.0.1:50051"))?;
    endpoint.connect().await.with_context(|| {
        format!("nothing answers at {url}; is `kvatlas standalone` running, and is --server right?")
    })
}

/// The scorer's service.
pub(crate) fn scorer(channel: Channel) -> ScorerClient<Channel> {
    ScorerClient::new(channel).max_decoding_message_size(ANSWER_LIMIT)
}

/// The index's service.
pub(crate) fn index(channel: Channel) -> IndexClient<Channel> {
    IndexClient::new(channel).max_decoding_message_size(ANSWER_LIMIT)
}

/// All endpoints, page by page.
pub(crate) async fn endpoints(client: &mut IndexClient<Channel>) -> Result<Vec<EndpointInfo>> {
    let mut all = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListEndpointsRequest {
            page_token,
            ..Default::default()
        };
        let page = client
            .list_endpoints(request)
            .await
            .map_err(said)?
            .into_inner();
        all.extend(page.endpoints);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(all);
        }
    }
}

/// A status as a sentence.
pub(crate) fn said(status: Status) -> anyhow::Error {
    anyhow::anyhow!("{:?}: {}", status.code(), status.message())
}

/// The lower-case word for a trust value from the wire.
pub(crate) fn trust_word(trust: i32) -> &'static str {
    match Trust::try_from(trust) {
        Ok(Trust::Exact) => "exact",
        Ok(Trust::Partial) => "partial",
        Ok(Trust::Suspect) => "suspect",
        Ok(Trust::Estimated) => "estimated",
        Ok(Trust::Unspecified) | Err(_) => "unknown",
    }
}
