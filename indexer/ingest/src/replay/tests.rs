use proto_model::{Endpoint, Rank};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

fn replayer(queue_bytes: usize, timeout: Duration) -> (Replayer, mpsc::Receiver<Replayed>) {
    let (news, told) = mpsc::channel(REPLAY_QUEUE);
    let replayer = Replayer {
        turns: Turns::default(),
        open: Arc::new(Semaphore::new(16)),
        slots: Arc::new(Semaphore::new(1)),
        limits: Limits {
            message_bytes: 1 << 20,
            frames: 16,
        },
        receiving: Budget::new(1 << 20),
        queue: Budget::new(queue_bytes),
        events: indexer_events::Limits::default(),
        checked: false,
        timeout,
        backoff: Backoff::default(),
        news,
    };
    (replayer, told)
}

fn publisher() -> Arc<Publisher> {
    Arc::new(Publisher {
        endpoint: Endpoint::new("c", "e").unwrap(),
        rank: Rank(0),
    })
}

const ORDER: ReplayOrder = ReplayOrder {
    run: 1,
    from: 0,
    failures: 0,
};

fn hello() -> Vec<u8> {
    let mut bytes = vec![0_u8; 64];
    (bytes[0], bytes[9], bytes[10]) = (0xff, 0x7f, 3);
    bytes[12..16].copy_from_slice(b"NULL");
    bytes.extend_from_slice(b"\x04\x1c\x05READY\x0bSocket-Type\x00\x00\x00\x06ROUTER");
    bytes
}

/// `["", sequence, payload]` of an empty batch.
fn answer(sequence: u64) -> Vec<u8> {
    let mut bytes = vec![1, 0, 1, 8];
    bytes.extend_from_slice(&sequence.to_be_bytes());
    bytes.extend_from_slice(&[0, 3, 0x92, 0x01, 0x90]);
    bytes
}

const END: [u8; 14] = [
    1, 0, 1, 8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0,
];

async fn listen() -> (TcpListener, TcpAddress, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, TcpAddress::new("127.0.0.1", port).unwrap(), port)
}

#[tokio::test]
async fn hosts_that_do_not_shake_hands_keep_nobody_waiting() {
    let (replayer, mut told) = replayer(1 << 20, Duration::from_secs(3600));
    let (good, address, port) = listen().await;
    let mut silent = Vec::new();
    for number in 2..6 {
        let host = format!("127.0.0.{number}");
        let listener = TcpListener::bind((host.as_str(), port)).await.unwrap();
        let address = TcpAddress::new(&host, port).unwrap();
        let run = replayer.clone().run(publisher(), address, ORDER);
        let task = tokio::spawn(run);
        silent.push((listener.accept().await.unwrap(), task));
    }
    let serve = async {
        let (mut stream, _) = good.accept().await.unwrap();
        stream.write_all(&hello()).await.unwrap();
        let mut seen = [0; 64 + 30 + 12];
        stream.read_exact(&mut seen).await.unwrap();
        stream.write_all(&answer(0)).await.unwrap();
        stream.write_all(&END).await.unwrap();
        stream
    };
    let run = replayer.clone().run(publisher(), address, ORDER);
    let ((), _stream) = tokio::join!(run, serve);
    let first = told.recv().await.unwrap();
    assert!(matches!(first.news, ReplayNews::Message { .. }));
    let last = told.recv().await.unwrap();
    assert!(matches!(last.news, ReplayNews::Ended(ReplayEnd::Complete)));
    for (_, task) in silent {
        assert!(!task.is_finished());
        task.abort();
    }
}

/// An engine that sends 1,000 messages, one in each interval.
async fn slow(every: Duration) -> tokio::io::DuplexStream {
    let (ours, mut theirs) = tokio::io::duplex(1 << 16);
    tokio::spawn(async move {
        theirs.write_all(&hello()).await?;
        for sequence in 0..1000 {
            theirs.write_all(&answer(sequence)).await?;
            tokio::time::sleep(every).await;
        }
        theirs.write_all(&END).await?;
        // Our own half is read by nobody.
        std::future::pending::<std::io::Result<()>>().await
    });
    ours
}

async fn ask(replayer: &Replayer, stream: tokio::io::DuplexStream) -> Result<(), ReplayError> {
    let (limits, budget) = (replayer.limits, replayer.receiving.clone());
    let kind = SocketType::Dealer;
    let opening = Connection::open(stream, kind, limits, budget, replayer.timeout);
    let mut connection = opening.await.unwrap();
    replayer.ask(&mut connection, &publisher(), ORDER).await
}

#[tokio::test(start_paused = true)]
async fn a_drip_does_not_keep_its_slot() {
    let (replayer, mut told) = replayer(1 << 20, Duration::from_secs(5));
    let stream = slow(Duration::from_secs(1)).await;
    let error = ask(&replayer, stream).await.unwrap_err();
    assert!(matches!(error, ReplayError::Silence(_)));
    let mut brought = 0;
    while told.try_recv().is_ok() {
        brought += 1;
    }
    assert!((2..10).contains(&brought), "{brought}");
}

#[tokio::test(start_paused = true)]
async fn what_replays_bring_is_bounded_in_bytes() {
    // Four messages of a KiB at most each.
    let (replayer, mut told) = replayer(4096, Duration::from_secs(5));
    let stream = slow(Duration::ZERO).await;
    let mut asking = Box::pin(ask(&replayer, stream));
    // Far longer than the engine may be silent: waiting here is not its fault.
    let wait = tokio::time::timeout(Duration::from_secs(600), asking.as_mut());
    assert!(wait.await.is_err());
    assert_eq!(told.len(), 4);
    drop(told.recv().await);
    let wait = tokio::time::timeout(Duration::from_secs(1), asking.as_mut());
    assert!(wait.await.is_err());
    assert_eq!(told.len(), 4);
}
