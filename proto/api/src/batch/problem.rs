//! Each way in which a batch can be invalid.

use std::fmt::Write;

use proto_model::EndpointError;

use crate::limits;

/// Why the bytes of an append are no batch that can be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBatch {
    /// A field is not as the contract has it.
    #[error("{field}: {problem}")]
    Field {
        /// Which, as a path: `commands[0].events.messages[2].sequence`.
        field: String,
        /// What is wrong with it.
        problem: BatchProblem,
    },
    /// Read, the batch would take more memory than it may. Split it.
    #[error("the batch takes over {limit} bytes of memory when it is read; split it")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
}

/// What is wrong with a field of a batch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BatchProblem {
    /// The message ends within the field, or its bytes are no protobuf.
    #[error("not protobuf: {0}")]
    NotProtobuf(&'static str),
    /// The field came as something else than the contract says.
    #[error("of another type than store.proto says")]
    WrongType,
    /// Not set; a newer writer may have set something that is not known here.
    #[error("missing, or of a kind that this version does not know")]
    Missing,
    /// One of several alternatives was set twice.
    #[error("set more than once")]
    Twice,
    /// A value of an enum that this version does not know.
    #[error("unknown value {0}")]
    Unknown(u64),
    /// A number beyond the field's range.
    #[error("{value} is too large; at most {max} is allowed")]
    TooLarge {
        /// What was sent.
        value: u64,
        /// The most that is allowed.
        max: u64,
    },
    /// A text or byte string of a wrong length.
    #[error("{found} bytes; {expected} are expected")]
    Length {
        /// What was sent.
        found: usize,
        /// What would be right.
        expected: &'static str,
    },
    /// More elements than a list may have.
    #[error("{found} elements; at most {max} are allowed")]
    TooMany {
        /// How many there are.
        found: usize,
        /// The most that are allowed.
        max: usize,
    },
    /// A name that is too long.
    #[error("{0} bytes; at most {max} are allowed", max = limits::STORED_NAME_BYTES)]
    NameTooLong(usize),
    /// A text that is not UTF-8.
    #[error("not UTF-8")]
    NotText,
    /// The endpoint is malformed.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// Two lists that belong together differ in length.
    #[error("{found} elements; as many as hashes are expected, {expected}")]
    Count {
        /// How many there are.
        found: usize,
        /// How many hashes there are.
        expected: usize,
    },
}

/// A problem on its way up to where the whole path is known.
#[derive(Debug)]
pub(super) enum Wrong {
    /// Steps of the path, innermost first.
    At(Vec<(&'static str, Option<usize>)>, BatchProblem),
    TooMuch,
}

impl From<BatchProblem> for Wrong {
    fn from(problem: BatchProblem) -> Self {
        Self::At(Vec::new(), problem)
    }
}

impl Wrong {
    /// In this field.
    #[cold]
    pub(super) fn in_field(self, name: &'static str) -> Self {
        self.within(name, None)
    }

    /// In this element of a repeated field.
    #[cold]
    pub(super) fn in_element(self, name: &'static str, index: usize) -> Self {
        self.within(name, Some(index))
    }

    fn within(mut self, name: &'static str, index: Option<usize>) -> Self {
        if let Self::At(path, _) = &mut self {
            path.push((name, index));
        }
        self
    }

    pub(super) fn whole(self, limit: usize) -> InvalidBatch {
        match self {
            Self::TooMuch => InvalidBatch::TooLarge { limit },
            Self::At(path, problem) => InvalidBatch::Field {
                field: spell(&path),
                problem,
            },
        }
    }
}

fn spell(path: &[(&'static str, Option<usize>)]) -> String {
    let mut text = String::new();
    for (name, index) in path.iter().rev() {
        if !text.is_empty() {
            text.push('.');
        }
        text.push_str(name);
        if let Some(index) = index {
            // Writing to a string cannot fail.
            let _ = write!(text, "[{index}]");
        }
    }
    if text.is_empty() {
        text.push_str("batch");
    }
    text
}
