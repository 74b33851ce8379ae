use std::io;
use std::path::PathBuf;

/// Why a hub model's files are not there.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// Not a name that the hub would give.
    #[error("{name:?} is no hub name; write ORG/NAME, or configure the model's directory")]
    BadName {
        /// What was given, shortened.
        name: String,
    },
    /// Not a revision that the hub would give.
    #[error("{revision:?} is no revision; write a branch, a tag or a commit")]
    BadRevision {
        /// What was given, shortened.
        revision: String,
    },
    /// The cache does not have the model.
    #[error(
        "{model} is not in {}; download it there (`hf download {model}`), allow downloading, or configure the model's directory",
        .directory.display()
    )]
    NotCached {
        /// The model.
        model: String,
        /// The cache that was looked in.
        directory: PathBuf,
    },
    /// The endpoint's address cannot be used.
    #[error("endpoint {endpoint:?}: {reason}; write https://host[:port][/path]")]
    Endpoint {
        /// What is configured, without credentials.
        endpoint: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The hub has no such model or file.
    #[error("{url}: not found; check the model's name, its revision and the endpoint")]
    NotFound {
        /// What was asked for.
        url: String,
    },
    /// The hub wants a token, or another one.
    #[error(
        "{url}: access denied ({status}); configure a token of an account that may read the model"
    )]
    Denied {
        /// What was asked for.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// The hub answered with another error.
    #[error("{url}: the hub answered {status}")]
    Status {
        /// What was asked for.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// The hub leads in circles, or where one must not go.
    #[error("{url}: redirected to an address that cannot be followed: {reason}")]
    Redirect {
        /// What was asked for.
        url: String,
        /// Why not.
        reason: &'static str,
    },
    /// The hub could not be reached, or the transfer broke off.
    #[error("{url}: the transfer failed; check the network, the proxy and the endpoint")]
    Transfer {
        /// What was asked for.
        url: String,
        /// What was seen.
        #[source]
        source: Box<ureq::Error>,
    },
    /// A file is larger than such a file may be.
    #[error("{url}: larger than {limit} bytes; is it the right model?")]
    TooLarge {
        /// What was asked for.
        url: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// Fewer bytes came than were announced, or other ones.
    #[error("{url}: the file arrived damaged ({reason}); try again")]
    Damaged {
        /// What was asked for.
        url: String,
        /// How one can tell.
        reason: String,
    },
    /// The cache cannot be written.
    #[error("{}: cannot be written; check the cache directory's permissions and space", .path.display())]
    Write {
        /// Which file or directory.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

impl HubError {
    /// Whether trying again may succeed with nothing changed by hand.
    #[must_use]
    pub fn retryable(&self) -> bool {
        match self {
            Self::Status { status, .. } => *status >= 500 || *status == 429,
            Self::Transfer { .. } | Self::Damaged { .. } => true,
            _ => false,
        }
    }
}
