//! The documented flags, and a few more.

use std::path::PathBuf;

use clap::Parser;
use loadtest_multi_round_qa::Options;

/// Users who hold conversations of many rounds with an OpenAI server. Ends at
/// `--time`, Ctrl-C or SIGTERM with a summary.
#[derive(Debug, Parser)]
#[command(name = "multi-round-qa")]
pub(crate) struct Args {
    /// Users at a time that are meant.
    #[arg(long, required_unless_present = "process_summary")]
    num_users: Option<u32>,
    /// Rounds of each user.
    #[arg(long, required_unless_present = "process_summary")]
    num_rounds: Option<u32>,
    /// Requests per second of all users together.
    #[arg(long, required_unless_present = "process_summary")]
    qps: Option<f64>,
    /// Words ("hi") that all first messages share: about as many tokens.
    #[arg(long, required_unless_present = "process_summary")]
    shared_system_prompt: Option<u32>,
    /// Words ("hi") that each user's first message has for itself.
    #[arg(long, required_unless_present = "process_summary")]
    user_history_prompt: Option<u32>,
    /// Tokens of an answer, at most.
    #[arg(long, required_unless_present = "process_summary")]
    answer_len: Option<u32>,
    /// The model's name in requests.
    #[arg(long, required_unless_present = "process_summary")]
    model: Option<String>,
    /// The server: http://HOST:PORT/v1.
    #[arg(long, required_unless_present = "process_summary")]
    pub(crate) base_url: Option<String>,
    /// Bearer token.
    #[arg(long, default_value = "EMPTY", hide_default_value = true)]
    pub(crate) api_key: String,
    /// Seconds to run for, with the requests that go ahead; without it until Ctrl-C.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=31_536_000))]
    pub(crate) time: Option<u64>,
    /// Where each request goes, as CSV.
    #[arg(long, default_value = "summary.csv")]
    pub(crate) output: PathBuf,
    /// Where the summary goes as JSON.
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
    /// The first user's number, less one: another one meets other caches.
    #[arg(long, default_value_t = 0)]
    init_user_id: u32,
    /// Sends each user's number as the header x-user-id.
    #[arg(long)]
    request_with_user_id: bool,
    /// Seconds between two summaries of the run so far; 0: none.
    #[arg(long, default_value_t = 30)]
    pub(crate) log_interval: u64,
    /// Takes questions from the ShareGPT data instead of made-up ones.
    #[arg(long)]
    pub(crate) sharegpt: bool,
    /// The prepared ShareGPT data.
    #[arg(long, default_value = "ShareGPT.json")]
    pub(crate) sharegpt_file: PathBuf,
    /// Leaves out the ten requests that go ahead and do not count.
    #[arg(long)]
    no_warm_up: bool,
    /// Sums up a file that --output wrote, and does nothing else.
    #[arg(long)]
    pub(crate) process_summary: Option<PathBuf>,
}

impl Args {
    /// The load; only where `--process-summary` is not given.
    pub(crate) fn options(&self) -> Options {
        Options {
            users: self.num_users.unwrap_or_default(),
            rounds: self.num_rounds.unwrap_or_default(),
            qps: self.qps.unwrap_or_default(),
            system_words: self.shared_system_prompt.unwrap_or_default(),
            history_words: self.user_history_prompt.unwrap_or_default(),
            answer_tokens: self.answer_len.unwrap_or_default(),
            model: self.model.clone().unwrap_or_default(),
            first_user: self.init_user_id,
            user_header: self.request_with_user_id,
            warm_up: !self.no_warm_up,
        }
    }
}
