//! The loop that follows.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use proto_model::Revision;
use redis::Script;
use tokio::time::Instant;

use super::entries::{self, What};
use super::load::load;
use super::place::{Place, Step};
use super::{Confirmed, Follower, Shared};
use crate::checkpoint::Checkpointer;
use crate::epoch::{Opened, open};
use crate::error::LinkError;
use crate::keys::Keys;
use crate::link::Link;
use crate::metrics::set;

static POLL: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("../scripts/poll.lua")));

/// Bytes that one read of the stream aims at.
const READ_BYTES: usize = 4 << 20;

/// Most entries of one read.
const READ_ENTRIES_MAX: usize = 512;

/// How long Redis is not asked where it stands while entries keep coming.
const ASK: Duration = Duration::from_secs(1);

/// Waits between attempts when Redis is away.
const RETRY_MIN: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(1);

/// What follows.
pub(super) struct Task {
    shared: Arc<Shared>,
    keys: Keys,
    link: Link,
    checkpointer: Checkpointer,
    place: Option<Place>,
    /// Entries that the next read asks for.
    count: usize,
    asked: Instant,
}

/// Why reading the stream ended.
enum Ended {
    /// The server may be another, or is not where it should be.
    OpenAgain,
    /// What comes next is not what follows.
    Hole,
}

impl Task {
    pub(super) fn new(follower: &Follower) -> Self {
        let shared = Arc::clone(&follower.shared);
        let options = Arc::clone(&shared.options);
        Self {
            keys: Keys::new(&options.prefix),
            link: Link::new(Arc::clone(&options), options.poll),
            checkpointer: Checkpointer::new(options, shared.metrics.clone()),
            place: None,
            count: 1,
            asked: Instant::now(),
            shared,
        }
    }

    pub(super) async fn run(mut self) {
        let closed = self.shared.closed.clone();
        tokio::select! {
            () = Box::pin(self.follow_on()) => {}
            () = closed.cancelled() => {}
        }
        if let Some(history) = self.shared.seen.borrow().history.clone() {
            history.close("the store was shut down");
        }
    }

