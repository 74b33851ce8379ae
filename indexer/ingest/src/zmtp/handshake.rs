//! Greeting and READY: who is there, and does the socket type fit. Pure.

use bytes::BytesMut;

use super::ZmtpError;
use super::frame::encode_command;

/// Length of a greeting.
pub(crate) const GREETING_BYTES: usize = 64;

/// The sockets that an ingestor plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SocketType {
    /// Receives events.
    Sub,
    /// Asks for a replay.
    Dealer,
}

impl SocketType {
    fn name(self) -> &'static str {
        match self {
            Self::Sub => "SUB",
            Self::Dealer => "DEALER",
        }
    }

    fn peers(self) -> (&'static [&'static str], &'static str) {
        match self {
            Self::Sub => (&["PUB", "XPUB"], "PUB or XPUB"),
            Self::Dealer => (&["ROUTER", "REP", "DEALER"], "ROUTER"),
        }
    }
}

/// Our greeting and READY, which need no answer in between: version 3.0 (so
/// that the peer uses 3.0's forms too), NULL.
pub(crate) fn opening(kind: SocketType) -> BytesMut {
    let mut greeting = [0_u8; GREETING_BYTES];
    greeting[0] = 0xff;
    greeting[9] = 0x7f;
    greeting[10] = 3;
    greeting[12..16].copy_from_slice(b"NULL");
    let mut out = BytesMut::from(&greeting[..]);
    let mut ready = BytesMut::new();
    ready.extend_from_slice(b"\x05READY\x0bSocket-Type\x00\x00\x00");
    let name = kind.name();
    ready.extend_from_slice(&[u8::try_from(name.len()).unwrap_or(0)]);
    ready.extend_from_slice(name.as_bytes());
    encode_command(&ready, &mut out);
    out
}

/// Refuses as soon as the bytes so far cannot become a greeting.
pub(crate) fn check_greeting_start(bytes: &[u8]) -> Result<(), ZmtpError> {
    let signature = |index: usize, expected: u8| bytes.get(index).is_none_or(|b| *b == expected);
    if signature(0, 0xff) && signature(9, 0x7f) {
        Ok(())
    } else {
        Err(ZmtpError::Greeting)
    }
}

/// Checks a whole greeting.
pub(crate) fn check_greeting(bytes: &[u8; GREETING_BYTES]) -> Result<(), ZmtpError> {
    check_greeting_start(bytes)?;
    if bytes[10] < 3 {
        return Err(ZmtpError::Version { major: bytes[10] });
    }
    let mechanism = &bytes[12..32];
    if !mechanism.starts_with(b"NULL\0") {
        return Err(ZmtpError::Mechanism);
    }
    Ok(())
}

/// Checks the peer's READY command.
pub(crate) fn check_ready(kind: SocketType, body: &[u8]) -> Result<(), ZmtpError> {
    let mut rest = body.strip_prefix(b"\x05READY").ok_or(ZmtpError::Command)?;
    let mut seen: &[u8] = b"";
    while !rest.is_empty() {
        let (name, after) = take(rest, 1)?;
        let (value, after) = take(after, 4)?;
        if name.eq_ignore_ascii_case(b"Socket-Type") {
            seen = value;
        }
        rest = after;
    }
    let (fitting, expected) = kind.peers();
    if fitting.iter().any(|name| name.as_bytes() == seen) {
        return Ok(());
    }
    let seen = String::from_utf8_lossy(&seen[..seen.len().min(16)]).into_owned();
    Err(ZmtpError::SocketType { seen, expected })
}

/// Splits off a field with a big-endian length of `width` bytes before it.
fn take(bytes: &[u8], width: usize) -> Result<(&[u8], &[u8]), ZmtpError> {
    let (length, rest) = bytes.split_at_checked(width).ok_or(ZmtpError::Command)?;
    let length = length
        .iter()
        .fold(0_usize, |value, byte| value << 8 | usize::from(*byte));
    rest.split_at_checked(length).ok_or(ZmtpError::Command)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready(kind: &str) -> Vec<u8> {
        let mut body =
            b"\x05READY\x08Identity\x00\x00\x00\x01x\x0bsocket-type\x00\x00\x00".to_vec();
        body.push(kind.len() as u8);
        body.extend_from_slice(kind.as_bytes());
        body
    }

    #[test]
    fn our_opening_is_a_valid_greeting_and_ready() {
        let opening = opening(SocketType::Sub);
        let greeting: [u8; 64] = opening[..64].try_into().unwrap();
        assert!(check_greeting(&greeting).is_ok());
        assert_eq!(
            &opening[64..],
            b"\x04\x19\x05READY\x0bSocket-Type\x00\x00\x00\x03SUB"
        );
    }

    #[test]
    fn only_publishers_fit_a_sub() {
        assert!(check_ready(SocketType::Sub, &ready("PUB")).is_ok());
        assert!(check_ready(SocketType::Sub, &ready("XPUB")).is_ok());
        assert!(matches!(
            check_ready(SocketType::Sub, &ready("PUSH")),
            Err(ZmtpError::SocketType { .. })
        ));
        assert!(check_ready(SocketType::Dealer, &ready("ROUTER")).is_ok());
        assert!(check_ready(SocketType::Dealer, &ready("PUB")).is_err());
    }

    #[test]
    fn every_cut_of_a_ready_is_an_error_not_a_panic() {
        let whole = ready("PUB");
        for cut in 0..whole.len() {
            assert!(
                check_ready(SocketType::Sub, &whole[..cut]).is_err(),
                "cut at {cut}"
            );
        }
    }

    #[test]
    fn http_is_recognised_as_no_greeting_at_its_first_byte() {
        assert!(matches!(
            check_greeting_start(b"G"),
            Err(ZmtpError::Greeting)
        ));
        assert!(check_greeting_start(&[0xff]).is_ok());
    }
}
