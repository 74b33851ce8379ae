//! Servers that are not fit, and passwords.

use indexer_store_redis::{ConnectError, Login, RedisStore, Secret};

use crate::make::{append, one, publisher};
use crate::support::{Server, connect};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_may_throw_keys_away_is_refused() {
    let policy = ["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"];
    let server = Server::with(&policy).await;
    let error = RedisStore::connect(server.options()).await;
    let error = error.expect_err("it may evict");
    assert!(matches!(error, ConnectError::Eviction { .. }), "{error}");
    assert!(!error.retryable());
    let set = ["CONFIG", "SET", "maxmemory-policy", "noeviction"];
    server.ask::<()>(&set).await;
    connect(server.options()).await;
}

/// A server without memory left refuses the batch whole, and takes it later.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_memory_takes_nothing_in_part() {
    use indexer_store::IndexWriter;
    let server = Server::start().await;
    let store = server.store().await;
    append(&store, &one(&publisher(1, 0), 0)).await;
    server.ask::<()>(&["CONFIG", "SET", "maxmemory", "1"]).await;
    let error = store.append(&one(&publisher(1, 0), 1)).await;
    let error = error.expect_err("there is no memory");
    assert!(
        error.retryable() && error.to_string().contains("OOM"),
        "{error}"
    );
    server.ask::<()>(&["CONFIG", "SET", "maxmemory", "0"]).await;
    let next = append(&store, &one(&publisher(1, 0), 1)).await;
    assert_eq!(
        (next.outcomes[0].applied, next.outcomes[0].duplicates),
        (1, 0)
    );
}

/// The password is needed, and no error shows it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_is_used_and_not_shown() {
    let server = Server::start().await;
    let set = ["CONFIG", "SET", "requirepass", "opensesame"];
    server.ask::<()>(&set).await;
    let mut options = server.options();
    let error = RedisStore::connect(options.clone()).await;
    error.expect_err("no password was given");
    options.login = Login {
        username: None,
        password: Some(Secret::new("openbarley")),
    };
    let error = RedisStore::connect(options.clone()).await;
    let error = error.expect_err("it is another").to_string();
    assert!(!error.contains("openbarley"), "{error}");
    options.login.password = Some(Secret::new("opensesame"));
    assert!(!format!("{options:?}").contains("opensesame"));
    let store = connect(options).await;
    append(&store, &one(&publisher(1, 0), 0)).await;
}

/// Keys of a history without its head are not guessed at.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_without_its_meta_key_is_damage() {
    let server = Server::start().await;
    let store = server.store().await;
    append(&store, &one(&publisher(1, 0), 0)).await;
    server.ask::<()>(&["DEL", "{test}:meta"]).await;
    let error = RedisStore::connect(server.options()).await;
    let error = error.expect_err("the head is gone");
    assert!(matches!(error, ConnectError::Damaged { .. }), "{error}");
}
