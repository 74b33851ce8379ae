//! What a user says.

use serde::Serialize;

/// Bytes of an answer that are kept for the next round.
pub(crate) const ANSWER_BYTES: usize = 1 << 20;

#[derive(Debug, Clone, Serialize)]
struct Message {
    role: &'static str,
    content: String,
}

/// A conversation so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct History(Vec<Message>);

/// A request's body.
#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    messages: &'a [Message],
    temperature: f32,
    stream: bool,
    max_tokens: u32,
    stream_options: StreamOptions,
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

impl History {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn ask(&mut self, content: String) {
        self.0.push(Message {
            role: "user",
            content,
        });
    }

    pub(crate) fn answered(&mut self, content: String) {
        self.0.push(Message {
            role: "assistant",
            content,
        });
    }

    /// The last question was not answered: the next one takes its place.
    pub(crate) fn take_back(&mut self) {
        self.0.pop();
    }

    pub(crate) fn body(&self, model: &str, max_tokens: u32) -> Vec<u8> {
        let body = Body {
            model,
            messages: &self.0,
            temperature: 0.0,
            stream: true,
            max_tokens,
            stream_options: StreamOptions {
                include_usage: true,
            },
        };
        serde_json::to_vec(&body).expect("texts and numbers")
    }
}

/// What stands before a user's first question.
pub(crate) fn introduction(user: u32, system_words: u32, history_words: u32) -> String {
    format!(
        "Hi, here's some system prompt: {}.For user {user}, here are some other context: {}.",
        words(system_words),
        words(history_words)
    )
}

/// The question of a round, from 1.
pub(crate) fn question(round: u32) -> String {
    format!("Here's question #{round}: can you tell me a new long story with a happy ending?")
}

/// A request that does not count.
pub(crate) fn warm_up(nth: u32) -> String {
    format!(
        "WARMUP: Hi, I'm user {nth}. Here are some text: {} .",
        words(100)
    )
}

fn words(count: u32) -> String {
    vec!["hi"; count as usize].join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_message_is_the_documented_one() {
        let text = introduction(3, 2, 3);
        assert_eq!(
            text,
            "Hi, here's some system prompt: hi hi.For user 3, here are some other context: hi hi hi."
        );
    }

    #[test]
    fn a_body_asks_for_a_stream_with_usage() {
        let mut history = History::default();
        history.ask("a".to_owned());
        history.answered("b".to_owned());
        history.ask("c".to_owned());
        history.take_back();
        let body: serde_json::Value = serde_json::from_slice(&history.body("m", 7)).unwrap();
        assert_eq!(
            body,
            serde_json::json!({
                "model": "m", "temperature": 0.0, "stream": true, "max_tokens": 7,
                "stream_options": {"include_usage": true},
                "messages": [
                    {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"},
                ],
            })
        );
    }
}
