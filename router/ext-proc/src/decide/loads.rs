//! The engines' own word on how busy they are.

use std::net::SocketAddr;
use std::time::Instant;

use router_discovery::Loads;
use router_picker::Load;

/// Loads as they were sampled last.
pub trait SampledLoads: Send + Sync + 'static {
    /// An endpoint's load and when it was sampled; `None`: nothing that is fresh
    /// enough to be used.
    fn sampled(&self, address: &SocketAddr) -> Option<(Load, Instant)>;
}

impl SampledLoads for Loads {
    fn sampled(&self, address: &SocketAddr) -> Option<(Load, Instant)> {
        let engine = self.get(address)?;
        Some((engine.load(), engine.sampled_at))
    }
}

/// Nobody is asked: endpoints are picked by what this picker has sent.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoLoads;

impl SampledLoads for NoLoads {
    fn sampled(&self, _: &SocketAddr) -> Option<(Load, Instant)> {
        None
    }
}
