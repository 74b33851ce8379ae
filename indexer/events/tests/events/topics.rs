//! Topics, right and wrong.

use indexer_events::{Topic, TopicError};
use proto_model::EndpointError;

#[test]
fn endpoints() {
    for (topic, address, model) in [
        ("kv@10.0.0.5@Qwen3-32B", "10.0.0.5", "Qwen3-32B"),
        (
            "kv@10.0.0.5:8000@Qwen/Qwen3-32B",
            "10.0.0.5:8000",
            "Qwen/Qwen3-32B",
        ),
        ("kv@vllm-0.vllm.svc:8000@m", "vllm-0.vllm.svc:8000", "m"),
        ("kv@[fd00::1]:8000@m", "[fd00::1]:8000", "m"),
        ("kv@[fd00::1]@m", "[fd00::1]", "m"),
        ("kv@fd00::1@m", "fd00::1", "m"),
        ("kv@[fe80::1%eth0]:1@m", "[fe80::1%eth0]:1", "m"),
        ("kv@h@model@revision", "h", "model@revision"),
        ("kv@h@模型", "h", "模型"),
    ] {
        assert_eq!(Topic::parse(topic), Ok(Topic::Endpoint { address, model }));
    }
}

#[test]
fn empty_topic_names_nobody() {
    assert_eq!(Topic::parse(""), Ok(Topic::Unnamed));
}

#[test]
fn each_wrong_part_is_named() {
    let empty = EndpointError::Empty { part: "address" };
    let space = EndpointError::Character {
        part: "address",
        found: ' ',
    };
    let long_model = format!("kv@h@{}", "m".repeat(513));
    for (topic, expected) in [
        (
            "kv-events",
            TopicError::Prefix {
                found: "kv-events".into(),
            },
        ),
        (
            "KV@h@m",
            TopicError::Prefix {
                found: "KV@h@m".into(),
            },
        ),
        (
            "kv@h",
            TopicError::ModelMissing {
                address: "h".into(),
            },
        ),
        ("kv@h@", TopicError::ModelEmpty),
        (&long_model, TopicError::ModelTooLong { bytes: 513 }),
        ("kv@h@a\nb", TopicError::ModelCharacter { found: '\n' }),
        ("kv@@m", TopicError::Address(empty.clone())),
        ("kv@:80@m", TopicError::Address(empty)),
        ("kv@a b@m", TopicError::Address(space)),
        ("kv@[fd00::1@m", TopicError::Brackets),
        ("kv@fd00::1]@m", TopicError::Brackets),
        ("kv@[fd00::1]80@m", TopicError::Brackets),
        (
            "kv@[10.0.0.1]:80@m",
            TopicError::Ipv6 {
                found: "10.0.0.1".into(),
            },
        ),
        (
            "kv@1:2:3@m",
            TopicError::Ipv6 {
                found: "1:2:3".into(),
            },
        ),
        (
            "kv@h:@m",
            TopicError::Port {
                found: String::new(),
            },
        ),
        ("kv@h:0@m", TopicError::Port { found: "0".into() }),
        (
            "kv@h:65536@m",
            TopicError::Port {
                found: "65536".into(),
            },
        ),
        ("kv@[fd00::1]:x@m", TopicError::Port { found: "x".into() }),
    ] {
        assert_eq!(Topic::parse(topic), Err(expected), "{topic}");
    }
}

#[test]
fn errors_say_how_to_mend_the_topic() {
    let message = Topic::parse("vllm").unwrap_err().to_string();
    assert!(message.contains("kv@<ip[:port]>@<model>"), "{message}");
}
