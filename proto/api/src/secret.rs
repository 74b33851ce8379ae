//! `Debug` for messages that hold a user's text: sizes, never content.

use std::fmt;

use crate::llmd::GetPodScoresRequest;
use crate::v1::score_request::Input as WireInput;
use crate::v1::{ScoreRequest, TokenIds};
use crate::{Input, ScoreQuery};

impl fmt::Debug for ScoreRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScoreRequest")
            .field("request_id", &self.request_id)
            .field("model", &self.model)
            .field("input", &self.input)
            .field("lora", &self.lora)
            .field("salted", &self.cache_salt.is_some())
            .field("candidates", &self.candidates.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for WireInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "Text({} bytes)", text.len()),
            Self::Chat(body) => write!(f, "Chat({} bytes)", body.len()),
            Self::Completion(body) => write!(f, "Completion({} bytes)", body.len()),
            Self::Tokens(tokens) => tokens.fmt(f),
            Self::Keys(keys) => write!(f, "Keys({})", keys.values.len()),
            Self::TokenIdsLe(bytes) => write!(f, "TokenIdsLe({} bytes)", bytes.len()),
        }
    }
}

impl fmt::Debug for TokenIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenIds({})", self.ids.len())
    }
}

impl fmt::Debug for GetPodScoresRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GetPodScoresRequest")
            .field("model_name", &self.model_name)
            .field("prompt_bytes", &self.prompt.len())
            .field("pod_identifiers", &self.pod_identifiers.len())
            .finish()
    }
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "Text({} bytes)", text.len()),
            Self::Chat(body) => write!(f, "Chat({} bytes)", body.len()),
            Self::Completion(body) => write!(f, "Completion({} bytes)", body.len()),
            Self::Tokens(tokens) => write!(f, "Tokens({})", tokens.len()),
            Self::Keys(keys) => write!(f, "Keys({})", keys.values.len()),
        }
    }
}

impl fmt::Debug for ScoreQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScoreQuery")
            .field("request_id", &self.request_id)
            .field("model", &self.model)
            .field("input", &self.input)
            .field("lora", &self.lora)
            .field("salt", &self.salt)
            .field("candidates", &self.candidates)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_message_prints_a_prompt_or_a_salt() {
        let wire = ScoreRequest {
            input: Some(WireInput::Text("hush".to_owned())),
            cache_salt: Some("hush".to_owned()),
            ..Default::default()
        };
        let pods = GetPodScoresRequest {
            prompt: "hush".to_owned(),
            ..Default::default()
        };
        let query = ScoreQuery::new("m", Input::Text("hush".to_owned()));
        for text in [
            format!("{wire:?}"),
            format!("{pods:?}"),
            format!("{query:?}"),
        ] {
            assert!(!text.contains("hush"), "{text}");
        }
    }
}
