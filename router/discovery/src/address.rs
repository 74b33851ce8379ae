//! One spelling of an address.

use std::net::{IpAddr, SocketAddr};

/// An IPv4 address that is written as IPv6 (`::ffff:10.0.0.1`) becomes IPv4, so
/// that one endpoint has one address whoever names it.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => SocketAddr::from((ip, address.port())),
        IpAddr::V6(_) => address,
    }
}
