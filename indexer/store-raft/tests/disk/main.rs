//! What a node keeps on disk: openraft's own suite, restarts, kills, damage, and
//! a disk that is full.

mod child;
mod damage;
mod full;
mod kill;
mod kill_midway;
mod machine;
mod make;
mod restart;
mod snapshot;
mod suite;
