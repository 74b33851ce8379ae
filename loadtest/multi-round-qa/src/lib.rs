//! Users who hold conversations of many rounds with an OpenAI server, and what they
//! measure: the documented multi-round QA check, with its flags, texts and summary.
//!
//! ```text
//!  Plan: who joins when ──▶ Session per user ──▶ Client: HTTP/1.1, streaming ──▶ server
//!                           history, questions        │ first token, usage
//!                                                     └──▶ Record ──▶ CSV file, Tally ──▶ Summary
//! ```
//! Everything held is bounded: sessions, their histories, answers, and the records
//! under way; finished requests are sums. `docs/multi-round-qa.md` has the rules.

mod client;
mod history;
mod options;
mod plan;
mod record;
mod run;
mod sharegpt;
mod stream;
mod tally;

pub use client::{Client, ClientError, UrlError};
pub use options::{Options, OptionsError};
pub use plan::{Plan, Start};
pub use record::{Record, RecordError, read_csv};
pub use run::{Outcome, Progress, RunError, run};
pub use sharegpt::{Conversations, ShareGptError};
pub use tally::{Summary, Tally};
