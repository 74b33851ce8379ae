//! What the users are like.

/// The load; the documented tool's flags.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Users at a time that are meant.
    pub users: u32,
    /// Rounds of each user.
    pub rounds: u32,
    /// Requests per second of all users together.
    pub qps: f64,
    /// Words that all users' first messages share.
    pub system_words: u32,
    /// Words that every user's first message has for itself.
    pub history_words: u32,
    /// Tokens of an answer, at most.
    pub answer_tokens: u32,
    /// The model's name in requests.
    pub model: String,
    /// The first user's number less one.
    pub first_user: u32,
    /// Whether requests have the header `x-user-id`.
    pub user_header: bool,
    /// Whether ten requests go ahead that do not count.
    pub warm_up: bool,
}

/// Options that make no load.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum OptionsError {
    /// A number outside its range.
    #[error("--{flag} is {value}: give {least} to {most}")]
    OutOfRange {
        /// Which.
        flag: &'static str,
        /// What it was set to.
        value: f64,
        /// Lower bound.
        least: f64,
        /// Upper bound.
        most: f64,
    },
    /// No server takes a model without a name.
    #[error("--model is empty: give the name that the server lists at /v1/models")]
    NoModel,
}

impl Options {
    /// Checks the ranges.
    ///
    /// # Errors
    /// Names the first flag that is wrong.
    pub fn validate(&self) -> Result<(), OptionsError> {
        let fields = [
            ("num-users", f64::from(self.users), 1.0, 100_000.0),
            ("num-rounds", f64::from(self.rounds), 1.0, 10_000.0),
            ("qps", self.qps, 0.000_1, 100_000.0),
            (
                "shared-system-prompt",
                f64::from(self.system_words),
                0.0,
                1e6,
            ),
            (
                "user-history-prompt",
                f64::from(self.history_words),
                0.0,
                1e6,
            ),
            ("answer-len", f64::from(self.answer_tokens), 1.0, 1e6),
            ("init-user-id", f64::from(self.first_user), 0.0, 1e9),
        ];
        for (flag, value, least, most) in fields {
            if !(least..=most).contains(&value) {
                return Err(OptionsError::OutOfRange {
                    flag,
                    value,
                    least,
                    most,
                });
            }
        }
        if self.model.is_empty() {
            return Err(OptionsError::NoModel);
        }
        Ok(())
    }
}
