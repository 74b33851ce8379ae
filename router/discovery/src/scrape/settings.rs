//! How often engines are asked, and what an answer may cost.

use std::time::Duration;

/// How engines' metrics are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScrapeSettings {
    /// Pause between two scrapes of one endpoint, give or take a fifth, so that
    /// pickers do not ask all at once. Endpoints that fail are asked less often.
    pub interval: Duration,
    /// The longest that one scrape may take, connecting included.
    pub timeout: Duration,
    /// A sample older than this counts as none.
    pub stale_after: Duration,
    /// Scrapes at a time of endpoints that answer, and again as many of
    /// endpoints that did not answer the last time: those cannot hold up the
    /// others.
    pub concurrency: usize,
    /// The longest answer, in bytes; a longer one is refused.
    pub body_limit_bytes: usize,
}

impl Default for ScrapeSettings {
    fn default() -> Self {
        Self {
            interval: Duration::from_millis(200),
            timeout: Duration::from_secs(1),
            stale_after: Duration::from_secs(5),
            concurrency: 64,
            body_limit_bytes: 4 << 20,
        }
    }
}

/// Settings that cannot work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ScrapeMistake {
    /// Engines would be asked without a pause.
    #[error("interval is {0:?}: give at least 10 ms")]
    Interval(Duration),
    /// Nothing could ever answer.
    #[error("timeout is 0: give each scrape some time, such as 1 s")]
    Timeout,
    /// Samples would be stale before the next one.
    #[error(
        "stale_after ({stale_after:?}) is not above interval + timeout ({interval:?} + \
         {timeout:?}): every slow answer would make its endpoint's load unknown"
    )]
    StaleBeforeNext {
        /// As set.
        stale_after: Duration,
        /// As set.
        interval: Duration,
        /// As set.
        timeout: Duration,
    },
    /// Nothing would ever be asked.
    #[error("concurrency is 0: give at least 1")]
    Concurrency,
    /// No engine's metrics fit.
    #[error("body_limit_bytes is {0}: give at least 4096")]
    BodyLimit(usize),
}

impl ScrapeSettings {
    /// Checks ranges and relations.
    pub fn validate(&self) -> Result<(), ScrapeMistake> {
        if self.interval < Duration::from_millis(10) {
            return Err(ScrapeMistake::Interval(self.interval));
        }
        if self.timeout.is_zero() {
            return Err(ScrapeMistake::Timeout);
        }
        if self.stale_after <= self.interval.saturating_add(self.timeout) {
            return Err(ScrapeMistake::StaleBeforeNext {
                stale_after: self.stale_after,
                interval: self.interval,
                timeout: self.timeout,
            });
        }
        if self.concurrency == 0 {
            return Err(ScrapeMistake::Concurrency);
        }
        if self.body_limit_bytes < 4096 {
            return Err(ScrapeMistake::BodyLimit(self.body_limit_bytes));
        }
        Ok(())
    }
}
