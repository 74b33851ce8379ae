//! Bodies that no client should send.

use anyhow::Result;
use tokio::task::JoinSet;

use super::Statuses;
use crate::world::{MODEL, World, raw, said, text};
use loadtest_gateway::Client;

/// One body, sent some times at once.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    body: Vec<u8>,
    times: usize,
    /// Statuses that it may be answered with.
    pub(crate) allowed: &'static [u16],
}

/// Each of them.
pub(crate) fn all() -> Vec<Case> {
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    let objects = "{\"a\":".repeat(100_000) + "1" + &"}".repeat(100_000);
    let digits = "9".repeat(100_000);
    let chat = |extra: &str| format!("{{\"model\":\"{MODEL}\",\"messages\":[],{extra}}}");
    let refused: &[u16] = &[400];
    // Engines judge what the picker need not understand.
    let either: &[u16] = &[200, 400];
    let passes: &[u16] = &[200];
    let mut cases = vec![
        case(
            "lists 100,000 deep",
            chat(&format!("\"x\":{deep}")),
            refused,
        ),
        case(
            "objects 100,000 deep",
            chat(&format!("\"x\":{objects}")),
            refused,
        ),
        case("only brackets", "[".repeat(100_000), refused),
        case("a list", "[1,2,3]".to_owned(), refused),
        case(
            "a model that is a number",
            "{\"model\":7}".to_owned(),
            refused,
        ),
        case(
            "a model that is a list",
            "{\"model\":[\"m\"]}".to_owned(),
            refused,
        ),
        case("no model", "{\"messages\":[]}".to_owned(), refused),
        case("cut short", chat("\"x\":\"never ended"), refused),
        case("two documents", format!("{0}{0}", chat("\"x\":1")), refused),
        case(
            "text, no JSON",
            "GET / HTTP/1.1\r\n\r\n".to_owned(),
            refused,
        ),
        case(
            "messages that are a number",
            format!("{{\"model\":\"{MODEL}\",\"messages\":7}}"),
            either,
        ),
        case(
            "a number of 100,000 digits",
            chat(&format!("\"max_tokens\":{digits}")),
            either,
        ),
        case(
            "a number beyond all",
            chat("\"temperature\":1e999999"),
            either,
        ),
        case(
            "the model twice",
            format!("{{\"model\":\"a\",\"model\":\"{MODEL}\",\"messages\":[]}}"),
            either,
        ),
        case(
            "a model of 1 MB",
            format!("{{\"model\":\"{}\",\"messages\":[]}}", "m".repeat(1 << 20)),
            either,
        ),
        case(
            "escapes only",
            said(&"\u{1}".repeat(300_000)).to_string(),
            passes,
        ),
        case(
            "200,000 tokens",
            said(&text(200_000, 1)).to_string(),
            passes,
        ),
        case("2 MB", said(&"word ".repeat(400_000)).to_string(), passes),
        case(
            "12 MB",
            said(&"word ".repeat(2_400_000)).to_string(),
            passes,
        ),
        case(
            "20 MB",
            said(&"word ".repeat(4_000_000)).to_string(),
            &[413],
        ),
    ];
    cases.push(Case {
        name: "invalid UTF-8",
        body: b"{\"model\":\"m\xff\xfe\",\"messages\":[]}".to_vec(),
        times: 8,
        allowed: refused,
    });
    cases
}

fn case(name: &'static str, body: String, allowed: &'static [u16]) -> Case {
    let times = if body.len() > 1 << 20 { 4 } else { 8 };
    Case {
        name,
        body: body.into_bytes(),
        times,
        allowed,
    }
}

impl Case {
    pub(crate) async fn send(&self, world: &World) -> Result<Statuses> {
        let address = world.gateway.envoy.inference();
        let mut asking = JoinSet::new();
        for _ in 0..self.times {
            let request = raw(self.body.clone());
            asking.spawn(async move { Client::once(address, request).await });
        }
        let mut statuses = Statuses::new();
        for answer in asking.join_all().await {
            let status = answer.map_or(0, |answer| answer.status.as_u16());
            *statuses.entry(status).or_default() += 1;
        }
        Ok(statuses)
    }
}
