//! The subset hint: which endpoints the gateway allows for a request.

use std::net::{IpAddr, SocketAddr};

use crate::{Subset, SubsetEntry};

/// Reads a hint: strings that each hold entries separated by commas. Entries that
/// cannot be read are left out and counted. The outcome is never wider than the
/// hint: with no entry left, nothing may be picked.
pub(super) fn parse(hint: Option<&[String]>) -> (Subset, usize) {
    let Some(hint) = hint else {
        return (Subset::Whole, 0);
    };
    let words = hint.iter().flat_map(|text| text.split(','));
    let words = words.map(str::trim).filter(|word| !word.is_empty());
    let (mut entries, mut ignored) = (Vec::new(), 0);
    for word in words {
        match parse_entry(word) {
            Some(entry) => entries.push(entry),
            None => ignored += 1,
        }
    }
    (Subset::Only(entries), ignored)
}

/// What both allow.
pub(super) fn intersect(left: Subset, right: Subset) -> Subset {
    match (left, right) {
        (Subset::Whole, other) | (other, Subset::Whole) => other,
        (Subset::Only(left), Subset::Only(right)) => {
            let pairs = left
                .iter()
                .flat_map(|a| right.iter().map(move |b| (*a, *b)));
            Subset::Only(pairs.filter_map(|(a, b)| common(a, b)).collect())
        }
    }
}

fn common(a: SubsetEntry, b: SubsetEntry) -> Option<SubsetEntry> {
    let ports_agree = a.port.is_none() || b.port.is_none() || a.port == b.port;
    (a.ip == b.ip && ports_agree).then_some(SubsetEntry {
        ip: a.ip,
        port: a.port.or(b.port),
    })
}

/// `ip`, `ip:port`, `[v6]:port`, `[v6]`, `v6`.
fn parse_entry(word: &str) -> Option<SubsetEntry> {
    if let Ok(address) = word.parse::<SocketAddr>() {
        return Some(SubsetEntry {
            ip: address.ip().to_canonical(),
            port: Some(address.port()),
        });
    }
    let bare = word
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let ip = bare.unwrap_or(word).parse::<IpAddr>().ok()?;
    Some(SubsetEntry {
        ip: ip.to_canonical(),
        port: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(ip: &str, port: Option<u16>) -> SubsetEntry {
        SubsetEntry {
            ip: ip.parse().unwrap(),
            port,
        }
    }

    fn parsed(hint: &[&str]) -> (Subset, usize) {
        let hint: Vec<String> = hint.iter().map(|&text| text.to_owned()).collect();
        parse(Some(&hint))
    }

    #[test]
    fn no_hint_is_the_whole_pool() {
        assert_eq!(parse(None), (Subset::Whole, 0));
    }

    #[test]
    fn lists_and_strings_read_the_same() {
        let expected = Subset::Only(vec![
            entry("10.0.0.1", None),
            entry("10.0.0.2", Some(8000)),
            entry("2001:db8::1", Some(8001)),
            entry("2001:db8::2", None),
            entry("2001:db8::3", None),
        ]);
        let list = [
            "10.0.0.1",
            "10.0.0.2:8000",
            "[2001:db8::1]:8001",
            "2001:db8::2",
            "[2001:db8::3]",
        ];
        assert_eq!(parsed(&list), (expected.clone(), 0));
        assert_eq!(parsed(&[&list.join(" , ")]), (expected, 0));
    }

    #[test]
    fn what_cannot_be_read_is_counted_and_never_widens() {
        let (subset, ignored) = parsed(&["nonsense", "10.0.0.1:99999", "[::1", "1.2.3"]);
        assert_eq!((subset, ignored), (Subset::Only(Vec::new()), 4));
    }

    #[test]
    fn an_empty_hint_allows_nothing() {
        assert_eq!(parsed(&[]).0, Subset::Only(Vec::new()));
        assert_eq!(parsed(&["", " , "]).0, Subset::Only(Vec::new()));
    }

    #[test]
    fn a_mapped_address_is_its_ipv4_address() {
        let only = Subset::Only(vec![entry("10.0.0.1", Some(80))]);
        assert_eq!(parsed(&["[::ffff:10.0.0.1]:80"]).0, only);
    }

    #[test]
    fn an_intersection_keeps_the_narrower_entry() {
        let only = |entries: &[SubsetEntry]| Subset::Only(entries.to_vec());
        let any_port = only(&[entry("10.0.0.1", None), entry("10.0.0.2", Some(1))]);
        let ports = only(&[entry("10.0.0.1", Some(80)), entry("10.0.0.2", Some(2))]);
        let expected = only(&[entry("10.0.0.1", Some(80))]);
        assert_eq!(intersect(any_port, ports.clone()), expected);
        assert_eq!(intersect(Subset::Whole, ports.clone()), ports);
    }
}
