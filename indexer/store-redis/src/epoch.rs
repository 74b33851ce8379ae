//! Taking up the history that Redis holds.

use std::sync::LazyLock;

use indexer_store::History;
use proto_model::Revision;
use redis::Script;

use crate::error::LinkError;
use crate::keys::Keys;
use crate::link::Link;

static OPEN: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/open.lua")));

/// The history that Redis holds, as it was when it was taken up.
#[derive(Debug, Clone)]
pub(crate) struct Opened {
    /// Whether Redis was empty, or was not what it had been.
    pub(crate) began: Began,
    /// The revision that this epoch began with; its name.
    pub(crate) epoch: String,
    pub(crate) revision: Revision,
    pub(crate) publishers: u64,
    /// Where the history began, empty.
    pub(crate) origin: Revision,
    /// Bytes of all batches so far, those let go included.
    pub(crate) total: u64,
    pub(crate) checkpoint: Checkpoint,
}

/// What taking up the history began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Began {
    /// Nothing: all is as it was.
    Nothing,
    /// An empty history.
    History,
    /// An epoch.
    Epoch,
}

/// The checkpoint in force; number 0 is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    pub(crate) number: u64,
    pub(crate) revision: Revision,
    pub(crate) pieces: u64,
    pub(crate) bytes: u64,
    /// Bytes of all batches up to it.
    pub(crate) total: u64,
}

/// Takes up the history, and begins a new epoch if the server is another than the
/// one that the epoch began on, or is behind `seen`.
pub(crate) async fn open(link: &Link, keys: &Keys, seen: Revision) -> Result<Opened, LinkError> {
    let mut invocation = OPEN.prepare_invoke();
    invocation.key(keys.meta()).key(keys.stream());
    invocation.arg(History::fresh_revision().0).arg(seen.0);
    let mut answer = link.script(&invocation).await?;
    let began = match answer.text()?.as_str() {
        "same" => Began::Nothing,
        "fresh" => Began::History,
        "epoch" => Began::Epoch,
        _ => {
            let what = "there is a stream but no meta key".to_owned();
            return Err(LinkError::Damaged(what));
        }
    };
    let opened = Opened {
        began,
        epoch: answer.text()?,
        revision: Revision(answer.number()?),
        publishers: answer.number()?,
        origin: Revision(answer.number()?),
        total: answer.number()?,
        checkpoint: Checkpoint {
            number: answer.number()?,
            revision: Revision(answer.number()?),
            pieces: answer.number()?,
            bytes: answer.number()?,
            total: answer.number()?,
        },
    };
    match began {
        Began::Nothing => {}
        Began::History => tracing::warn!(
            revision = opened.revision.0,
            "Redis held no index; a new history begins, and engines fill it anew"
        ),
        Began::Epoch => tracing::warn!(
            revision = opened.revision.0,
            "Redis restarted, failed over or lost its latest data; a new epoch begins, readers load again"
        ),
    }
    Ok(opened)
}
