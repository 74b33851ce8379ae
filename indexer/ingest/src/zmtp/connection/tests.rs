use tokio::io::DuplexStream;

use super::*;

const LIMITS: Limits = Limits {
    message_bytes: 16 << 20,
    frames: 16,
};
const MIB: usize = 1 << 20;

/// The bytes that a PUB socket says first.
fn hello() -> Vec<u8> {
    let mut bytes = vec![0_u8; GREETING_BYTES];
    (bytes[0], bytes[9], bytes[10]) = (0xff, 0x7f, 3);
    bytes[12..16].copy_from_slice(b"NULL");
    bytes.extend_from_slice(b"\x04\x19\x05READY\x0bSocket-Type\x00\x00\x00\x03PUB");
    bytes
}

fn header(flags: u8, length: usize) -> Vec<u8> {
    let mut bytes = vec![flags];
    bytes.extend_from_slice(&(length as u64).to_be_bytes());
    bytes
}

async fn open(budget: &Budget) -> (Connection<DuplexStream>, DuplexStream) {
    let (ours, mut theirs) = tokio::io::duplex(MIB * 3 / 4);
    theirs.write_all(&hello()).await.unwrap();
    let timeout = Duration::from_secs(10);
    let opening = Connection::open(ours, SocketType::Sub, LIMITS, budget.clone(), timeout);
    (opening.await.unwrap(), theirs)
}

#[tokio::test(start_paused = true)]
async fn a_large_ready_is_refused_when_announced() {
    let (ours, mut theirs) = tokio::io::duplex(MIB);
    theirs.write_all(&hello()[..GREETING_BYTES]).await.unwrap();
    theirs.write_all(&header(6, 10_000)).await.unwrap();
    let timeout = Duration::from_secs(10);
    let opening = Connection::open(ours, SocketType::Sub, LIMITS, Budget::new(MIB), timeout);
    let error = opening.await.unwrap_err();
    assert!(matches!(error, ZmtpError::TooLarge { limit: 8192, .. }));
}

#[tokio::test(start_paused = true)]
async fn large_messages_share_one_budget() {
    let budget = Budget::new(MIB);
    let (mut first, mut first_peer) = open(&budget).await;
    let (mut second, mut second_peer) = open(&budget).await;
    let frame = [header(2, MIB), vec![7; MIB]].concat();
    first_peer.write_all(&frame[..MIB / 2]).await.unwrap();
    let mut receiving = Box::pin(first.receive());
    assert!(futures::poll!(receiving.as_mut()).is_pending());
    assert_eq!(budget.free(), 0);
    // The second has begun its message, and its time runs.
    second_peer.write_all(&[1, 1, 5]).await.unwrap();
    let mut waiting = Box::pin(second.receive());
    assert!(futures::poll!(waiting.as_mut()).is_pending());
    let mut sending = Box::pin(second_peer.write_all(&frame));

    first_peer.write_all(&frame[MIB / 2..]).await.unwrap();
    let received = receiving.await.unwrap();
    assert_eq!(budget.free(), 0, "until the message is handed over");
    let both = async { tokio::join!(waiting.as_mut(), sending.as_mut()) };
    let early = tokio::time::timeout(MESSAGE_TIME * 2, both).await;
    assert!(early.is_err(), "read on without room");
    drop(received);
    let (received, sent) = tokio::join!(waiting, sending);
    assert!(sent.is_ok());
    let received = received.expect("waiting for room costs the sender no time");
    assert_eq!(received.frames[1].len(), MIB);
    drop(received);
    assert_eq!(budget.free(), MIB);
    for connection in [&first, &second] {
        let kept = connection.buffer.capacity();
        assert!(kept <= 2 * READ_BYTES, "{kept}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_unfinished_message_ends_and_gives_its_room_back() {
    let budget = Budget::new(MIB);
    let (mut connection, mut peer) = open(&budget).await;
    peer.write_all(&header(2, MIB)).await.unwrap();
    let drip = tokio::spawn(async move {
        while peer.write_all(&[0; 100]).await.is_ok() {
            tokio::time::sleep(MESSAGE_TIME / 10).await;
        }
    });
    let error = connection.receive().await.unwrap_err();
    assert!(matches!(
        error,
        ZmtpError::MessageTimeout { bytes: MIB, .. }
    ));
    drop(connection);
    assert_eq!(budget.free(), MIB);
    drip.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn heartbeats_do_not_prolong_a_message() {
    let (mut connection, mut peer) = open(&Budget::new(MIB)).await;
    // A first frame of two, then nothing but heartbeats.
    peer.write_all(&[1, 1, 0]).await.unwrap();
    let beats = tokio::spawn(async move {
        while peer.write_all(b"\x04\x07\x04PING\x00\x64").await.is_ok() {
            tokio::time::sleep(MESSAGE_TIME / 3).await;
        }
    });
    let error = connection.receive().await.unwrap_err();
    assert!(matches!(error, ZmtpError::MessageTimeout { .. }));
    drop(connection);
    beats.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn silence_between_messages_may_last() {
    let (mut connection, mut peer) = open(&Budget::new(MIB)).await;
    peer.write_all(&[0, 1, 9, 0]).await.unwrap();
    assert_eq!(connection.receive().await.unwrap().frames[0][..], [9]);
    peer.write_all(&[1, 8]).await.unwrap();
    assert_eq!(connection.receive().await.unwrap().frames[0][..], [8]);
    let late = tokio::time::timeout(MESSAGE_TIME * 10, connection.receive());
    assert!(late.await.is_err());
    peer.write_all(&[0, 1, 7]).await.unwrap();
    assert_eq!(connection.receive().await.unwrap().frames[0][..], [7]);
}

#[tokio::test(start_paused = true)]
async fn a_large_message_takes_the_memory_that_was_counted() {
    let (mut connection, mut peer) = open(&Budget::new(MIB)).await;
    let frame = [header(2, MIB), vec![7; MIB - 10]].concat();
    let both = async { tokio::join!(connection.receive(), peer.write_all(&frame)) };
    assert!(tokio::time::timeout(MESSAGE_TIME / 2, both).await.is_err());
    assert!(connection.buffer.len() > MIB - 10);
    let taken = connection.buffer.capacity();
    assert!(taken <= MIB + 3 * READ_BYTES, "{taken}");
}
