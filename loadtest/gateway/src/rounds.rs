//! The two requests that users verify a picker with: the second one's messages
//! begin with the first one's.

use serde_json::{Value, json};

/// The first round, of a user with this number.
#[must_use]
pub fn round_one(model: &str, user: u32) -> Value {
    json!({
        "model": model, "max_tokens": 24, "stream": true,
        "stream_options": {"include_usage": true}, "temperature": 0,
        "messages": [first(user)],
    })
}

/// The second.
#[must_use]
pub fn round_two(model: &str, user: u32) -> Value {
    json!({
        "model": model, "max_tokens": 3, "stream": true,
        "stream_options": {"include_usage": true}, "temperature": 0,
        "messages": [
            first(user),
            {"role": "assistant", "content": "Hi there! It looks like you're setting up a fun test. I'm ready to play Zork! You can"},
            {"role": "user", "content": "% zork\nWelcome to Dungeon. This version created 11-MAR-91.\nYou are in an open field west of a big white house with a boarded\nfront door.\nThere is a small mailbox here.\n>"},
            {"role": "assistant", "content": "Great!"},
            {"role": "user", "content": "Opening the mailbox reveals:\n A leaflet.\n>"},
        ],
    })
}

fn first(user: u32) -> Value {
    let system = ["hi"; 10].join(" ");
    let context = ["hi"; 100].join(" ");
    let content = format!(
        "Hi, here's some system prompt: {system}.For user {user}, here are some other context: \
         {context}.I would like to test your intelligence. for this purpose I would like you to \
         play zork. you can interact with the game by typing in commands. I will forward these \
         commands to the game and type in any response. are you ready?"
    );
    json!({"role": "user", "content": content})
}
