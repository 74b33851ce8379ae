//! Questions of the ShareGPT data, as the documented preparation writes them.

use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// The longest file.
const FILE_BYTES: u64 = 4 << 30;

/// Conversations that have enough rounds.
#[derive(Debug, Clone)]
pub struct Conversations(Vec<Conversation>);

#[derive(Debug, Clone, Deserialize)]
struct Conversation {
    num_round: u64,
    conversations: Vec<Message>,
}

#[derive(Debug, Clone, Deserialize)]
struct Message {
    value: String,
    #[serde(default)]
    num_tokens: u32,
}

/// Data that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ShareGptError {
    /// The file is not there.
    #[error("{file} cannot be read: prepare the data, or name it with --sharegpt-file")]
    Read {
        /// Which.
        file: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is not prepared.
    #[error(
        "{file} is not a list of conversations with num_round, value and num_tokens: prepare the data first"
    )]
    Format {
        /// Which.
        file: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// No conversation is long enough.
    #[error("{file} has no conversation of more than {messages} messages: give fewer --num-rounds")]
    TooShort {
        /// Which.
        file: PathBuf,
        /// Two of each round.
        messages: u64,
    },
}

impl Conversations {
    /// Reads those that have more messages than `rounds` rounds need.
    ///
    /// # Errors
    /// If the file cannot be read, is another one, or has none.
    pub fn read(file: &Path, rounds: u32) -> Result<Self, ShareGptError> {
        let named = || file.to_owned();
        let open = std::fs::File::open(file).map_err(|source| ShareGptError::Read {
            file: named(),
            source,
        })?;
        let reader = std::io::BufReader::new(open).take(FILE_BYTES);
        let read: Result<Vec<Conversation>, _> = serde_json::from_reader(reader);
        let mut all = read.map_err(|source| ShareGptError::Format {
            file: named(),
            source,
        })?;
        let messages = 2 * u64::from(rounds);
        all.retain(|one| {
            // One more where the other side begins.
            one.num_round > messages && one.conversations.len() as u64 > messages
        });
        if all.is_empty() {
            return Err(ShareGptError::TooShort {
                file: named(),
                messages,
            });
        }
        Ok(Self(all))
    }

    /// The question of a round, from 1, and the tokens of its answer. Users share
    /// the conversations when there are more of them.
    pub(crate) fn question(&self, user: u32, round: u32) -> (&str, u32) {
        let one = &self.0[user as usize % self.0.len()];
        // With an odd number of messages the model's side begins.
        let place = 2 * (round as usize - 1) + (one.num_round % 2) as usize;
        let answer = one.conversations.get(place + 1);
        let value = one.conversations.get(place).map_or("", |said| &said.value);
        (
            value,
            answer.map_or(u32::MAX, |said| said.num_tokens.max(1)),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(num_round: usize) -> tempfile::NamedTempFile {
        let said = |n: usize| serde_json::json!({"value": format!("m{n}"), "num_tokens": 10 + n});
        let all: Vec<_> = (0..num_round).map(said).collect();
        let file = tempfile::NamedTempFile::new().unwrap();
        let json = serde_json::json!([{"num_round": num_round, "conversations": all}]);
        std::fs::write(file.path(), json.to_string()).unwrap();
        file
    }

    #[test]
    fn questions_are_the_users_side() {
        let even = Conversations::read(file(6).path(), 2).unwrap();
        assert_eq!(even.question(0, 1), ("m0", 11));
        assert_eq!(even.question(9, 2), ("m2", 13));
        let odd = Conversations::read(file(7).path(), 3).unwrap();
        assert_eq!(odd.question(0, 1), ("m1", 12));
        assert_eq!(odd.question(0, 3), ("m5", 16));
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let short = Conversations::read(file(6).path(), 3).unwrap_err();
        assert!(matches!(short, ShareGptError::TooShort { messages: 6, .. }));
        let nowhere = Conversations::read(Path::new("nowhere.json"), 3).unwrap_err();
        assert!(nowhere.to_string().contains("--sharegpt-file"));
        let other = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(other.path(), "[{}]").unwrap();
        let other = Conversations::read(other.path(), 3).unwrap_err();
        assert!(matches!(other, ShareGptError::Format { .. }));
    }
}
