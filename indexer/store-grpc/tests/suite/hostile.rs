//! Bytes from anybody.

use bytes::Bytes;
use indexer_store::IndexWriter;
use proto_api::v1::store_client::StoreClient;
use proto_api::{AppendRequest, StoreFailure};
use tonic::Code;

use super::batch::stored;
use super::node::{Node, embedded, remote};

/// A message within a message.
fn nested(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag << 3 | 2];
    let mut length = body.len();
    while length >= 0x80 {
        bytes.push(length as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
    bytes.extend_from_slice(body);
    bytes
}

/// An append whose first message has this change.
fn with_change(change: &[u8]) -> Vec<u8> {
    let publisher = nested(1, &[nested(1, b"c"), nested(2, b"a")].concat());
    let message = nested(4, &nested(4, change));
    nested(1, &nested(1, &[publisher, message].concat()))
}

#[tokio::test]
async fn what_is_no_batch_is_told_by_field_and_harms_nobody() {
    let store = embedded();
    let node = Node::of(&store).await;
    let mut client = StoreClient::connect(format!("http://{}", node.address))
        .await
        .expect("connects");
    let change = "commands[0].events.messages[0].changes[0]";
    let in_change = |rest: &str| format!("{change}.{rest}");
    let cases: Vec<(Vec<u8>, String)> = vec![
        (vec![0xff; 100], "batch".to_owned()),
        (nested(1, b""), "commands[0].command".to_owned()),
        (vec![0x0a, 0x7f, 0], "batch".to_owned()),
        (vec![0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f], "batch".to_owned()),
        (
            nested(1, &nested(1, b"")),
            "commands[0].events.publisher".to_owned(),
        ),
        (
            nested(1, &nested(1, &nested(1, &nested(1, b"no spaces")))),
            "commands[0].events.publisher".to_owned(),
        ),
        (with_change(b""), in_change("change")),
        (
            with_change(&nested(1, b"\x08\x80\x80\x04")),
            in_change("stored.space"),
        ),
        (
            with_change(&nested(1, b"\x10\x09")),
            in_change("stored.medium"),
        ),
        (with_change(&nested(3, b"")), in_change("removed.medium")),
        (
            with_change(&nested(
                1,
                &[b"\x10\x01", &nested(5, &[0; 15])[..]].concat(),
            )),
            in_change("stored.hashes"),
        ),
        (
            with_change(&nested(
                1,
                &[b"\x10\x01", &nested(5, &[0; 16])[..]].concat(),
            )),
            in_change("stored.locals"),
        ),
        (
            with_change(&nested(4, b"\x08\x07")),
            in_change("cleared.medium"),
        ),
        (
            with_change(&[nested(6, b""), nested(6, b"")].concat()),
            in_change("change"),
        ),
    ];
    for (bytes, field) in cases {
        let request = AppendRequest::from_bytes(Bytes::from(bytes.clone()));
        let status = client.append(request).await.expect_err(&field);
        assert_eq!(
            status.code(),
            Code::InvalidArgument,
            "{bytes:02x?}: {status}"
        );
        let StoreFailure::Invalid { field: told, .. } = StoreFailure::from(&status) else {
            panic!("{status} is not invalid");
        };
        assert_eq!(told.as_deref(), Some(field.as_str()), "{status}");
        assert!(status.message().starts_with("invalid request"), "{status}");
    }
    assert_eq!(store.stats().batches, 0);
    let remote = remote(&[node.address()]);
    remote
        .append(&stored(1, 0, 1))
        .await
        .expect("the server goes on");
}

#[tokio::test]
async fn what_swells_in_memory_is_refused_as_too_large() {
    let store = embedded();
    let node = Node::of(&store).await;
    let mut client = StoreClient::connect(format!("http://{}", node.address))
        .await
        .expect("connects");
    // Four million empty messages: 8 MB on the wire, hundreds in memory.
    let publisher = nested(1, &[nested(1, b"c"), nested(2, b"a")].concat());
    let messages = [0x22, 0x00].repeat(4 << 20 | 1 << 10);
    let swollen = nested(1, &nested(1, &[publisher, messages].concat()));
    assert!(swollen.len() > 8 << 20);
    let status = client
        .append(AppendRequest::from_bytes(swollen.into()))
        .await
        .expect_err("beyond the server's limit");
    assert_eq!(status.code(), Code::OutOfRange, "{status}");
    let publisher = nested(1, &[nested(1, b"c"), nested(2, b"a")].concat());
    let messages = [0x22, 0x00].repeat(3 << 20);
    let swollen = nested(1, &nested(1, &[publisher, messages].concat()));
    let status = client
        .append(AppendRequest::from_bytes(swollen.into()))
        .await
        .expect_err("too much in memory");
    let failure = StoreFailure::from(&status);
    assert!(matches!(failure, StoreFailure::TooLarge { .. }), "{status}");
    assert_eq!(store.stats().batches, 0);
}
