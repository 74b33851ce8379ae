//! One checkpoint.

use std::sync::{Arc, LazyLock};

use indexer_state::{ImagePiece, State};
use proto_model::Revision;
use redis::Script;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::error::LinkError;
use crate::keys::Keys;
use crate::link::Link;
use crate::options::RedisOptions;
use crate::wire::PieceWriter;

static LEASE: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("../scripts/lease.lua")));
static IN_FORCE: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("../scripts/checkpoint.lua")));

/// How long a piece stays if its checkpoint does not come into force, in seconds.
const PIECE_SECONDS: u64 = 3600;

/// Pieces made ahead of being written.
const PIECES_AHEAD: usize = 4;

/// Old pieces let go with one command.
const UNLINK_AT_ONCE: u64 = 512;

/// Writes one checkpoint.
pub(super) struct Writer {
    pub(super) keys: Keys,
    pub(super) link: Link,
    pub(super) options: Arc<RedisOptions>,
    pub(super) token: String,
    pub(super) epoch: String,
    pub(super) revision: Revision,
    pub(super) total: u64,
}

/// What became of it.
pub(super) enum Made {
    InForce { bytes: u64 },
    AnotherHasLease,
    InVain { why: &'static str },
}

impl Writer {
    pub(super) async fn write(&self, state: State) -> Result<Made, LinkError> {
        let number = self.lease(true).await?;
        if number == 0 {
            return Ok(Made::AnotherHasLease);
        }
        let (made, mut pieces) = mpsc::channel(PIECES_AHEAD);
        let size = self.options.checkpoint.piece_bytes;
        let making = tokio::task::spawn_blocking(move || make(&state, number, size, &made));
        let (mut count, mut bytes) = (0, 0);
        let renew = self.options.checkpoint.lease / 3;
        let mut renewed = Instant::now();
        while let Some(piece) = pieces.recv().await {
            bytes += piece.len() as u64;
            let mut set = redis::cmd("SET");
            set.arg(self.keys.piece(number, count)).arg(piece);
            set.arg("EX").arg(PIECE_SECONDS);
            self.link.command::<()>(&set).await?;
            count += 1;
            if renewed.elapsed() > renew {
                if self.lease(false).await? == 0 {
                    return Ok(Made::InVain {
                        why: "the lease was lost",
                    });
                }
                renewed = Instant::now();
            }
        }
        let made = making.await;
        made.map_err(|error| LinkError::Redis(error.to_string()))??;
        if self.lease(false).await? == 0 {
            return Ok(Made::InVain {
                why: "the lease was lost",
            });
        }
        self.put_in_force(number, count, bytes).await
    }

    /// Takes or renews the lease; 0 if another has it. `numbered` gives a number
    /// for a checkpoint, never given before.
    async fn lease(&self, numbered: bool) -> Result<u64, LinkError> {
        let mut invocation = LEASE.prepare_invoke();
        invocation.key(self.keys.lease()).key(self.keys.meta());
        let lasts = u64::try_from(self.options.checkpoint.lease.as_millis());
        invocation.arg(&self.token).arg(lasts.unwrap_or(u64::MAX));
        invocation.arg(u8::from(numbered));
        self.link.script(&invocation).await?.number()
    }

    async fn put_in_force(&self, number: u64, count: u64, bytes: u64) -> Result<Made, LinkError> {
        let mut invocation = IN_FORCE.prepare_invoke();
        invocation.key(self.keys.meta()).key(self.keys.stream());
        invocation.key(self.keys.lease());
        for index in 0..count {
            invocation.key(self.keys.piece(number, index));
        }
        invocation.arg(&self.token).arg(&self.epoch).arg(number);
        invocation.arg(self.revision.0).arg(bytes).arg(self.total);
        let mut answer = self.link.script(&invocation).await?;
        let why = match answer.text()?.as_str() {
            "done" => {
                let (old, pieces) = (answer.number()?, answer.number()?);
                self.let_go(old, pieces).await?;
                return Ok(Made::InForce { bytes });
            }
            "lease" => "the lease was lost",
            "epoch" => "another epoch has begun",
            "older" => "a newer one is in force",
            _ => "its pieces are gone",
        };
        Ok(Made::InVain { why })
    }

    /// Removes the pieces of the checkpoint that was in force before.
    async fn let_go(&self, number: u64, pieces: u64) -> Result<(), LinkError> {
        let mut next = 0;
        while next < pieces {
            let end = pieces.min(next + UNLINK_AT_ONCE);
            let mut unlink = redis::cmd("UNLINK");
            for index in next..end {
                unlink.arg(self.keys.piece(number, index));
            }
            self.link.command::<()>(&unlink).await?;
            next = end;
        }
        Ok(())
    }
}

/// Makes the pieces; stops early if nobody takes them any more.
fn make(
    state: &State,
    number: u64,
    size: usize,
    out: &mpsc::Sender<Vec<u8>>,
) -> Result<(), LinkError> {
    let mut index = 0;
    let mut writer = PieceWriter::new(number, index)?;
    for piece in state.image() {
        let bytes = writer.push(&piece)?;
        if bytes < size && piece != ImagePiece::End {
            continue;
        }
        index += 1;
        let full = std::mem::replace(&mut writer, PieceWriter::new(number, index)?);
        if out.blocking_send(full.finish()).is_err() {
            break;
        }
    }
    Ok(())
}
