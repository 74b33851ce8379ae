//! What an answer tells its caller besides numbers.

use proto_api::limits;

/// A bounded list without repetitions.
#[derive(Debug, Default)]
pub(crate) struct Warnings {
    texts: Vec<String>,
}

impl Warnings {
    /// Adds a warning, unless it is there or there is no more room.
    pub(crate) fn push(&mut self, text: impl Into<String>) {
        let text = text.into();
        if self.texts.len() < limits::WARNINGS && !self.texts.contains(&text) {
            self.texts.push(text);
        }
    }

    pub(crate) fn into_texts(self) -> Vec<String> {
        self.texts
    }
}
