//! The rows of a score answer, by the addresses that requests go to.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use proto_api::v1;

/// What one publisher holds of a prompt.
#[derive(Debug)]
struct Row {
    port: Option<u16>,
    score: v1::EndpointScore,
}

/// Every row of an answer.
#[derive(Debug, Default)]
pub(super) struct Holdings {
    by_ip: HashMap<IpAddr, Vec<Row>>,
}

/// What an address holds at best.
#[derive(Debug, Clone, Copy)]
pub(super) struct Holding<'a> {
    /// The best row. Engines often name themselves without a port: it is the
    /// index's name of the endpoint, not the pool's.
    pub(super) best: &'a v1::EndpointScore,
    /// The address answers for several data-parallel ranks.
    pub(super) ranked: bool,
}

impl Holdings {
    /// Rows of endpoints that are named by anything but an IP address are left
    /// out: no request can go there by name.
    pub(super) fn new(rows: Vec<v1::EndpointScore>) -> Self {
        let mut by_ip: HashMap<_, Vec<Row>> = HashMap::new();
        for score in rows {
            if let Some((ip, port)) = parsed(&score.address) {
                by_ip.entry(ip).or_default().push(Row { port, score });
            }
        }
        Self { by_ip }
    }

    /// What an address holds; the most blocks, then the best score and the lowest
    /// rank. `None`: no row is about it.
    pub(super) fn of(&self, address: SocketAddr) -> Option<Holding<'_>> {
        let rows = self.by_ip.get(&address.ip().to_canonical())?;
        let here = || {
            let here = rows
                .iter()
                .filter(|row| row.port.is_none_or(|port| port == address.port()));
            here.map(|row| &row.score)
        };
        let best = here().max_by(|a, b| {
            let order = a.matched_blocks.cmp(&b.matched_blocks);
            let order = order.then(a.score.total_cmp(&b.score));
            order.then(b.rank.cmp(&a.rank))
        })?;
        Some(Holding {
            best,
            ranked: here().any(|row| row.rank != best.rank),
        })
    }

    /// The block sizes that engines announce.
    pub(super) fn block_sizes(&self) -> impl Iterator<Item = u32> {
        let rows = self.by_ip.values().flatten();
        rows.map(|row| row.score.block_size)
            .filter(|size| *size > 0)
    }
}

/// `ip`, `ip:port` or `[ip]:port`.
fn parsed(address: &str) -> Option<(IpAddr, Option<u16>)> {
    if let Ok(address) = address.parse::<SocketAddr>() {
        return Some((address.ip().to_canonical(), Some(address.port())));
    }
    let bare = address.strip_prefix('[').and_then(|a| a.strip_suffix(']'));
    let ip: IpAddr = bare.unwrap_or(address).parse().ok()?;
    Some((ip.to_canonical(), None))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(address: &str, rank: u32, matched_blocks: u32) -> v1::EndpointScore {
        v1::EndpointScore {
            address: address.to_owned(),
            rank,
            matched_blocks,
            block_size: 16,
            ..Default::default()
        }
    }

    fn best(holdings: &Holdings, address: &str) -> Option<(u32, u32, bool)> {
        let holding = holdings.of(address.parse().unwrap())?;
        Some((
            holding.best.matched_blocks,
            holding.best.rank,
            holding.ranked,
        ))
    }

    #[test]
    fn the_best_rank_of_an_address_counts() {
        let holdings = Holdings::new(vec![
            row("10.0.0.1:80", 0, 1),
            row("10.0.0.1:80", 2, 5),
            row("10.0.0.1:80", 1, 5),
            row("10.0.0.2", 0, 3),
            row("10.0.0.2:81", 0, 4),
            row("[fd00::1]:80", 0, 6),
            row("pod-1:80", 0, 9),
        ]);
        assert_eq!(best(&holdings, "10.0.0.1:80"), Some((5, 1, true)));
        assert_eq!(best(&holdings, "10.0.0.1:81"), None);
        assert_eq!(best(&holdings, "10.0.0.2:80"), Some((3, 0, false)));
        assert_eq!(best(&holdings, "10.0.0.2:81"), Some((4, 0, false)));
        assert_eq!(best(&holdings, "[fd00::1]:80"), Some((6, 0, false)));
        assert_eq!(best(&holdings, "10.0.0.3:80"), None);
    }
}
