//! Addresses of others: `host:port`, where the host may be a DNS name.

use services_runtime::config::Mistakes;

/// What is expected, for messages.
const WANT: &str = "host:port, such as store-1:7400 or 10.0.0.1:7400";

/// Notes what is wrong with an address that is connected to.
pub(super) fn check(path: impl Into<String>, text: &str, mistakes: &mut Mistakes) {
    if !is_right(text) {
        mistakes.push(path, format!("{text:?}"), WANT);
    }
}

pub(crate) fn is_right(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else {
        return false;
    };
    let host = match host.strip_prefix('[') {
        Some(bracketed) => bracketed
            .strip_suffix(']')
            .filter(|host| host.parse::<std::net::Ipv6Addr>().is_ok()),
        None => Some(host).filter(|host| !host.contains(':')),
    };
    let odd = |c: char| c.is_whitespace() || c.is_control() || "/*@[]".contains(c);
    host.is_some_and(|host| !host.is_empty() && !host.contains(odd))
        && port.parse::<u16>().is_ok_and(|port| port > 0)
}

#[cfg(test)]
mod tests {
    use super::is_right;

    #[test]
    fn names_and_addresses_with_a_port_are_right() {
        for text in ["store-1:7400", "10.0.0.1:1", "[::1]:7400", "a.b.svc:65535"] {
            assert!(is_right(text), "{text}");
        }
        for text in [
            "",
            "store-1",
            ":7400",
            "store-1:0",
            "store-1:65536",
            "http://store-1:7400",
            "::1:7400",
            "[x]:1",
            "*:7400",
        ] {
            assert!(!is_right(text), "{text}");
        }
    }
}