    /// Follows for ever, over all losses of Redis.
    async fn follow_on(&mut self) {
        let mut wait = RETRY_MIN;
        loop {
            let before = self.shared.seen.borrow().confirmed;
            match self.follow().await {
                Ok(Ended::OpenAgain) => {}
                Ok(Ended::Hole) => self.place = None,
                Err(error) => {
                    self.link.disconnect();
                    self.shared.metrics.follow_errors.inc();
                    tracing::warn!(%error, "following Redis was interrupted");
                    let trouble = Some(error.to_string().into());
                    self.shared.seen.send_modify(|seen| seen.trouble = trouble);
                }
            }
            let got_on = self.shared.seen.borrow().confirmed != before;
            wait = if got_on {
                RETRY_MIN
            } else {
                RETRY_MAX.min(2 * wait)
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// Takes up the history and reads on until that ends.
    async fn follow(&mut self) -> Result<Ended, LinkError> {
        // What was shown must not be followed by anything older.
        let history = self.shared.seen.borrow().history.clone();
        let shown = history.map_or(Revision(0), |history| history.revision());
        let asked = Confirmed::now();
        let opened = open(&self.link, &self.keys, shown).await?;
        self.shared.metrics.opened(&opened);
        if self.place.is_none() {
            let options = &self.shared.options;
            let loaded = Box::pin(load(&self.link, &self.keys, &opened, options)).await?;
            self.shared.metrics.loads.inc();
            let (state, at) = (loaded.state, loaded.revision);
            self.place = Some(Place::loaded(state, at, loaded.total, opened.revision));
        }
        self.show(&opened);
        // Nothing to read: what was just taken up is what there is.
        let all = self.place.as_ref().map(|place| place.revision) == Some(opened.revision);
        self.heard(asked, all);
        loop {
            if let Some(ended) = self.read(&opened).await? {
                return Ok(ended);
            }
        }
    }

    /// Reads once, and asks where Redis stands if there was nothing.
    async fn read(&mut self, opened: &Opened) -> Result<Option<Ended>, LinkError> {
        let Some(place) = &self.place else {
            return Ok(Some(Ended::Hole));
        };
        let mut command = redis::cmd("XREAD");
        let block = u64::try_from(self.shared.options.poll.as_millis()).unwrap_or(u64::MAX);
        command.arg("COUNT").arg(self.count).arg("BLOCK").arg(block);
        command.arg("STREAMS").arg(self.keys.stream());
        command.arg(format!("{}-0", place.revision.0));
        let sent = Confirmed::now();
        let entries = entries::read(self.link.command(&command).await?)?;
        let (found, asked_for) = (entries.len(), self.count);
        if let Some(ended) = self.take(entries) {
            return Ok(Some(ended));
        }
        self.show(opened);
        if found == 0 || self.asked.elapsed() > ASK {
            return self.ask().await;
        }
        self.heard(sent, found < asked_for);
        Ok(None)
    }

    /// Shows what was loaded, once it has come to where Redis stood.
    fn show(&mut self, opened: &Opened) {
        let Some(place) = &mut self.place else { return };
        place.must_reach(opened.revision);
        let (seen, options) = (&self.shared.seen, &self.shared.options.history);
        let known = seen.borrow().history.clone();
        if let Some(history) = place.show(known, &opened.epoch, options) {
            seen.send_modify(|seen| seen.history = Some(history));
        }
    }

    /// Takes the entries of one read.
    fn take(&mut self, entries: Vec<entries::Entry>) -> Option<Ended> {
        let Some(place) = &mut self.place else {
            return Some(Ended::Hole);
        };
        let (mut bytes, count) = (0, entries.len());
        for entry in entries {
            if let What::Batch { bytes: size, .. } = &entry.what {
                bytes += size;
            }
            match place.take(&entry) {
                Ok(Step::Taken) => {}
                Ok(Step::Hole) => {
                    let (at, found) = (place.revision.0, entry.revision.0);
                    tracing::info!(at, found, "the stream does not go on from here; loading");
                    return Some(Ended::Hole);
                }
                // The history was closed; so is the store.
                Err(_) => return Some(Ended::OpenAgain),
            }
        }
        if let Some(size) = bytes.checked_div(count) {
            self.count = (READ_BYTES / size.max(1)).clamp(1, READ_ENTRIES_MAX);
            self.shared.metrics.followed_batches.inc_by(count as u64);
            set(&self.shared.metrics.revision, place.revision.0);
        }
        None
    }

    /// Asks where Redis stands, and has a checkpoint written if one is due.
    async fn ask(&mut self) -> Result<Option<Ended>, LinkError> {
        self.asked = Instant::now();
        let mut invocation = POLL.prepare_invoke();
        invocation.key(self.keys.meta());
        let sent = Confirmed::now();
        let mut answer = self.link.script(&invocation).await?;
        if answer.text()? != "same" {
            return Ok(Some(Ended::OpenAgain));
        }
        let _epoch = answer.text()?;
        let revision = Revision(answer.number()?);
        let total = answer.number()?;
        let (checkpoint_total, checkpoint_bytes) = (answer.number()?, answer.number()?);
        self.shared.metrics.stream(total, checkpoint_total);
        let Some(place) = &self.place else {
            return Ok(Some(Ended::Hole));
        };
        if revision < place.revision {
            return Ok(Some(Ended::OpenAgain));
        }
        let all = revision == place.revision && place.shown().is_some();
        if let (Some(history), Some(epoch)) = (place.shown(), &place.epoch) {
            let at = (place.total, checkpoint_total, checkpoint_bytes);
            self.checkpointer.consider(history, epoch, at);
        }
        self.heard(sent, all);
        Ok(None)
    }

    /// Redis answered what it was asked at `sent`, and perhaps nothing is missing
    /// as of then.
    fn heard(&self, sent: Confirmed, all: bool) {
        let shown = self
            .place
            .as_ref()
            .is_some_and(|place| place.shown().is_some());
        self.shared.seen.send_modify(|seen| {
            seen.heard = Some(Instant::now());
            seen.trouble = None;
            if all && shown {
                seen.confirmed = Some(sent);
            }
        });
        if all && shown {
            let seconds = sent.at_ms as f64 / 1e3;
            self.shared.metrics.confirmed_seconds.set(seconds);
        }
    }
}
