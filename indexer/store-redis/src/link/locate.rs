//! Finding the server: the one given, the sentinels' master, the slot's owner.

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisConnectionInfo, Value};

use super::tls;
use crate::error::LinkError;
use crate::keys::Keys;
use crate::options::{Login, RedisOptions, Topology, split_address};

/// Connects to the server that takes writes for the prefix.
pub(super) async fn master(
    options: &RedisOptions,
    config: &AsyncConnectionConfig,
) -> Result<MultiplexedConnection, LinkError> {
    match &options.topology {
        Topology::Standalone { address } => data_node(options, config, address).await,
        Topology::Sentinel { addresses, master } => {
            let ask = |sentinel| named_by_sentinel(options, config, sentinel, master);
            data_node(options, config, &first_of(addresses, ask).await?).await
        }
        Topology::Cluster { addresses } => {
            let ask = |seed| owner_of_slot(options, config, seed);
            data_node(options, config, &first_of(addresses, ask).await?).await
        }
    }
}

/// Asks one after another, and gives the first answer, or the last error.
async fn first_of<'a, F>(
    addresses: &'a [String],
    ask: impl Fn(&'a str) -> F,
) -> Result<String, LinkError>
where
    F: Future<Output = Result<String, LinkError>>,
{
    let mut last = LinkError::Redis("no address is given".to_owned());
    for address in addresses {
        match ask(address).await {
            Ok(found) => return Ok(found),
            Err(error) => last = LinkError::Redis(format!("{address}: {error}")),
        }
    }
    Err(last)
}

async fn named_by_sentinel(
    options: &RedisOptions,
    config: &AsyncConnectionConfig,
    sentinel: &str,
    master: &str,
) -> Result<String, LinkError> {
    let mut connection = open(options, config, sentinel, &options.sentinel_login, 0).await?;
    let mut command = redis::cmd("SENTINEL");
    command.arg("get-master-addr-by-name").arg(master);
    let named: Option<(String, u16)> = command.query_async(&mut connection).await?;
    let (host, port) =
        named.ok_or_else(|| LinkError::Redis(format!("knows no master named {master:?}")))?;
    Ok(joined(&host, port))
}

async fn owner_of_slot(
    options: &RedisOptions,
    config: &AsyncConnectionConfig,
    seed: &str,
) -> Result<String, LinkError> {
    let mut connection = open(options, config, seed, &options.login, 0).await?;
    let mut command = redis::cmd("CLUSTER");
    command
        .arg("KEYSLOT")
        .arg(Keys::new(&options.prefix).meta());
    let slot: i64 = command.query_async(&mut connection).await?;
    let slots: Vec<Vec<Value>> = redis::cmd("CLUSTER")
        .arg("SLOTS")
        .query_async(&mut connection)
        .await?;
    for range in slots {
        if let [Value::Int(first), Value::Int(last), Value::Array(node), ..] = &range[..]
            && (*first..=*last).contains(&slot)
        {
            return node_address(node, seed).ok_or(LinkError::Form {
                what: "the answer to CLUSTER SLOTS",
            });
        }
    }
    Err(LinkError::Redis(format!("no node serves slot {slot}")))
}

/// `host:port` of a node; an empty host is the one that was asked.
fn node_address(node: &[Value], seed: &str) -> Option<String> {
    let [host, Value::Int(port), ..] = node else {
        return None;
    };
    let host = match host {
        Value::BulkString(host) if !host.is_empty() => String::from_utf8(host.clone()).ok()?,
        _ => split_address(seed)?.0,
    };
    Some(joined(&host, u16::try_from(*port).ok()?))
}

fn joined(host: &str, port: u16) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

async fn data_node(
    options: &RedisOptions,
    config: &AsyncConnectionConfig,
    address: &str,
) -> Result<MultiplexedConnection, LinkError> {
    let mut connection = open(options, config, address, &options.login, options.database).await?;
    let role: Vec<Value> = redis::cmd("ROLE").query_async(&mut connection).await?;
    match role.first() {
        Some(Value::BulkString(role)) if role == b"master" => Ok(connection),
        _ => Err(LinkError::Redis(format!("{address} is not a master"))),
    }
}

async fn open(
    options: &RedisOptions,
    config: &AsyncConnectionConfig,
    address: &str,
    login: &Login,
    database: u16,
) -> Result<MultiplexedConnection, LinkError> {
    let mut settings = RedisConnectionInfo::default().set_db(i64::from(database));
    if let Some(username) = &login.username {
        settings = settings.set_username(username);
    }
    if let Some(password) = &login.password {
        settings = settings.set_password(password.expose());
    }
    let client = tls::client(options, address, settings)?;
    let opened = client.get_multiplexed_async_connection_with_config(config);
    opened
        .await
        .map_err(|error| LinkError::Redis(format!("{address}: {}", LinkError::from(error))))
}
