use std::time::Duration;

use super::*;
use crate::{BindConfig, ConnectConfig, ModelConfig};

#[test]
fn a_bound_socket_is_enough() {
    let bind = vec![BindConfig::new("tcp://*:5557".parse().unwrap())];
    assert_eq!(
        IngestConfig {
            bind,
            ..IngestConfig::default()
        }
        .validate(),
        Ok(())
    );
}

#[test]
fn all_mistakes_come_at_once() {
    let mut bind = BindConfig::new("tcp://*:65535".parse().unwrap());
    bind.ranks = bind.ranks.saturating_add(1);
    let mut connect = ConnectConfig::new("tcp://*:1".parse().unwrap());
    connect.identity = Some(Identity {
        cluster: None,
        address: "a b".to_owned(),
        model: String::new(),
    });
    let mut model = ModelConfig::new("m");
    model.aliases = vec!["m".to_owned()];
    model.block_size = Some(0);
    let mut config = IngestConfig {
        bind: vec![bind],
        connect: vec![connect],
        cluster: "a/b".to_owned(),
        models: vec![model],
        ..IngestConfig::default()
    };
    config.backoff.initial = Duration::from_secs(60);
    config.bounds.queue_bytes = std::num::NonZeroUsize::MIN;
    let errors = config.validate().unwrap_err();
    let has = |text: &str| errors.iter().any(|error| error.to_string().contains(text));
    for text in [
        "bind[0].address",
        "connect[0].address is tcp://*:1",
        "connect[0].identity: ",
        "connect[0].identity.model is empty",
        "models[0].aliases \"m\"",
        "models[0].block_size",
        "backoff.initial",
        "bounds.message_bytes",
        "cluster",
    ] {
        assert!(has(text), "{text} not in {errors:#?}");
    }
    assert_eq!(errors.len(), 9);
    assert_eq!(
        IngestConfig::default().validate(),
        Err(vec![ConfigError::NoSockets])
    );
}

#[test]
fn ports_that_overlap_are_named() {
    let mut first = BindConfig::new("tcp://*:5557".parse().unwrap());
    first.ranks = first.ranks.saturating_add(1);
    let second = BindConfig::new("tcp://*:5558".parse().unwrap());
    let config = IngestConfig {
        bind: vec![first, second],
        ..IngestConfig::default()
    };
    let errors = config.validate().unwrap_err();
    assert!(
        matches!(&errors[..], [ConfigError::SameAddress { second, .. }]
        if second == "bind[1].address")
    );
}
