//! The embedded store's directory: restarts, crashes, damage, compaction.

mod crash;
mod damage;
mod golden;
mod restart;
mod support;
