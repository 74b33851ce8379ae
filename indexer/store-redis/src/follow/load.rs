//! Loading the checkpoint in force.

use indexer_state::{Restorer, State};
use proto_model::Revision;

use crate::epoch::Opened;
use crate::error::LinkError;
use crate::keys::Keys;
use crate::link::Link;
use crate::options::RedisOptions;
use crate::wire::decode_piece;

/// Pieces asked for at a time.
const PIECES_AT_ONCE: u64 = 16;

/// A state, and where it stands.
pub(super) struct Loaded {
    pub(super) state: State,
    pub(super) revision: Revision,
    /// Bytes of all batches up to it.
    pub(super) total: u64,
}

/// Loads the checkpoint that was in force when the history was taken up, or begins
/// with nothing.
pub(super) async fn load(
    link: &Link,
    keys: &Keys,
    opened: &Opened,
    options: &RedisOptions,
) -> Result<Loaded, LinkError> {
    let checkpoint = &opened.checkpoint;
    let limits = options.history.limits.clone();
    if checkpoint.number == 0 {
        return Ok(Loaded {
            state: State::new(limits),
            revision: opened.origin,
            total: 0,
        });
    }
    let mut restorer = Restorer::new(limits);
    let mut next = 0;
    while next < checkpoint.pieces {
        let end = checkpoint.pieces.min(next + PIECES_AT_ONCE);
        let mut command = redis::cmd("MGET");
        for index in next..end {
            command.arg(keys.piece(checkpoint.number, index));
        }
        let values: Vec<Option<Vec<u8>>> = link.command(&command).await?;
        for (index, value) in (next..end).zip(values) {
            let value = value.ok_or_else(|| {
                let number = checkpoint.number;
                LinkError::Redis(format!(
                    "piece {index} of checkpoint {number} is gone; if it is not replaced by another, it was deleted"
                ))
            })?;
            for piece in decode_piece(&value, checkpoint.number, index)? {
                let pushed = restorer.push(piece);
                pushed.map_err(|error| LinkError::Damaged(error.to_string()))?;
            }
            tokio::task::yield_now().await;
        }
        next = end;
    }
    let state = restorer.finish();
    let state = state.map_err(|error| LinkError::Damaged(error.to_string()))?;
    Ok(Loaded {
        state,
        revision: checkpoint.revision,
        total: checkpoint.total,
    })
}
