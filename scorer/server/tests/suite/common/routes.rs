//! Routes, appended by hand, and the two requests of the documented check.

use proto_model::{BlockKey, Command, Publisher, RouteKind, RouteRecorded, Timestamp};
use serde_json::json;

use super::World;

/// What a route says, apart from where it leads.
pub(crate) struct Route {
    kind: RouteKind,
    keys: Vec<BlockKey>,
}

impl Route {
    /// When speculative routes of these tests expire, in microseconds.
    pub(crate) const EXPIRES_US: u64 = 5_000_000;

    pub(crate) fn speculative(keys: Vec<BlockKey>) -> Self {
        let kind = RouteKind::Speculative;
        Self { kind, keys }
    }

    pub(crate) fn estimated(keys: Vec<BlockKey>) -> Self {
        let kind = RouteKind::Estimated;
        Self { kind, keys }
    }
}

impl World {
    /// Appends a route, and waits until answers count it.
    pub(crate) async fn record(&self, publisher: &Publisher, route: Route) {
        let expires_at = match route.kind {
            RouteKind::Speculative => Some(Timestamp(Route::EXPIRES_US)),
            RouteKind::Estimated => None,
        };
        let outcome = self.append(Command::RouteRecorded(RouteRecorded {
            publisher: publisher.clone(),
            kind: route.kind,
            recorded_at: Timestamp(1_000_000),
            expires_at,
            capacity: 31_250,
            keys: route.keys,
        }));
        assert_eq!(outcome.await.refused, None);
    }
}

/// One message of a conversation: role and content.
pub(crate) type Said<'a> = (&'a str, &'a str);

const FIRST: &str = "Hi, here's some system prompt: hi hi hi hi hi hi hi hi hi hi.For user 3, here are some other context: hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi.I would like to test your intelligence. for this purpose I would like you to play zork. you can interact with the game by typing in commands. I will forward these commands to the game and type in any response. are you ready?";

pub(crate) const ROUND_1: &[Said<'static>] = &[("user", FIRST)];

pub(crate) const ROUND_2: &[Said<'static>] = &[
    ("user", FIRST),
    (
        "assistant",
        "Hi there! It looks like you're setting up a fun test. I'm ready to play Zork! You can",
    ),
    (
        "user",
        "% zork\nWelcome to Dungeon. This version created 11-MAR-91.\nYou are in an open field west of a big white house with a boarded\nfront door.\nThere is a small mailbox here.\n>",
    ),
    ("assistant", "Great!"),
    ("user", "Opening the mailbox reveals:\n A leaflet.\n>"),
];

/// A chat request's body.
pub(crate) fn chat(said: &[Said<'_>]) -> String {
    let message = |(role, content): &Said<'_>| json!({"role": role, "content": content});
    let messages: Vec<_> = said.iter().map(message).collect();
    json!({"model": "Qwen3-32B", "messages": messages, "max_tokens": 24, "stream": true})
        .to_string()
}
