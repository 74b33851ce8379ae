//! Which process a connection comes from, by what the system lists of it.
//!
//! Partitions are between processes, and all of them have the address 127.0.0.1.
//! The peer's port names a socket, and the socket is open in one process.

use std::fs;

/// The process, out of `candidates`, that holds the other end of a connection
/// from `peer` to `local`, both ports of 127.0.0.1.
pub(crate) fn process_behind(
    peer: u16,
    local: u16,
    candidates: impl Iterator<Item = u32>,
) -> Option<u32> {
    let socket = format!("socket:[{}]", socket_inode(peer, local)?);
    candidates.into_iter().find(|id| holds(*id, &socket))
}

fn holds(process: u32, socket: &str) -> bool {
    let Ok(files) = fs::read_dir(format!("/proc/{process}/fd")) else {
        return false;
    };
    files
        .flatten()
        .filter_map(|file| fs::read_link(file.path()).ok())
        .any(|target| target.as_os_str() == socket)
}

fn socket_inode(from: u16, to: u16) -> Option<u64> {
    let table = fs::read_to_string("/proc/net/tcp").ok()?;
    inode_in(&table, from, to)
}

/// Rows: number, local address, remote address, state, ..., inode as the tenth.
fn inode_in(table: &str, from: u16, to: u16) -> Option<u64> {
    let (from, to) = (format!(":{from:04X}"), format!(":{to:04X}"));
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let ours = fields.get(1)?.ends_with(&from) && fields.get(2)?.ends_with(&to);
        let inode = fields.get(9)?.parse().ok()?;
        (ours && inode != 0).then_some(inode)
    })
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_connection_of_ours_is_found_to_be_ours() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let local = listener.local_addr().unwrap().port();
        let client = TcpStream::connect(("127.0.0.1", local)).unwrap();
        let peer = client.local_addr().unwrap().port();
        let ours = std::process::id();
        assert_eq!(
            process_behind(peer, local, [1, ours].into_iter()),
            Some(ours)
        );
        assert_eq!(process_behind(peer, local, [].into_iter()), None);
        assert_eq!(process_behind(peer, 1, [ours].into_iter()), None);
    }
}
